import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { headers } from '@nats-io/transport-node';
import { expect, test, vi } from 'vitest';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { WebhookService } from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import { entriesOf } from '#kit/bucket-entries.ts';
import { Header } from '#kit/event.ts';
import { subjectOf } from '#kit/partitions.ts';
import { signToken } from '#kit/rpc/identity.ts';
import { DESCRIPTIONS_BUCKET } from '#kit/service-descriptions.ts';
import { readSettings } from '#kit/settings.ts';
import { startProxy } from '#kit/testing/proxy.ts';
import { ownConnection } from '#kit/testing/reacting.ts';
import { atTheEnd, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { run, runCauseway } from '../gateway/cli/testing/run.ts';
import { allSettings } from '../gateway/platform.ts';
import { connectClient, ordersOf } from './clients.ts';
import { type PlatformProcess, platformProcess } from './platform.ts';

const planted = (name: string) => `${name}-${randomBytes(9).toString('hex')}`;
const secrets: Record<string, string> = {
  auth: planted('planted-auth-secret'),
  key: randomBytes(32).toString('hex'),
  database: planted('planted-database'),
  broker: planted('planted-broker'),
  stripe: `sk_test_${planted('planted')}`,
  mail: planted('planted-mail'),
  bad: planted('planted-not-a-key'),
};
/** What an order says of its customer. */
const personal = {
  email: `${planted('ada')}@example.org`,
  name: planted('Ada Nobody'),
  line1: planted('12 Hidden Way'),
};

/** What was sent to the collector, as it came. */
async function collector(): Promise<{ url: string; received: Buffer[] }> {
  const received: Buffer[] = [];
  const server = createServer(async (request, response) => {
    received.push(await buffer(request));
    response.end();
  });
  atTheEnd(async () => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

/** Each form in which a text may stand somewhere. */
function formsOf(text: string): string[] {
  const base64 = [0, 1, 2].map((skipped) =>
    // Wherever it begins in what was encoded; its ends depend on what stands beside it.
    Buffer.from(' '.repeat(skipped) + text)
      .toString('base64')
      .slice(skipped === 0 ? 0 : 4, -4),
  );
  return [
    text,
    encodeURIComponent(text),
    JSON.stringify(text).slice(1, -1),
    Buffer.from(text).toString('hex'),
    ...base64,
  ];
}

/** Names of the planted values that stand in a text, with what is before them. */
function found(text: string): string[] {
  const values = Object.entries({ ...secrets, ...personal });
  return values.flatMap(([name, value]) =>
    formsOf(value)
      .filter((form) => text.includes(form))
      .map((form) => `${name}: ${text.slice(Math.max(0, text.indexOf(form) - 200), text.indexOf(form))}`),
  );
}

async function customersOf(platform: PlatformProcess) {
  const token = (subject: string, role: 'customer' | 'operator') =>
    signToken({ subject, role }, secrets.auth ?? '', '1h').then((signed) => `Bearer ${signed}`);
  return {
    orders: ordersOf(connectClient(platform, await token('ada', 'customer'))),
    operator: connectClient(platform, await token('olga', 'operator')),
  };
}

const order = (fields: object = {}) => ({
  email: personal.email,
  shipTo: { name: personal.name, line1: personal.line1, city: 'Delft', postalCode: '2611', countryCode: 'NL' },
  ...fields,
});

test('the search for what was planted finds it in each of its forms', () => {
  for (const value of Object.values(secrets)) {
    expect(found(`a ${value} b`)).toHaveLength(value === encodeURIComponent(value) ? 3 : 1);
    expect(found(Buffer.from(`{"x":"${value}"}`).toString('base64'))).not.toEqual([]);
    expect(found(`?x=${encodeURIComponent(value)}`)).not.toEqual([]);
  }
});

test('no secret and nothing personal stands in a log, a span, a metric or an answer, whatever fails', async () => {
  const [nats, { url, received }, database] = await Promise.all([ownNats(), collector(), startProxy(sharedMongoUri())]);
  atTheEnd(() => database.close());
  const common = {
    NATS_URL: `nats://${secrets.broker}@${new URL(nats.url).host}`,
    MONGODB_URI: `${database.url}${new URL(sharedMongoUri()).pathname}?appName=${secrets.database}`,
    AUTH_SECRET: secrets.auth ?? '',
    PERSONAL_DATA_KEY: secrets.key ?? '',
    SMTP_URL: `smtp://user:${secrets.mail}@127.0.0.1:9`,
    STRIPE_API_BASE: 'http://127.0.0.1:9',
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    LOG_LEVEL: 'debug',
    RATE_LIMIT: '0',
    CARRIER_DELIVERS_AFTER: '1s',
    DEADLINE_PAYMENT: '2s',
  };
  const failing = { ...common, STRIPE_API_KEY: secrets.stripe ?? '' };
  const starts = Promise.all([
    run(process.execPath, ['gateway/start.ts'], { ...failing, PERSONAL_DATA_KEY: secrets.bad ?? '' }),
    run(process.execPath, ['services/orders/main.ts'], {
      ...failing,
      NATS_URL: `nats://${secrets.broker}@127.0.0.1:9`,
    }),
  ]);
  const platform = await platformProcess(common);
  const { orders, operator } = await customersOf(platform);
  const endpoint = { url: 'http://127.0.0.1:9/', types: [] };
  secrets.webhook = (await operator.call(WebhookService.method.createEndpoint, endpoint)).secret;

  const said: string[] = [];
  const tell = (error: unknown) => said.push(JSON.stringify(error, Object.getOwnPropertyNames(error)));
  const placed = await Promise.all([
    orders.place(order()),
    orders.place(order({ paymentMethod: 'pm_declined' })),
    orders.place(order({ paymentMethod: 'pm_never' })),
    orders.place(order({ lines: [{ sku: 'sold-out', quantity: 1 }] })),
  ]);
  await orders.cancel(placed[2]?.orderId ?? '').catch(tell);
  await orders.place(order({ lines: [], requestId: 'r'.repeat(65) })).catch(tell);
  await orders.place(order({ orderId: placed[0]?.orderId })).catch(tell);
  const broker = await ownConnection(nats.url);
  await broker.js.publish(subjectOf('orders', 'order', randomUUID()), JSON.stringify(order()), {
    headers: headersOf(OrderPlacedSchema.typeName),
  });
  const ended = [OrderStatus.COMPLETED, OrderStatus.CANCELLED];
  for (const { orderId } of placed) {
    await expect
      .poll(async () => ended.includes((await orders.get(orderId))?.status as never), { timeout: 30_000 })
      .toBe(true);
  }
  const parked = async () => (await operator.call(OperationsService.method.listDeadLetters, {})).keys;
  await expect.poll(async () => (await parked()).length, { timeout: 30_000 }).toBeGreaterThan(0);
  for (const path of ['/metrics', '/asyncapi.json', '/readyz', '/nowhere']) {
    said.push(await (await fetch(`${platform.http}${path}`)).text());
  }
  said.push(...(await entriesOf(broker, DESCRIPTIONS_BUCKET)).map(({ text }) => text));
  said.push(...badSettings(failing));
  const settings = { ...common, CAUSEWAY_URL: platform.http, LOG_LEVEL: 'warn' };
  const looks = await Promise.all([runCauseway(['doctor'], settings), runCauseway(['audit'], settings)]);
  // Of the message that is no order.
  expect(looks[1]).toMatchObject({ status: 1 });
  const failed = await starts;
  expect(failed.map(({ status }) => status)).toEqual([1, 1]);
  said.push(...[...looks, ...failed].map(({ stdout, stderr }) => `${stdout}${stderr}`));

  await database.close();
  await vi.waitFor(() => expect(orders.list()).rejects.toMatchObject({ code: 'UNAVAILABLE' }), { timeout: 10_000 });
  await orders.list().catch(tell);
  await nats.kill();
  const lost = order({ orderId: randomUUID() });
  await vi.waitFor(() => expect(orders.place(lost)).rejects.toMatchObject({ code: 'UNAVAILABLE' }), {
    timeout: 10_000,
  });
  await orders.place(lost).catch(tell);
  await platform.kill('SIGTERM');

  expect(found(platform.output())).toEqual([]);
  expect(found(said.join('\n'))).toEqual([]);
  expect(received.length).toBeGreaterThan(0);
  expect(received.flatMap((bytes) => found(bytes.toString('latin1')))).toEqual([]);
  expect(platform.output()).toContain('"level":"debug"');
}, 120_000);

/** What is said of settings that hold a secret and are wrong. */
function badSettings(settings: Record<string, string>): string[] {
  const wrong = {
    NATS_URL: `http://${secrets.broker}@127.0.0.1:9`,
    MONGODB_URI: `postgres://user:${secrets.database}@127.0.0.1:9`,
    SMTP_URL: `http://user:${secrets.mail}@127.0.0.1:9`,
    PERSONAL_DATA_KEY: secrets.bad ?? '',
  };
  return Object.entries(wrong).map(([name, value]) => {
    try {
      readSettings(allSettings, { ...settings, [name]: value });
    } catch (error) {
      return `${error}`;
    }
    throw new Error(`${name} may be ${value}`);
  });
}

/** Of an event of this type, whatever its message holds. */
function headersOf(type: string) {
  const head = headers();
  head.set(Header.type, type);
  head.set(Header.id, randomUUID());
  head.set(Header.version, '1');
  head.set(Header.time, new Date().toISOString());
  return head;
}
