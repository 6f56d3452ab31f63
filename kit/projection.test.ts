import { create, toBinary } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { type Db, MongoClient } from 'mongodb';
import { expect, onTestFinished, test, vi } from 'vitest';
import { PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import { AccountOpenedSchema, MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { Header } from './event.ts';
import { allPartitions, partitionOf, subjectOf } from './partitions.ts';
import type { Projection } from './projection.ts';
import { startProxy } from './testing/proxy.ts';
import { type Bank, keysOfPartition, openBank, ownConnection, positionOf } from './testing/reacting.ts';
import { ownMongodb, ownNats, sharedMongoUri, sharedNatsUrl } from './testing/servers.ts';
import {
  type AccountDocument,
  accountsView,
  documentOf,
  ownDatabase,
  ownersOf,
  parkedOf,
  projectionOf,
} from './testing/viewing.ts';
import { type Checkpoint, checkpointId } from './view.ts';

type Accounts = Projection<AccountDocument>;

const soon = { timeout: 20_000, interval: 20 };

function reached(projection: Accounts, bank: Bank, key: string, sequence: number, timeoutMs = 20_000) {
  return projection.reached([positionOf(bank, key, sequence)], AbortSignal.timeout(timeoutMs));
}

async function amountsOf(projection: Accounts, key: string): Promise<number[] | undefined> {
  return (await documentOf(projection, key))?.amounts;
}

function consumerOf(bank: Bank, key: string): string {
  return `${bank.service}-accounts_v1-${partitionOf(key)}`;
}

async function lastShown(db: Db, partition: number): Promise<{ sequence: number | undefined }> {
  const checkpoint = await db.collection<Checkpoint>('accounts_v1').findOne({ _id: checkpointId(partition) });
  return { sequence: Object.values(checkpoint?.positions ?? {})[0] };
}

async function isReady(projection: Accounts): Promise<void> {
  await vi.waitFor(() => expect(projection.health()).toEqual({ ready: true, reasons: [] }), soon);
}

/** Deposits 1, 2, 3 ... under a key; resolves with the last one's sequence. */
async function depositMany(bank: Bank, key: string, count: number, from = 1): Promise<number> {
  let last = 0;
  for (let amount = from; amount < from + count; amount++) last = await bank.deposit(key, amount);
  return last;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

async function openedView(view?: Parameters<typeof accountsView>[1]) {
  const bank = await openBank(sharedNatsUrl());
  const uri = sharedMongoUri();
  const db = ownDatabase(uri);
  const projection = projectionOf(bank, db, { view: accountsView(bank, view) });
  return { bank, uri, db, projection: projection };
}

/** Publishes a message under a key's subject with these headers. */
async function publish(bank: Bank, key: string, data: Uint8Array, entries: Record<string, string>): Promise<number> {
  const head = headers();
  for (const [name, value] of Object.entries(entries)) head.set(name, value);
  return (await bank.broker.js.publish(subjectOf(bank.service, 'account', key), data, { headers: head })).seq;
}

const eventOf = (type: string) => ({
  [Header.type]: type,
  [Header.version]: '1',
  [Header.time]: '2026-01-01T00:00:00Z',
});

test('a view shows what was published, and a query that waits for a position sees it', async () => {
  const { bank, projection } = await openedView();
  await bank.deposit('anna', 1);
  const sequence = await bank.withdraw('anna', 2);
  void projection.own(allPartitions);
  await isReady(projection);
  await reached(projection, bank, 'anna', sequence);
  expect(await amountsOf(projection, 'anna')).toEqual([1, 2]);
});

test('a projection that is started again goes on where it was', async () => {
  const { bank, db, projection } = await openedView();
  void projection.own(allPartitions);
  await reached(projection, bank, 'anna', await bank.deposit('anna', 1));
  await projection.stop();
  const sequence = await bank.deposit('anna', 2);
  const again = projectionOf(bank, db);
  void again.own(allPartitions);
  await reached(again, bank, 'anna', sequence);
  expect(await documentOf(projection, 'anna')).toMatchObject({ amounts: [1, 2], revision: 2 });
});

test('messages that another puller of the consumer took away are applied all the same, and in order', async () => {
  const { bank, projection } = await openedView();
  void projection.own(allPartitions);
  await reached(projection, bank, 'anna', await bank.deposit('anna', 1));
  const consumer = await bank.broker.js.consumers.get(bank.journal.stream, consumerOf(bank, 'anna'));
  const taken: number[] = [];
  const thief = await consumer.consume({ max_messages: 10, callback: ({ seq }) => void taken.push(seq) });
  const last = await depositMany(bank, 'anna', 50, 2);
  await vi.waitFor(() => expect(taken.length).toBeGreaterThan(0), soon);
  await thief.close();
  await reached(projection, bank, 'anna', last);
  expect(await amountsOf(projection, 'anna')).toEqual(upTo(51));
});

test('the last message is noticed to be missing although none comes after it', async () => {
  const { bank, projection } = await openedView();
  void projection.own(allPartitions);
  await reached(projection, bank, 'anna', await bank.deposit('anna', 1));
  const consumer = await bank.broker.js.consumers.get(bank.journal.stream, consumerOf(bank, 'anna'));
  // The projection's request is the first in line, so it gets the first of two.
  const thief = await consumer.fetch({ max_messages: 1, expires: 20_000 });
  const next = thief[Symbol.asyncIterator]().next();
  await vi.waitFor(async () => expect((await consumer.info()).num_waiting).toBeGreaterThan(1), soon);
  const last = await depositMany(bank, 'anna', 2, 2);
  await next;
  await reached(projection, bank, 'anna', last);
  expect(await amountsOf(projection, 'anna')).toEqual([1, 2, 3]);
});

test('two processes that both believe to own everything have the result of one, and both answer queries', async () => {
  const { bank, db, projection } = await openedView();
  const other = projectionOf(bank, db, { broker: await ownConnection(sharedNatsUrl()) });
  const keys = upTo(20).map((number) => `account-${number}`);
  void projection.own(allPartitions);
  const first = keys.map((key) => depositMany(bank, key, 20));
  await Promise.all(first);
  void other.own(allPartitions);
  const last = await Promise.all(keys.map((key) => depositMany(bank, key, 20, 21)));
  for (const [index, key] of keys.entries()) {
    await Promise.all([projection, other].map((each) => reached(each, bank, key, last[index] ?? 0)));
    expect(await amountsOf(other, key)).toEqual(upTo(40));
  }
});

test('a partition that was taken over by mistake is taken back, and others are left alone', async () => {
  const { bank, db, projection } = await openedView();
  const other = projectionOf(bank, db);
  const [anna = ''] = keysOfPartition(3, 1);
  void projection.own(allPartitions);
  await reached(projection, bank, anna, await bank.deposit(anna, 1));
  const before = await ownersOf(db);
  void other.own([3]);
  await vi.waitFor(async () => expect((await ownersOf(db))[3]).not.toBe(before[3]), soon);
  const taken = await ownersOf(db);
  await other.stop();
  await reached(projection, bank, anna, await bank.deposit(anna, 2));
  expect(await amountsOf(projection, anna)).toEqual([1, 2]);
  const after = await ownersOf(db);
  expect(after[3]).not.toBe(taken[3]);
  expect(after.toSpliced(3, 1)).toEqual(before.toSpliced(3, 1));
});

test('partitions that stay owned are followed without a break, and those given up are let go', async () => {
  const { bank, db, projection } = await openedView();
  const [anna = ''] = keysOfPartition(3, 1);
  const [bert = ''] = keysOfPartition(5, 1);
  void projection.own([1, 3]);
  await reached(projection, bank, anna, await bank.deposit(anna, 1));
  const before = await ownersOf(db);
  await projection.own([3, 5]);
  await reached(projection, bank, bert, await bank.deposit(bert, 1));
  await reached(projection, bank, anna, await bank.deposit(anna, 2));
  const after = await ownersOf(db);
  expect(after[3]).toBe(before[3]);
  expect(new Set(projection.positions().map(({ partition }) => partition))).toEqual(new Set([3, 5]));
  await projection.own([5]);
  const { sequence } = (await lastShown(db, 3)) ?? {};
  await bank.deposit(anna, 3);
  await reached(projection, bank, bert, await bank.deposit(bert, 2));
  expect(await lastShown(db, 3)).toEqual({ sequence });
  await projection.own([3, 5]);
  await vi.waitFor(async () => expect(await amountsOf(projection, anna)).toEqual([1, 2, 3]), soon);
});

/** A projection that falls asleep between its look at anna's document, and at who owns it, and its second write. */
async function sleepyProjection(bank: Bank, uri: string) {
  const { pathname, origin } = new URL(uri);
  const proxy = await startProxy(origin === 'null' ? uri.slice(0, -pathname.length) : uri);
  onTestFinished(() => proxy.close());
  const asleep = Promise.withResolvers<void>();
  const view = accountsView(bank, {
    project: (document, { data }) => {
      if (data.amount === 2n) {
        proxy.hold('requests');
        asleep.resolve();
      }
      return { amounts: [...(document?.amounts ?? []), Number(data.amount)] };
    },
  });
  const sleeper = projectionOf(bank, ownDatabase(`${proxy.url}${pathname}`), { view, watchMs: 60_000 });
  return { sleeper, asleep: asleep.promise, wake: () => proxy.release('requests') };
}

test('an owner that slept cannot write over its successor', async () => {
  const { bank, uri, projection } = await openedView();
  const { sleeper, asleep, wake } = await sleepyProjection(bank, uri);
  void sleeper.own(allPartitions);
  await reached(sleeper, bank, 'anna', await bank.deposit('anna', 1));
  const last = await depositMany(bank, 'anna', 2, 2);
  await asleep;
  void projection.own(allPartitions);
  await reached(projection, bank, 'anna', last);
  const before = await documentOf(projection, 'anna');
  const drained = sleeper.stop();
  wake();
  await drained;
  expect(await documentOf(projection, 'anna')).toEqual(before);
  expect(before?.amounts).toEqual([1, 2, 3]);
});

test('a partition is given up only when the batch at work is written', async () => {
  const { bank, uri, db } = await openedView();
  const { sleeper, asleep, wake } = await sleepyProjection(bank, uri);
  void sleeper.own(allPartitions);
  await reached(sleeper, bank, 'anna', await bank.deposit('anna', 1));
  const last = await bank.deposit('anna', 2);
  await asleep;
  let isGivenUp = false;
  const givenUp = sleeper.own([]).then(() => {
    isGivenUp = true;
  });
  // As long as it takes to make a connection and to ask several times.
  for (let times = 0; times < 5; times++) await lastShown(db, partitionOf('anna'));
  expect(isGivenUp).toBe(false);
  wake();
  await givenUp;
  expect(await lastShown(db, partitionOf('anna'))).toEqual({ sequence: last });
});

test('a consumer that is set back under a running projection changes nothing in the view', async () => {
  const { bank, projection } = await openedView();
  void projection.own(allPartitions);
  await reached(projection, bank, 'anna', await depositMany(bank, 'anna', 10));
  const before = await documentOf(projection, 'anna');
  await bank.broker.manager.consumers.reset(bank.journal.stream, consumerOf(bank, 'anna'), 1);
  await reached(projection, bank, 'bert', await bank.deposit('bert', 1));
  await reached(projection, bank, 'anna', await bank.deposit('anna', 11));
  expect(await documentOf(projection, 'anna')).toEqual({
    ...before,
    amounts: upTo(11),
    revision: (before?.revision ?? 0) + 1,
    applied: expect.anything(),
  });
});

test('a view whose positions were lost gets every event again, and is as it was', async () => {
  const { bank, db, projection } = await openedView();
  void projection.own(allPartitions);
  await reached(projection, bank, 'anna', await depositMany(bank, 'anna', 10));
  await projection.stop();
  const before = await documentOf(projection, 'anna');
  await db.collection('accounts_v1').updateMany({ positions: { $exists: true } }, { $set: { positions: {} } });
  const again = projectionOf(bank, db);
  void again.own(allPartitions);
  await reached(again, bank, 'bert', await bank.deposit('bert', 1));
  await vi.waitFor(() => expect(again.positions().some(({ sequence }) => sequence === 10)).toBe(true), soon);
  expect(await documentOf(again, 'anna')).toEqual(before);
});

test('a consumer that was deleted by hand is made again, and nobody has to look for it', async () => {
  const bank = await openBank(sharedNatsUrl());
  const projection = projectionOf(bank, ownDatabase(sharedMongoUri()), { watchMs: 60_000 });
  void projection.own(allPartitions);
  await reached(projection, bank, 'anna', await bank.deposit('anna', 1));
  await bank.broker.manager.consumers.delete(bank.journal.stream, consumerOf(bank, 'anna'));
  await reached(projection, bank, 'anna', await bank.deposit('anna', 2));
  expect(await amountsOf(projection, 'anna')).toEqual([1, 2]);
  await isReady(projection);
});

test('a consumer with the settings of an older program is brought into line', async () => {
  const { bank, projection } = await openedView();
  await bank.broker.manager.consumers.add(bank.journal.stream, {
    durable_name: consumerOf(bank, 'anna'),
    filter_subjects: [`${bank.service}.event.0.other.*`],
    ack_policy: 'all',
    max_ack_pending: 17,
  });
  void projection.own(allPartitions);
  const sequence = await bank.deposit('anna', 1);
  await isReady(projection);
  await reached(projection, bank, 'anna', sequence);
  expect(await amountsOf(projection, 'anna')).toEqual([1]);
});

test('what can not be read is parked with the later events of its key, and other keys go on', async () => {
  const { bank, db, projection } = await openedView();
  const [anna = '', bert = '', cleo = '', dora = ''] = keysOfPartition(3, 4);
  await bank.deposit(anna, 1);
  void projection.own(allPartitions);
  const garbage = await publish(bank, anna, Buffer.from('ffffff', 'hex'), eventOf(MoneyDepositedSchema.typeName));
  const behind = await bank.deposit(anna, 2);
  const bare = await bank.raw(bert, Buffer.from('garbage'));
  const unknown = await publish(bank, cleo, new Uint8Array(), eventOf('somebody.else.v1.Thing'));
  const last = await bank.deposit(dora, 1);
  await reached(projection, bank, dora, last);
  expect(await amountsOf(projection, anna)).toEqual([1]);
  expect(await amountsOf(projection, dora)).toEqual([1]);
  expect(await parkedOf(bank, anna)).toEqual([
    { sequence: garbage, reason: 'CANNOT_DECODE' },
    { sequence: behind, reason: 'BEHIND_A_PARKED_MESSAGE' },
  ]);
  expect(await parkedOf(bank, bert)).toEqual([{ sequence: bare, reason: 'CANNOT_DECODE' }]);
  expect(await parkedOf(bank, cleo)).toEqual([{ sequence: unknown, reason: 'CANNOT_DECODE' }]);
  await projection.stop();

  const again = projectionOf(bank, db);
  void again.own(allPartitions);
  const later = await bank.deposit(anna, 3);
  await reached(again, bank, anna, later);
  expect(await amountsOf(again, anna)).toEqual([1]);
  expect(await parkedOf(bank, anna)).toContainEqual({ sequence: later, reason: 'BEHIND_A_PARKED_MESSAGE' });
});

test('a view that is rebuilt has of a parked key what came before the parked event', async () => {
  const { bank, db, projection } = await openedView();
  await depositMany(bank, 'anna', 3);
  await publish(bank, 'anna', Buffer.from('ffffff', 'hex'), eventOf(MoneyDepositedSchema.typeName));
  const last = await bank.deposit('anna', 5);
  void projection.own(allPartitions);
  await reached(projection, bank, 'anna', last);
  expect(await amountsOf(projection, 'anna')).toEqual([1, 2, 3]);
  await db.dropCollection('accounts_v1');
  await reached(projection, bank, 'anna', last);
  expect(await amountsOf(projection, 'anna')).toEqual([1, 2, 3]);
  expect(await parkedOf(bank, 'anna')).toHaveLength(2);
});

test('event types that a view does not look at, and those of a newer program, are left out and not parked', async () => {
  const { bank, projection } = await openedView();
  void projection.own(allPartitions);
  const opened = toBinary(AccountOpenedSchema, create(AccountOpenedSchema, { accountId: 'anna' }));
  await publish(bank, 'anna', opened, eventOf(AccountOpenedSchema.typeName));
  await publish(bank, 'anna', new Uint8Array(), eventOf('causeway.testing.v2.AccountFrozen'));
  const last = await bank.deposit('anna', 1);
  await reached(projection, bank, 'anna', last);
  expect(await amountsOf(projection, 'anna')).toEqual([1]);
  expect(await parkedOf(bank, 'anna')).toEqual([]);
});

test('an event that the projection throws at is parked with the later ones of its key, and other keys go on', async () => {
  const { bank, projection } = await openedView({
    project: (document, { data }) => {
      if (data.amount === 13n) throw new TypeError('a bug');
      return { amounts: [...(document?.amounts ?? []), Number(data.amount)] };
    },
  });
  const [anna = '', bert = ''] = keysOfPartition(3, 2);
  await bank.deposit(anna, 1);
  const bad = await bank.deposit(anna, 13);
  const behind = await bank.deposit(anna, 2);
  const last = await bank.deposit(bert, 1);
  void projection.own(allPartitions);
  await isReady(projection);
  await reached(projection, bank, bert, last);
  expect(await amountsOf(projection, anna)).toEqual([1]);
  expect(await amountsOf(projection, bert)).toEqual([1]);
  expect(await parkedOf(bank, anna)).toEqual([
    { sequence: bad, reason: 'FAILED' },
    { sequence: behind, reason: 'BEHIND_A_PARKED_MESSAGE' },
  ]);
});

test('a view that is dropped while it is followed rebuilds itself, and no query for a position sees the half of it', async () => {
  const { bank, db, projection } = await openedView();
  const last = await depositMany(bank, 'anna', 100);
  void projection.own(allPartitions);
  await isReady(projection);
  await reached(projection, bank, 'anna', last);
  for (let drops = 0; drops < 3; drops++) {
    await db.dropCollection('accounts_v1');
    await reached(projection, bank, 'anna', last);
    expect(await amountsOf(projection, 'anna')).toEqual(upTo(100));
  }
});

test('a view that is dropped although nothing happens, or while it is not followed, rebuilds itself', async () => {
  const { bank, db, projection } = await openedView();
  const last = await depositMany(bank, 'anna', 10);
  void projection.own(allPartitions);
  await isReady(projection);
  await reached(projection, bank, 'anna', last);
  await db.dropCollection('accounts_v1');
  await vi.waitFor(async () => expect(await amountsOf(projection, 'anna')).toEqual(upTo(10)), soon);
  await projection.stop();
  await db.dropCollection('accounts_v1');
  const again = projectionOf(bank, db);
  void again.own(allPartitions);
  await vi.waitFor(async () => expect(await amountsOf(again, 'anna')).toEqual(upTo(10)), soon);
});

test('a position that can not be is the fault of the field that holds it', async () => {
  const { bank, projection } = await openedView();
  void projection.own(allPartitions);
  await isReady(projection);
  const sequence = await bank.deposit('anna', 1);
  const { stream } = bank.journal;
  const partition = partitionOf('anna');
  const wrong = {
    'another journal': { stream: 'ELSEWHERE', partition, sequence: 1n },
    'a partition that is not there': { stream, partition: 8, sequence: 1n },
    'the partition of another key': { stream, partition: (partition + 1) % 8, sequence: BigInt(sequence) },
    'the future': { stream, partition, sequence: 1_000_000n },
  };
  for (const [what, position] of Object.entries(wrong)) {
    const asked = [positionOf(bank, 'anna', sequence), create(PositionSchema, position)];
    const answer = await projection.reached(asked, AbortSignal.timeout(20_000)).catch((error) => error);
    expect(answer, what).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { violations: [{ field: 'at_least[1]' }] },
    });
  }
});

test('a position of an event that the view does not look at is reached once the view has all before it', async () => {
  const { bank, projection } = await openedView();
  void projection.own(allPartitions);
  await isReady(projection);
  await bank.deposit('anna', 1);
  const subject = subjectOf(bank.service, 'safe', 'anna');
  const { seq } = await bank.broker.js.publish(subject, new Uint8Array());
  await reached(projection, bank, 'anna', seq);
  expect(await amountsOf(projection, 'anna')).toEqual([1]);
});

test('such a position is reached also where nothing that the view looks at has come since it was started', async () => {
  const { bank, projection } = await openedView();
  const subject = subjectOf(bank.service, 'safe', 'anna');
  for (const deposits of [0, 1]) {
    for (let count = 0; count < deposits; count++) await bank.deposit('anna', 1);
    const { seq } = await bank.broker.js.publish(subject, new Uint8Array());
    void projection.own(allPartitions);
    await isReady(projection);
    await reached(projection, bank, 'anna', seq, 3_000);
    expect(await amountsOf(projection, 'anna')).toEqual(deposits === 0 ? undefined : [1]);
    await projection.own([]);
    await bank.broker.js.publish(subject, new Uint8Array());
    void projection.own(allPartitions);
    await isReady(projection);
    await reached(projection, bank, 'anna', seq + 1, 3_000);
    await projection.own([]);
  }
});

test('a query whose deadline passes before the view is there is told so at once', async () => {
  const { bank, projection } = await openedView();
  void projection.own(allPartitions);
  await isReady(projection);
  await bank.broker.manager.consumers.pause(
    bank.journal.stream,
    consumerOf(bank, 'anna'),
    new Date(Date.now() + 60_000),
  );
  const sequence = await bank.deposit('anna', 1);
  const began = performance.now();
  const answer = await reached(projection, bank, 'anna', sequence, 10).catch((error) => error);
  expect(performance.now() - began).toBeLessThan(40);
  expect(answer).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});

test('many events of few documents are few writes, and checkpoints only rise', async () => {
  const { bank, uri } = await openedView();
  const keys = upTo(20).map((number) => `account-${number}`);
  const last = await Promise.all(keys.map((key) => depositMany(bank, key, 100)));
  const client = new MongoClient(uri, { monitorCommands: true });
  onTestFinished(() => client.close());
  const writes: string[] = [];
  const raised = new Map<string, number>();
  let fell = false;
  client.on('commandStarted', ({ commandName, command }) => {
    if (!['insert', 'update'].includes(commandName)) return;
    writes.push(commandName);
    for (const { q, u } of command.updates ?? []) {
      for (const [stream, position] of Object.entries((u.$max ?? {}) as Record<string, number>)) {
        fell ||= position < (raised.get(`${q._id} ${stream}`) ?? 0);
        raised.set(`${q._id} ${stream}`, position);
      }
    }
  });
  const projection = projectionOf(bank, client.db());
  void projection.own(allPartitions);
  for (const [index, key] of keys.entries()) {
    await vi.waitFor(() => reached(projection, bank, key, last[index] ?? 0), soon);
    expect(await amountsOf(projection, key)).toEqual(upTo(100));
  }
  expect(raised.size).toBeGreaterThan(3);
  expect(fell).toBe(false);
  // One bulk and its checkpoints for each batch, two commands where it both inserts and replaces.
  expect(writes.length).toBeLessThan(60);
});

test('a database that is away for a while is said, parks nothing, and the view goes on by itself', async () => {
  const [mongodb, bank] = await Promise.all([ownMongodb(), openBank(sharedNatsUrl())]);
  const projection = projectionOf(bank, ownDatabase(mongodb.url));
  void projection.own(allPartitions);
  const first = await bank.deposit('anna', 1);
  await isReady(projection);
  await reached(projection, bank, 'anna', first);
  await mongodb.kill();
  const began = performance.now();
  const answers = [
    reached(projection, bank, 'anna', first),
    reached(projection, bank, 'anna', await bank.deposit('anna', 2)),
    documentOf(projection, 'anna'),
  ];
  for (const answer of await Promise.allSettled(answers)) {
    expect(answer).toMatchObject({ status: 'rejected', reason: { name: 'UnavailableError' } });
  }
  expect(performance.now() - began).toBeLessThan(2_000);
  await vi.waitFor(() => expect(projection.health().ready).toBe(false), soon);
  expect(projection.health().reasons[0]).toMatch(/^view accounts: .+/);
  await mongodb.restart();
  const last = await bank.deposit('anna', 3);
  await isReady(projection);
  await reached(projection, bank, 'anna', last);
  expect(await amountsOf(projection, 'anna')).toEqual([1, 2, 3]);
  expect(await parkedOf(bank, 'anna')).toEqual([]);
});

test('a database that hangs is answered for within 2 s', async () => {
  const [mongodb, bank] = await Promise.all([ownMongodb(), openBank(sharedNatsUrl())]);
  const projection = projectionOf(bank, ownDatabase(mongodb.url));
  void projection.own(allPartitions);
  const sequence = await bank.deposit('anna', 1);
  await isReady(projection);
  await reached(projection, bank, 'anna', sequence);
  await mongodb.kill('SIGSTOP');
  const began = performance.now();
  const answers = await Promise.allSettled([
    reached(projection, bank, 'anna', sequence),
    documentOf(projection, 'anna'),
  ]);
  expect(performance.now() - began).toBeLessThan(2_000);
  for (const answer of answers) expect(answer).toMatchObject({ reason: { name: 'UnavailableError' } });
  await mongodb.kill('SIGCONT');
  await vi.waitFor(() => reached(projection, bank, 'anna', sequence), soon);
});

test('a broker that is started again finds the view going on', async () => {
  const nats = await ownNats({ syncAlways: true });
  const bank = await openBank(nats.url);
  const projection = projectionOf(bank, ownDatabase(sharedMongoUri()));
  void projection.own(allPartitions);
  const first = await bank.deposit('anna', 1);
  await isReady(projection);
  await reached(projection, bank, 'anna', first);
  await nats.kill();
  await vi.waitFor(() => expect(projection.health().ready).toBe(false), soon);
  // What is there already can be read meanwhile.
  await reached(projection, bank, 'anna', first);
  await nats.restart();
  await isReady(projection);
  const last = await vi.waitFor(() => bank.deposit('anna', 2), soon);
  await reached(projection, bank, 'anna', last);
  expect(await amountsOf(projection, 'anna')).toContain(2);
  expect(await parkedOf(bank, 'anna')).toEqual([]);
});
