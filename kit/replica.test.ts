import { headers } from '@nats-io/transport-node';
import type { Db } from 'mongodb';
import { expect, onTestFinished, test, vi } from 'vitest';
import { MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import type { Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import { Header } from './event.ts';
import { allPartitions, subjectOf } from './partitions.ts';
import { Replica } from './replica.ts';
import { silent } from './telemetry/logging.ts';
import { type Bank, openBank, ownConnection } from './testing/reacting.ts';
import { ownMongodb, ownNats, sharedMongoUri, sharedNatsUrl } from './testing/servers.ts';
import { type AccountDocument, accountsView, documentOf, ownDatabase, projectionOf } from './testing/viewing.ts';

const soon = { timeout: 20_000, interval: 20 };

type Options = { broker?: Broker; changes?: Parameters<typeof accountsView>[1]; logged?: string[] };

/** A replica of the bank's accounts; stopped when the test ends. */
async function replicaOf(bank: Bank, db: Db, { broker = bank.broker, changes, logged = [] }: Options = {}) {
  const logger = { ...silent, error: (_: object, message: string) => void logged.push(message) };
  const personalData = { find: async () => undefined };
  const replica = new Replica<AccountDocument>(accountsView(bank, changes), { broker, db, personalData, logger });
  onTestFinished(() => replica.stop());
  await replica.start();
  return replica;
}

async function consumersOf({ broker, journal }: Bank): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of broker.manager.consumers.list(journal.stream)) names.push(name);
  return names;
}

async function shows(replica: Replica<AccountDocument>, key: string, amounts: number[]): Promise<void> {
  await vi.waitFor(async () => expect((await replica.get(key))?.amounts).toEqual(amounts), soon);
}

test('a replica without anything in the database has what is in the journal, and follows it', async () => {
  const bank = await openBank(sharedNatsUrl());
  await bank.deposit('anna', 1);
  const replica = await replicaOf(bank, ownDatabase(sharedMongoUri()));
  expect(await replica.get('anna')).toEqual({ amounts: [1] });
  await bank.deposit('anna', 2);
  await shows(replica, 'anna', [1, 2]);
});

test('a key is looked for in the journal before it is said not to exist', async () => {
  const bank = await openBank(sharedNatsUrl());
  const replica = await replicaOf(bank, ownDatabase(sharedMongoUri()));
  expect(await replica.get('nobody')).toBeUndefined();
  for (let number = 0; number < 50; number++) {
    await bank.deposit(`account-${number}`, number);
    expect(await replica.get(`account-${number}`)).toEqual({ amounts: [number] });
  }
});

/** The same broker, with what subscriptions hear changed on its way. */
function hearing(broker: Broker, change: (subject: string, hear: () => void) => void): Broker {
  const { connection } = broker;
  const subscribe: typeof connection.subscribe = (subject, options) =>
    connection.subscribe(subject, {
      ...options,
      callback: (...heard) => change(subject, () => options?.callback?.(...heard)),
    });
  return { ...broker, connection: Object.assign(Object.create(connection), { subscribe }) };
}

const isLive = (subject: string) => subject.startsWith('live.');

test('all documents have what stood in the journal when they were asked for, however late it is read', async () => {
  const bank = await openBank(sharedNatsUrl());
  const broker = hearing(bank.broker, (_, hear) => setTimeout(hear, 20));
  const replica = await replicaOf(bank, ownDatabase(sharedMongoUri()), { broker });
  expect(await replica.all()).toEqual(new Map());
  for (const number of [1, 2, 3]) {
    await bank.deposit(`account-${number}`, number);
    const [all, shared] = await Promise.all([replica.all(), replica.all()]);
    expect(all.get(`account-${number}`)).toEqual({ amounts: [number] });
    expect(all.size).toBe(number);
    expect(shared).toEqual(all);
  }
});

test('what happened while a replica was away is read before it answers', async () => {
  const bank = await openBank(sharedNatsUrl());
  const db = ownDatabase(sharedMongoUri());
  await bank.deposit('anna', 1);
  const projection = projectionOf(bank, db);
  void projection.own(allPartitions);
  await vi.waitFor(async () => expect(await documentOf(projection, 'anna')).toBeDefined(), soon);
  await projection.stop();
  await Promise.all(Array.from({ length: 1_000 }, (_, number) => bank.deposit(`account-${number}`, number)));
  await bank.deposit('anna', 2);

  const replica = await replicaOf(bank, db);
  expect(replica.health()).toMatchObject({ ready: false });

  expect(await replica.get('anna')).toEqual({ amounts: [1, 2] });
  expect(replica.health()).toMatchObject({ ready: true });
});

test('a replica begins with what the database has, and applies nothing of it twice', async () => {
  const bank = await openBank(sharedNatsUrl());
  const db = ownDatabase(sharedMongoUri());
  await bank.deposit('anna', 1);
  await bank.deposit('bert', 1);
  const projection = projectionOf(bank, db);
  void projection.own(allPartitions);
  await vi.waitFor(async () => expect(await documentOf(projection, 'bert')).toBeDefined(), soon);
  await vi.waitFor(async () => expect(await documentOf(projection, 'anna')).toBeDefined(), soon);
  await projection.stop();
  await bank.deposit('anna', 2);
  let projected = 0;
  const replica = await replicaOf(bank, db, {
    changes: {
      project: (document, { data }) => {
        projected++;
        return { amounts: [...(document?.amounts ?? []), Number(data.amount)] };
      },
    },
  });
  await shows(replica, 'anna', [1, 2]);
  expect(await replica.get('bert')).toMatchObject({ amounts: [1] });
  expect(projected).toBe(1);
});

test('a replica that can not ask the database reads the journal from its start', async () => {
  const [mongodb, bank] = await Promise.all([ownMongodb(), openBank(sharedNatsUrl())]);
  await mongodb.kill();
  await bank.deposit('anna', 1);
  const replica = await replicaOf(bank, ownDatabase(mongodb.url));
  expect(await replica.get('anna')).toEqual({ amounts: [1] });
});

test('what can not be read, or is thrown at, is left out and said', async () => {
  const bank = await openBank(sharedNatsUrl());
  const logged: string[] = [];
  const head = headers();
  head.set(Header.type, MoneyDepositedSchema.typeName);
  await bank.broker.js.publish(subjectOf(bank.service, 'account', 'anna'), Buffer.from('ff', 'hex'), { headers: head });
  await bank.raw('bert', new Uint8Array());
  await bank.deposit('cleo', 13);
  await bank.deposit('dora', 1);
  const replica = await replicaOf(bank, ownDatabase(sharedMongoUri()), {
    logged,
    changes: {
      project: (_, { data }) => {
        if (data.amount === 13n) throw new TypeError('a bug');
        return { amounts: [Number(data.amount)] };
      },
    },
  });
  expect(await replica.get('dora')).toEqual({ amounts: [1] });
  expect(logged).toEqual(['left out: it can not be read', 'left out: it can not be read']);
});

test('what a replica is not told live it sees all the same', async () => {
  const bank = await openBank(sharedNatsUrl());
  const broker = hearing(bank.broker, (subject, hear) => !isLive(subject) && hear());
  const replica = await replicaOf(bank, ownDatabase(sharedMongoUri()), { broker });
  await bank.deposit('anna', 1);
  await shows(replica, 'anna', [1]);
  await bank.deposit('anna', 2);
  await shows(replica, 'anna', [1, 2]);
});

test('a replica that starts while the broker is away, and one that loses it, go on when it is back', async () => {
  const nats = await ownNats({ syncAlways: true });
  const bank = await openBank(nats.url);
  const db = ownDatabase(sharedMongoUri());
  const early = await replicaOf(bank, db, { broker: await ownConnection(nats.url) });
  await bank.deposit('anna', 1);
  await shows(early, 'anna', [1]);
  await nats.kill();
  await vi.waitFor(() => expect(bank.broker.connected()).toBe(false), soon);
  const late = await replicaOf(bank, db);
  await vi.waitFor(() => expect(late.health().reasons[0]).toMatch(/^accounts in memory: .+/), soon);
  await expect(late.get('anna')).rejects.toThrow(UnavailableError);
  expect(await early.get('anna')).toEqual({ amounts: [1] });
  await nats.restart();
  await vi.waitFor(() => bank.deposit('bert', 1), soon);
  for (const replica of [early, late]) {
    await vi.waitFor(() => expect(replica.health().ready).toBe(true), soon);
    await vi.waitFor(async () => expect((await replica.get('bert'))?.amounts).toContain(1), soon);
    expect(await replica.get('anna')).toEqual({ amounts: [1] });
  }
});

test('a replica that is stopped follows no longer, and one that follows has no consumer', async () => {
  const bank = await openBank(sharedNatsUrl());
  let followed = 0;
  const broker = hearing(bank.broker, (subject) => isLive(subject) && followed++);
  const replica = await replicaOf(bank, ownDatabase(sharedMongoUri()), { broker });
  await vi.waitFor(() => expect(replica.health().ready).toBe(true), soon);
  await bank.deposit('anna', 1);
  await vi.waitFor(() => expect(followed).toBe(1), soon);
  expect(await consumersOf(bank)).toEqual([]);
  await replica.stop();
  await bank.deposit('anna', 2);
  await bank.broker.connection.flush();
  expect(followed).toBe(1);
});
