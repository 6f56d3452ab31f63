import { readFile } from 'node:fs/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import { answered, connectBroker } from '#kit/broker.ts';
import { directBatch } from '#kit/direct-batch.ts';
import { UnavailableError } from '#kit/errors.ts';
import { ensureJournals } from '#kit/journal.ts';
import { customerKeysStream, PersonalData } from '#kit/personal-data.ts';
import { journalOf } from '#kit/streams.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { atTheEnd, testMasterKey } from '#kit/testing/servers.ts';
import { answerAboutViews } from '#kit/view-requests.ts';
import {
  PERMISSIONS_FILE,
  permissionsConfiguration,
  serviceDescriptions,
} from '../../gateway/cli/broker-permissions.ts';
import { type Attempts, belongingTo, forbidden, overseeing, readingOf, refusedOf, requestsTo } from './attempts.ts';
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
        .filter((each) => isOthers(each) && !mayAsk(each.what) && !mayAnswer(each.subject))
        .concat(oversees ? [] : [...descriptions.flatMap(requestsTo), ...overseeing]),
      subscribe: others.flatMap(({ subscribe }) => subscribe).filter(isOthers),
    };
    expect(attempts.publish.length).toBeGreaterThan(200);
    expect(allowed(attempts, await refusedOf(await broker.connectAs(service), attempts))).toEqual([]);
  });

  test('may neither change nor empty a stream, nor listen to everything', async () => {
    const { publish, subscribe } = forbidden(streams);
    // A customer's key is destroyed by one service, and the bucket of an older program mended by it.
    const mayChange = (subject: string) =>
      oversees && /^\$JS\.API\.STREAM\.(MSG\.DELETE|UPDATE|PURGE)\.KV_personal-data-keys$/.test(subject);
    const attempts = { publish: publish.filter(({ subject }) => !mayChange(subject)), subscribe };
    expect(allowed(attempts, await refusedOf(await broker.connectAs(service), attempts))).toEqual([]);
  });
});

// Who looks after all looks into each.
test.each(descriptions.filter(({ oversees }) => !oversees))(
  '$service reads no stream that it neither speaks in nor listens to',
  async ({ service, journals, consumers, replicas = [], watchesAll }) => {
    const listensTo = [...consumers.flatMap(({ sources }) => sources), ...replicas.map(({ journal }) => journal)];
    const known = new Set([...journals, ...listensTo].map(({ stream }) => stream));
    const strange = descriptions
      .flatMap((each) => each.journals.map(({ stream }) => stream))
      .filter((stream) => !known.has(stream));
    const attempts = strange.map((stream) => readingOf(stream, `${consumers[0]?.name}-3`));
    const publish = attempts.flatMap((each) => each.publish);
    const subscribe = watchesAll ? [] : attempts.flatMap((each) => each.subscribe);
    expect(
      allowed({ publish, subscribe }, await refusedOf(await broker.connectAs(service), { publish, subscribe })),
    ).toEqual([]);
  },
);

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
    publish: [
      ...all.flatMap(({ publish }) => publish).filter(({ what }) => !what.startsWith('consumer INFO')),
      ...descriptions.flatMap(requestsTo),
      ...forbidden(streams).publish,
    ],
    subscribe: [...all.flatMap(({ subscribe }) => subscribe), ...forbidden(streams).subscribe],
  };
  expect(allowed(attempts, await refusedOf(await broker.connectAs('operator', 'causeway-cli'), attempts))).toEqual([]);
});

test("customers' keys are read by who has to do with personal data, made by who seals it, and destroyed by who oversees", async () => {
  const bucket = 'personal-data-keys';
  const done = await Promise.all(
    [...descriptions.map(({ service }) => service), 'operator'].map(async (service) => {
      const tried = {
        read: `$JS.API.STREAM.MSG.GET.KV_${bucket}`,
        make: `$KV.${bucket}.somebody.1`,
        destroy: `$KV.${bucket}.somebody.1.destroyed`,
        'write over it': `$JS.API.STREAM.MSG.DELETE.KV_${bucket}`,
        'mend the bucket': `$JS.API.STREAM.UPDATE.KV_${bucket}`,
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
    operations: ['read', 'destroy', 'write over it', 'mend the bucket'],
    operator: ['read'],
    orders: ['read', 'make'],
    payments: [],
    shipping: ['read'],
  });
});

test("a bucket of keys that an older program made is mended by who oversees; the others wait, and customers' keys are destroyed", async () => {
  const [orders, operations] = await Promise.all(
    ['orders', 'operations'].map((name) =>
      connectBroker({ url: broker.url, name, credentials: broker.credentialsOf(name) }),
    ),
  );
  if (orders === undefined || operations === undefined) throw new Error('not connected');
  for (const each of [orders, operations]) atTheEnd(() => each.close());
  const { allow_direct, discard_new_per_subject, ...declared } = customerKeysStream(1);
  await orders.manager.streams.add({ ...declared, allow_direct, deny_delete: true, allow_rollup_hdrs: true } as never);

  const making = PersonalData.open(orders, testMasterKey);
  await expect.poll(() => orders.refusals()).toEqual([expect.stringContaining('STREAM.UPDATE')]);
  const destroying = await PersonalData.open(operations, testMasterKey);
  const { id } = await (await making).keyOf('old');

  expect(await destroying.destroy('old')).toEqual({ destroyed: 1, destroyedBefore: 0 });
  await expect.poll(async () => (await making).find(id)).toBeUndefined();
});

test('what the broker sends for somebody reaches no journal, stream or owner of others', async () => {
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
  const targets = ['payments.event.3.payment.x', '$JS.API.STREAM.DELETE.PAYMENTS', 'views.payments'];

  const orders = await broker.connectAs('orders');
  await ensureJournals({ ...parts, manager: await jetstreamManager(orders, { checkAPI: false }) }, [
    journalOf('orders'),
  ]);
  await jetstream(orders).publish('orders.event.3.order.x', JSON.stringify({ command: 'list' }));
  await jetstream(orders).publish('orders.event.3.order.empty');
  // By a consumer: nobody is found there to deliver to.
  for (const [partition, deliver_subject] of targets.entries()) {
    const name = `orders-orders_v2-${partition}`;
    const config = { name, durable_name: name, deliver_subject, ack_policy: 'none', deliver_policy: 'all' };
    const request = { stream_name: 'ORDERS', action: 'create', config };
    const made = await orders.request(`$JS.API.CONSUMER.CREATE.ORDERS.${name}`, JSON.stringify(request));
    expect(made.json<{ push_bound?: boolean; error?: { description: string } }>().push_bound).not.toBe(true);
  }
  // By answers: what is stored in one's own journal, with all of its headers.
  for (const reply of targets) {
    for (const seq of [1, 2]) orders.publish('$JS.API.DIRECT.GET.ORDERS', JSON.stringify({ seq }), { reply });
  }
  await expect.poll(() => heard).toEqual(['views.payments', 'views.payments']);
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
