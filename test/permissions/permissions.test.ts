import { readFile } from 'node:fs/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import { answered, connectBroker } from '#kit/broker.ts';
import { directBatch } from '#kit/direct-batch.ts';
import { UnavailableError } from '#kit/errors.ts';
import { ensureJournals } from '#kit/journal.ts';
import { journalOf } from '#kit/streams.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { atTheEnd } from '#kit/testing/servers.ts';
import { answerAboutViews } from '#kit/view-requests.ts';
import {
  PERMISSIONS_FILE,
  permissionsConfiguration,
  serviceDescriptions,
} from '../../gateway/cli/broker-permissions.ts';
import { type Attempts, belongingTo, forbidden, refusedOf } from './attempts.ts';
import { brokerWithUsers } from './broker-with-users.ts';

const descriptions = await serviceDescriptions();
const broker = await brokerWithUsers();
const streams = [
  ...new Set([
    ...descriptions.flatMap(({ journals }) => journals.map(({ stream }) => stream)),
    'DEAD_LETTERS',
    ...['services', 'partition-owners', 'consumer-claims', 'consumer-floors', 'personal-data-keys'].map(
      (each) => `KV_${each}`,
    ),
  ]),
];

test('what the broker is told is what the services are made of', async () => {
  const file = await readFile(new URL(`../../${PERMISSIONS_FILE}`, import.meta.url), 'utf8');
  expect(
    file === (await permissionsConfiguration()),
    `${PERMISSIONS_FILE} is out of date: write it again with \`npm run causeway -- permissions\``,
  ).toBe(true);
  // It is a part of a ConfigMap, of which kubectl keeps a copy in an annotation of 256 KiB.
  expect(file.length).toBeLessThan(240_000);
});

test('no two services have a consumer of the same name', () => {
  const names = descriptions.flatMap(({ consumers }) => consumers.map(({ name }) => name));
  expect(new Set(names).size).toBe(names.length);
});

/** What was to be refused and was not. */
function allowed({ publish, subscribe }: Attempts, refused: ReadonlySet<string>): string[] {
  return [
    ...publish.filter(({ subject }) => !refused.has(`publish ${subject}`)),
    ...subscribe.filter(({ subject }) => !refused.has(`subscription ${subject}`)),
  ].map(({ what, subject }) => `${what}: ${subject}`);
}

describe.each(descriptions)('$service', (description) => {
  const { service, oversees } = description;
  const own = belongingTo(description);
  const ownSubjects = new Set([...own.publish, ...own.subscribe].map(({ subject }) => subject));
  const isOthers = ({ subject }: { subject: string }) => !ownSubjects.has(subject);

  test('may do what is its own', async () => {
    expect([...(await refusedOf(await broker.connectAs(service), own))]).toEqual([]);
  });

  test('may do nothing that is of another service', async () => {
    const others = descriptions.filter((other) => other !== description).map(belongingTo);
    // Who looks after all asks each, and looks at its consumers; everybody answers to who does.
    const mayAsk = (what: string) => what.startsWith('consumer INFO') && oversees === true;
    const mayAnswer = (subject: string) =>
      descriptions.some((each) => each.oversees && subject === `_INBOX.${each.service}.asked`);
    const attempts = {
      publish: others
        .flatMap(({ publish }) => publish)
        .filter((each) => isOthers(each) && !mayAsk(each.what) && !mayAnswer(each.subject)),
      subscribe: others.flatMap(({ subscribe }) => subscribe).filter(isOthers),
    };
    expect(attempts.publish.length).toBeGreaterThan(200);
    expect(allowed(attempts, await refusedOf(await broker.connectAs(service), attempts))).toEqual([]);
  });

  test('may neither change nor empty a stream, nor listen to everything', async () => {
    const { publish, subscribe } = forbidden(streams);
    // A customer's key is destroyed by one service.
    const mayDelete = (subject: string) => oversees && subject === '$JS.API.STREAM.MSG.DELETE.KV_personal-data-keys';
    const attempts = { publish: publish.filter(({ subject }) => !mayDelete(subject)), subscribe };
    expect(allowed(attempts, await refusedOf(await broker.connectAs(service), attempts))).toEqual([]);
  });
});

test('the operator looks at everything, and does nothing in the name of a service', async () => {
  const all = descriptions.map(belongingTo);
  const looks = streams.flatMap((stream) => [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.CONSUMER.LIST.${stream}`,
  ]);
  const mayLook = { publish: looks.map((subject) => ({ what: 'look', subject })), subscribe: [] };
  expect([...(await refusedOf(await broker.connectAs('operator', 'causeway-cli'), mayLook))]).toEqual([]);
  const attempts = {
    publish: all.flatMap(({ publish }) => publish).filter(({ what }) => !what.startsWith('consumer INFO')),
    subscribe: all.flatMap(({ subscribe }) => subscribe),
  };
  expect(allowed(attempts, await refusedOf(await broker.connectAs('operator', 'causeway-cli'), attempts))).toEqual([]);
});

test("customers' keys are read by who has to do with personal data, made by who seals it, and destroyed by who oversees", async () => {
  const bucket = 'personal-data-keys';
  const done = await Promise.all(
    descriptions.map(async ({ service }) => {
      const tried = {
        read: `$JS.API.STREAM.MSG.GET.KV_${bucket}`,
        make: `$KV.${bucket}.somebody.1`,
        destroy: `$KV.${bucket}.somebody.1.destroyed`,
        'write over it': `$JS.API.STREAM.MSG.DELETE.KV_${bucket}`,
      };
      const publish = Object.entries(tried).map(([what, subject]) => ({ what, subject }));
      const refused = await refusedOf(await broker.connectAs(service), { publish, subscribe: [] });
      const can = publish.filter(({ subject }) => !refused.has(`publish ${subject}`)).map(({ what }) => what);
      return [service, can] as const;
    }),
  );
  expect(Object.fromEntries(done)).toMatchObject({
    analytics: [],
    fulfilment: ['read', 'make'],
    integration: ['read', 'make'],
    inventory: ['read'],
    notifications: ['read', 'make'],
    operations: ['read', 'destroy', 'write over it'],
    orders: ['read', 'make'],
    payments: [],
    shipping: ['read'],
  });
});

test('a consumer that delivers to a subject of others reaches neither their journal nor their owners', async () => {
  const parts = await connectBroker({
    url: broker.url,
    name: 'payments',
    credentials: broker.credentialsOf('payments'),
  });
  atTheEnd(() => parts.close());
  await ensureJournals(parts, [journalOf('payments')]);
  let asked = 0;
  const heard: string[] = [];
  answerAboutViews(parts, 'payments', [
    {
      view: { name: 'payments' },
      answer: async () => void asked++,
      status: async () => Promise.reject(new Error(`asked ${asked++}`)),
    },
  ]);
  parts.connection.subscribe('views.payments', { callback: (_, { subject }) => void heard.push(subject) });
  await parts.connection.flush();

  const orders = await broker.connectAs('orders');
  await ensureJournals({ ...parts, manager: await jetstreamManager(orders, { checkAPI: false }) }, [
    journalOf('orders'),
  ]);
  await jetstream(orders).publish('orders.event.3.order.x', JSON.stringify({ command: 'list' }));
  for (const [name, deliver_subject] of [
    ['orders-orders_v2-3', 'payments.event.3.payment.x'],
    ['orders-orders_v2-4', 'views.payments'],
  ]) {
    const config = { name, durable_name: name, deliver_subject, ack_policy: 'none', deliver_policy: 'all' };
    const request = { stream_name: 'ORDERS', action: 'create', config };
    await orders.request(`$JS.API.CONSUMER.CREATE.ORDERS.${name}`, JSON.stringify(request));
  }
  await expect.poll(() => heard).toEqual(['orders.event.3.order.x']);
  expect(asked).toBe(0);
  expect((await parts.manager.streams.info('PAYMENTS')).state.messages).toBe(0);
});

test('what is refused is said at once, in the log and in health, and counts as an outage', async () => {
  const logged: object[] = [];
  const error = (fields: object) => void logged.push(fields);
  const credentials = broker.credentialsOf('payments');
  const logger = { ...silent, error };
  const payments = await connectBroker({ url: broker.url, name: 'payments', credentials, logger });
  atTheEnd(() => payments.close());
  const subject = 'orders.event.3.order.x';
  const publish = () => answered(payments, () => payments.js.publish(subject, 'forged'));

  await expect(publish()).rejects.toThrow(new UnavailableError(`the broker refuses to publish to ${subject}`));
  await expect(publish()).rejects.toThrow(UnavailableError);
  await expect(directBatch(payments, 'INVENTORY', { seq: 1 })).rejects.toThrow('$JS.API.DIRECT.GET.INVENTORY');
  expect(payments.refusals()).toEqual([
    `the broker refuses to publish to ${subject}`,
    'the broker refuses to publish to $JS.API.DIRECT.GET.INVENTORY',
  ]);
  expect(logged).toEqual([
    { operation: 'publish', subject },
    { operation: 'publish', subject: '$JS.API.DIRECT.GET.INVENTORY' },
  ]);
});
