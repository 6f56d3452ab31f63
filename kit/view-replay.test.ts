import { create, toBinary } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { expect, test, vi } from 'vitest';
import { MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { DeadLetterDesk } from './dead-letter-desk.ts';
import { UnavailableError } from './errors.ts';
import { Header } from './event.ts';
import { subjectOf } from './partitions.ts';
import type { Projection } from './projection.ts';
import { type Bank, keysOfPartition, openBank, ownConnection, positionOf } from './testing/reacting.ts';
import { ownMongodb, sharedMongoUri, sharedNatsUrl } from './testing/servers.ts';
import {
  type AccountDocument,
  accountsView,
  documentOf,
  ownDatabase,
  parkedOf,
  projectionOf,
} from './testing/viewing.ts';

type Accounts = Projection<AccountDocument>;

const [anna = '', bert = ''] = keysOfPartition(3, 2);
const soon = { timeout: 20_000, interval: 20 };

/** A view that throws at the amounts in `bad`, followed, and a desk. */
async function openView(bad: number[], documentId?: () => string, uri = sharedMongoUri()) {
  const bank = await openBank(sharedNatsUrl());
  const refused = new Set(bad.map(BigInt));
  const view = accountsView(bank, {
    ...(documentId === undefined ? {} : { documentId }),
    project: (document, { data: { amount } }) => {
      if (refused.has(amount)) throw new TypeError(`a bug at ${amount}`);
      return { amounts: [...(document?.amounts ?? []), Number(amount)] };
    },
  });
  const db = ownDatabase(uri);
  const projection = projectionOf(bank, db, { view });
  void projection.own([3]);
  await vi.waitFor(() => expect(projection.health().ready).toBe(true), soon);
  const row = (key: string) => ({ consumer: projection.name, partition: 3, key });
  return { bank, db, projection, view, refused, desk: new DeadLetterDesk(bank.broker), row };
}

async function deposit(bank: Bank, projection: Accounts, key: string, ...amounts: number[]): Promise<void> {
  let last = 0;
  for (const amount of amounts) last = await bank.deposit(key, amount);
  await projection.reached([positionOf(bank, key, last)], AbortSignal.timeout(20_000));
}

async function amountsOf(projection: Accounts, id: string): Promise<number[] | undefined> {
  return (await documentOf(projection, id))?.amounts;
}

test('a replay brings the events of a key into the view in order, and later ones follow as ever', async () => {
  const { bank, projection, desk, refused, row } = await openView([13]);
  await deposit(bank, projection, anna, 1, 13, 2);
  await deposit(bank, projection, bert, 1);
  expect(await parkedOf(bank, anna)).toHaveLength(2);
  refused.clear();
  expect(await desk.replay(row(anna))).toEqual({ handled: 2, remaining: 0, error: '' });
  expect(await amountsOf(projection, anna)).toEqual([1, 13, 2]);
  expect(await parkedOf(bank, anna)).toEqual([]);
  await deposit(bank, projection, anna, 3);
  expect(await amountsOf(projection, anna)).toEqual([1, 13, 2, 3]);
});

test('an event that the projection throws at again, or can not read, stays with what it said', async () => {
  const { bank, projection, desk, refused, row } = await openView([13, 14]);
  await deposit(bank, projection, anna, 13, 14, 2);
  refused.delete(13n);
  expect(await desk.replay(row(anna))).toEqual({ handled: 1, remaining: 2, error: 'a bug at 14' });
  expect(await amountsOf(projection, anna)).toEqual([13]);
  await deposit(bank, projection, anna, 3);
  expect(await parkedOf(bank, anna)).toHaveLength(3);
  const [found] = await desk.rows({ consumer: projection.name });
  expect(found).toMatchObject({ count: 3, first: { reason: 'FAILED', error: 'a bug at 14', attempts: 1 } });
  const edited = Buffer.from('ffffff', 'hex');
  const { error, ...counts } = await desk.replay(row(anna), { edited });
  expect(counts).toEqual({ handled: 0, remaining: 3 });
  expect(error).not.toBe('');
  expect((await desk.rows({ consumer: projection.name }))[0]?.first).toMatchObject({ reason: 'CANNOT_DECODE' });
});

test('an edited event is applied as if it said that', async () => {
  const { bank, projection, desk, row } = await openView([]);
  const head = headers();
  head.set(Header.type, MoneyDepositedSchema.typeName);
  head.set(Header.version, '1');
  head.set(Header.time, '2026-01-01T00:00:00Z');
  const subject = subjectOf(bank.service, 'account', anna);
  await bank.broker.js.publish(subject, Buffer.from('ffffff', 'hex'), { headers: head });
  await deposit(bank, projection, anna, 2);
  const edited = toBinary(MoneyDepositedSchema, create(MoneyDepositedSchema, { accountId: anna, amount: 9n }));
  expect(await desk.replay(row(anna), { edited })).toEqual({ handled: 2, remaining: 0, error: '' });
  expect(await amountsOf(projection, anna)).toEqual([9, 2]);
});

test('a discard takes the row away for the owner too', async () => {
  const { bank, projection, desk, row } = await openView([13]);
  await deposit(bank, projection, anna, 13, 2);
  expect(await desk.discard(row(anna), { firstOnly: true })).toBe(1);
  await deposit(bank, projection, anna, 3);
  expect(await parkedOf(bank, anna)).toHaveLength(2);
  expect(await desk.discard(row(anna), { firstOnly: false })).toBe(2);
  await deposit(bank, projection, anna, 4);
  expect(await amountsOf(projection, anna)).toEqual([4]);
});

test('in a document of several keys what comes late is applied, and once, although later events are in it', async () => {
  const { bank, db, projection, view, desk, refused, row } = await openView([13], () => 'all');
  await deposit(bank, projection, anna, 13, 2);
  await deposit(bank, projection, bert, 5);
  expect(await amountsOf(projection, 'all')).toEqual([5]);
  const letters = await desk.rows({ consumer: projection.name });
  refused.clear();
  // As after a crash between the view's write and the letter's end.
  const first = await desk.letter(letters[0]?.first.sequence ?? 0);
  expect(await desk.replay(row(anna))).toEqual({ handled: 2, remaining: 0, error: '' });
  expect(await amountsOf(projection, 'all')).toEqual([5, 13, 2]);
  const head = headers();
  for (const name of first?.message.headers.keys() ?? []) head.set(name, first?.message.headers.get(name) ?? '');
  head.set('Causeway-Dead-Stream', bank.journal.stream);
  head.set('Causeway-Dead-Sequence', String(first?.streamSequence));
  head.set('Causeway-Dead-Subject', first?.message.subject ?? '');
  head.set('Causeway-Dead-Time', new Date().toISOString());
  const subject = `dead.${projection.name}.3.${anna}`;
  await bank.broker.js.publish(subject, first?.message.data, { headers: head });
  expect(await desk.replay(row(anna))).toEqual({ handled: 1, remaining: 0, error: '' });
  expect(await amountsOf(projection, 'all')).toEqual([5, 13, 2]);
  await deposit(bank, projection, bert, 6);
  expect(await amountsOf(projection, 'all')).toEqual([5, 13, 2, 6]);
  expect((await documentOf(projection, 'all'))?.late).toHaveLength(2);
  // A rebuild has everything in its order, and nothing came late.
  await projection.stop();
  await db.dropCollection('accounts_v1');
  const again = projectionOf(bank, db, { view });
  void again.own([3]);
  await vi.waitFor(async () => expect(await amountsOf(again, 'all')).toEqual([13, 2, 5, 6]), soon);
});

test('in a rebuild a replay waits until the view has come to the event again', async () => {
  const { bank, db, projection, refused, desk, row } = await openView([13]);
  await deposit(bank, projection, anna, 1, 13, 2);
  await projection.stop();
  await db.dropCollection('accounts_v1');
  refused.clear();
  const { broker } = bank;
  const again = projectionOf(bank, db, { broker: await ownConnection(sharedNatsUrl()) });
  // Nothing is delivered to it yet.
  const consumer = `${again.name}-3`;
  const pausing = new Date(Date.now() + 3_600_000);
  await broker.manager.consumers.pause(bank.journal.stream, consumer, pausing);
  void again.own([3]);
  await vi.waitFor(() => expect(again.health().ready).toBe(true), soon);
  expect(await desk.replay(row(anna))).toMatchObject({
    handled: 0,
    remaining: 2,
    error: 'the view has not come to this event again yet',
  });
  await broker.manager.consumers.resume(bank.journal.stream, consumer);
  await vi.waitFor(async () => expect((await desk.replay(row(anna))).remaining).toBe(0), soon);
  expect(await amountsOf(again, anna)).toEqual([1, 13, 2]);
});

test('while the database is away a replay says so, counts no attempt, and works once it is back', async () => {
  const mongodb = await ownMongodb();
  const { bank, projection, desk, refused, row } = await openView([13], undefined, `${mongodb.url}/own`);
  await deposit(bank, projection, anna, 13);
  refused.clear();
  await mongodb.kill();
  const outcome = await desk.replay(row(anna)).then(
    ({ error, handled }) => ({ error, handled }),
    (error) => ({ error, handled: 0 }),
  );
  expect(outcome.handled).toBe(0);
  expect(typeof outcome.error === 'string' ? outcome.error : outcome.error instanceof UnavailableError).toBeTruthy();
  expect((await desk.rows({ consumer: projection.name }))[0]?.first).toMatchObject({ attempts: 1 });
  await mongodb.restart();
  await vi.waitFor(async () => expect(await desk.replay(row(anna))).toMatchObject({ handled: 1, remaining: 0 }), soon);
  expect(await amountsOf(projection, anna)).toEqual([13]);
});
