import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { Collection, type Db } from 'mongodb';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type MoneyDeposited, MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { EventTypes, type RecordedEvent } from './event.ts';
import { allPartitions, partitionOf } from './partitions.ts';
import { startProxy } from './testing/proxy.ts';
import { sharedMongoUri } from './testing/servers.ts';
import { ownDatabase } from './testing/viewing.ts';
import { collectionOf, type Stored, type View } from './view.ts';
import { SupersededError, ViewLostError, ViewStore } from './view-store.ts';

type Amounts = { amounts: number[] };

const view: View<Amounts, MoneyDeposited> = {
  name: 'amounts',
  version: 1,
  sources: [{ journal: { service: 'bank', stream: 'BANK', maxBytes: 1_000_000 }, aggregate: 'account' }],
  types: new EventTypes([MoneyDepositedSchema]),
  project: (document, { data }) => ({ amounts: [...(document?.amounts ?? []), Number(data.amount)] }),
};

/** The key's event of this version; its amount and its sequence are the version too. */
function deposited(key: string, version: number): RecordedEvent<MoneyDeposited> {
  return {
    id: `${key}.${version}`,
    type: MoneyDepositedSchema.typeName,
    source: 'bank',
    key,
    time: new Date(version),
    version,
    correlationId: '',
    causationId: '',
    actor: '',
    traceparent: '',
    tracestate: '',
    stream: 'BANK',
    partition: partitionOf(key),
    sequence: version,
    subject: `bank.event.${partitionOf(key)}.account.${key}`,
    data: create(MoneyDepositedSchema, { accountId: key, amount: BigInt(version) }),
    keyId: '',
  };
}

const never = () => Promise.reject(new Error('an event was refused'));

async function found(db: Db, id: string): Promise<Stored<Amounts> | null> {
  return db.collection<Stored<Amounts>>(collectionOf(view)).findOne({ _id: id });
}

/** A store whose connection stops between its look at the documents and its write, once; `written` says how it ended. */
async function slowStore(uri: string, changes: Partial<typeof view> = {}) {
  const { pathname } = new URL(uri);
  const proxy = await startProxy(new URL(uri).origin === 'null' ? uri.slice(0, -pathname.length) : uri);
  onTestFinished(() => proxy.close());
  let stopped = false;
  const reading = Promise.withResolvers<void>();
  const store = storeOf(ownDatabase(`${proxy.url}${pathname}`), {
    ...view,
    project: (document, event) => {
      if (!stopped) proxy.hold('requests');
      stopped = true;
      reading.resolve();
      return view.project(document, event as RecordedEvent<MoneyDeposited>);
    },
    ...changes,
  });
  return { store, proxy, hasRead: reading.promise };
}

function storeOf(db: Db, of: Partial<typeof view> = view): ViewStore<Amounts> {
  return new ViewStore({ ...view, ...of } as View<Amounts>, db.collection<Stored<Amounts>>(collectionOf(view)));
}

test('a write that is based on a document that was changed meanwhile is made again', async () => {
  const uri = sharedMongoUri();
  const db = ownDatabase(uri);
  const quick = storeOf(db);
  const slow = await slowStore(uri);
  const claim = await quick.claim('both', allPartitions);
  await quick.write([deposited('anna', 1), deposited('bert', 1)], claim, never);
  const behindAndAhead = [deposited('anna', 2), deposited('bert', 2), deposited('bert', 3)];
  const written = slow.store.write(behindAndAhead, claim, never);
  await slow.hasRead;
  await quick.write([deposited('anna', 2), deposited('anna', 3), deposited('bert', 2)], claim, never);
  slow.proxy.release('requests');
  await written;
  expect(await found(db, 'anna')).toMatchObject({ amounts: [1, 2, 3], applied: { BANK: 3 } });
  expect(await found(db, 'bert')).toMatchObject({ amounts: [1, 2, 3], applied: { BANK: 3 } });
});

test('a document that two aggregates of one journal make has what the second adds, although it is its first event', async () => {
  const [source] = view.sources;
  const sources = [source, { ...source, aggregate: 'card' }] as View<Amounts>['sources'];
  // Only an account makes a document, of which version 1 is then there.
  const project: typeof view.project = (document, event) =>
    document !== undefined || event.subject.includes('.account.') ? view.project(document, event) : undefined;
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db, { ...view, sources, project });
  const claim = await store.claim('one', allPartitions);
  await store.write([deposited('anna', 1)], claim, never);
  const subject = `bank.event.${partitionOf('anna')}.card.anna`;
  await store.write([{ ...deposited('anna', 1), sequence: 2, subject }], claim, never);
  expect(await found(db, 'anna')).toMatchObject({ amounts: [1, 1], applied: { BANK: 2 } });
});

test('two that insert the same document at the same time make one, with what both have', async () => {
  const uri = sharedMongoUri();
  const db = ownDatabase(uri);
  const quick = storeOf(db);
  const slow = await slowStore(uri);
  const claim = await quick.claim('both', allPartitions);
  const written = slow.store.write([deposited('anna', 1), deposited('anna', 2)], claim, never);
  await slow.hasRead;
  await quick.write([deposited('anna', 1)], claim, never);
  slow.proxy.release('requests');
  await written;
  expect(await found(db, 'anna')).toMatchObject({ amounts: [1, 2], applied: { BANK: 2 } });
});

test('events that come a second time, also late and behind newer ones, change nothing', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db);
  const claim = await store.claim('me', allPartitions);
  await store.write([deposited('anna', 1), deposited('anna', 2), deposited('anna', 3)], claim, never);
  const before = await found(db, 'anna');
  await store.write([deposited('anna', 1), deposited('anna', 2)], claim, never);
  await store.write([deposited('anna', 1)], claim, never);
  expect(await found(db, 'anna')).toEqual(before);
});

const eachOfItsOwn: View<Amounts, MoneyDeposited> = {
  ...view,
  appendOnly: true,
  documentId: ({ key, sequence }) => `${key}:${sequence}`,
};

test('where each event makes a document of its own, none is looked for, and what comes again changes nothing', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db, eachOfItsOwn);
  const claim = await store.claim('me', allPartitions);
  const find = vi.spyOn(Collection.prototype, 'find');
  onTestFinished(() => find.mockRestore());
  await store.write([deposited('anna', 1), deposited('anna', 2), deposited('bert', 2)], claim, never);
  expect(JSON.stringify(find.mock.calls)).not.toMatch(/anna|bert/);
  const ids = ['anna:1', 'anna:2', 'bert:2'];
  const before = await Promise.all(ids.map((id) => found(db, id)));
  expect(before.map((document) => document?.amounts)).toEqual([[1], [2], [2]]);
  await store.write([deposited('anna', 1), deposited('bert', 2), deposited('anna', 3)], claim, never);
  expect(await Promise.all(ids.map((id) => found(db, id)))).toEqual(before);
  expect(await found(db, 'anna:3')).toMatchObject({ amounts: [3] });
});

test('a document of its own that a slow writer left from before a drop is taken into the new view', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db, eachOfItsOwn);
  const before = await store.claim('before', allPartitions);
  await store.write([deposited('anna', 1)], before, never);
  const left = await found(db, 'anna:1');
  await db.dropCollection(collectionOf(view));
  const claim = await store.claim('after', allPartitions);
  await db.collection(collectionOf(view)).insertOne({ ...left } as never);
  await store.write([deposited('anna', 1)], claim, never);
  await store.claim('next', allPartitions);
  expect(await found(db, 'anna:1')).toMatchObject({ amounts: [1] });
});

test('whoever lost the view to another owner can write neither documents nor checkpoints', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db);
  const mine = await store.claim('me', allPartitions);
  await store.raise(new Map([[4, { BANK: 7 }]]), mine);
  const theirs = await store.claim('they', allPartitions);
  await expect(store.write([deposited('anna', 1)], mine, never)).rejects.toThrow(SupersededError);
  await expect(store.raise(new Map([[4, { BANK: 9 }]]), mine)).rejects.toThrow(SupersededError);
  expect(await found(db, 'anna')).toBeNull();
  expect((await store.checkpoints(allPartitions)).get(4)).toMatchObject({ positions: { BANK: 7 } });
  await store.write([deposited('anna', 1)], theirs, never);
});

test('a checkpoint never falls', async () => {
  const store = storeOf(ownDatabase(sharedMongoUri()));
  const claim = await store.claim('me', allPartitions);
  await store.raise(new Map([[4, { BANK: 7, OTHER: 3 }]]), claim);
  await store.raise(new Map([[4, { BANK: 5 }]]), claim);
  expect((await store.checkpoints(allPartitions)).get(4)?.positions).toEqual({ BANK: 7, OTHER: 3 });
});

test('after a drop neither a document nor a checkpoint of before can come into the new view', async () => {
  const uri = sharedMongoUri();
  const db = ownDatabase(uri);
  const store = storeOf(db);
  const slow = await slowStore(uri);
  const before = await store.claim('me', allPartitions);
  // Knows nothing of the first event, as somebody does who goes on while the view is dropped.
  const written = slow.store.write([deposited('anna', 2)], before, never);
  await slow.hasRead;
  await db.dropCollection(collectionOf(view));
  const after = await store.claim('me', allPartitions);
  slow.proxy.release('requests');
  await written;
  expect(await found(db, 'anna')).toMatchObject({ amounts: [2] });
  await expect(store.raise(new Map([[partitionOf('anna'), { BANK: 2 }]]), before)).rejects.toThrow(ViewLostError);
  await expect(store.write([deposited('anna', 3)], before, never)).rejects.toThrow(ViewLostError);
  await store.write([deposited('anna', 1), deposited('anna', 2)], after, never);
  expect(await found(db, 'anna')).toMatchObject({ amounts: [1, 2], applied: { BANK: 2 } });
  expect((await store.checkpoints(allPartitions)).get(partitionOf('anna'))?.positions).toEqual({});
});

test('where only the checkpoints were removed, the documents of before are removed with them', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db);
  const claim = await store.claim('me', allPartitions);
  await store.write([deposited('anna', 1)], claim, never);
  await db.collection(collectionOf(view)).deleteMany({ positions: { $exists: true } });
  await store.claim('me', allPartitions);
  expect(await found(db, 'anna')).toBeNull();
});

test('a bulk whose connection breaks has not been written', async () => {
  const uri = sharedMongoUri();
  const db = ownDatabase(uri);
  const slow = await slowStore(uri);
  const claim = await storeOf(db).claim('me', allPartitions);
  const written = slow.store.write([deposited('anna', 1)], claim, never);
  written.catch(() => {});
  await slow.hasRead;
  slow.proxy.cut();
  await expect(written).rejects.toThrow();
  expect(await found(db, 'anna')).toBeNull();
});

test('a document that a unique index of the view refuses is not tried for ever', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db, { ...view, indexes: [{ key: { amounts: 1 }, unique: true, sparse: true }] });
  const claim = await store.claim('me', allPartitions);
  await store.write([deposited('anna', 1)], claim, never);
  await expect(store.write([deposited('bert', 1)], claim, never)).rejects.toThrow('bert');
});

test('an event that the projection throws at is refused with its later ones, and the others are written', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db, {
    ...view,
    project: (document, event) => {
      if (event.version === 2 && event.key === 'anna') throw new TypeError('a bug');
      return view.project(document, event as RecordedEvent<MoneyDeposited>);
    },
  });
  const claim = await store.claim('me', allPartitions);
  const refused: string[] = [];
  const events = [deposited('anna', 1), deposited('bert', 2), deposited('anna', 2), deposited('anna', 3)];
  await store.write(events, claim, async ({ event, error }) => {
    refused.push(`${event.id} ${error instanceof Error ? error.message : error}`);
  });
  expect(refused).toEqual(['anna.2 a bug', 'anna.3 undefined']);
  expect(await found(db, 'anna')).toMatchObject({ amounts: [1], applied: { BANK: 1 } });
  expect(await found(db, 'bert')).toMatchObject({ amounts: [2] });
});

test('an event of a version that makes no document leaves the one that is there as it is', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db, {
    ...view,
    project: (document, event) =>
      event.version === 2 ? undefined : view.project(document, event as RecordedEvent<MoneyDeposited>),
  });
  const claim = await store.claim(randomUUID(), allPartitions);
  await store.write([deposited('anna', 1), deposited('anna', 2), deposited('anna', 3)], claim, never);
  expect(await found(db, 'anna')).toMatchObject({ amounts: [1, 3], applied: { BANK: 3 } });
});

test('documents that were discarded are not claimed, and not brought back to life', async () => {
  const db = ownDatabase(sharedMongoUri());
  const discarded = async () => {
    throw new Error('discarded');
  };
  const documents = db.collection<Stored<Amounts>>(collectionOf(view));
  const store = new ViewStore(view as View<Amounts>, documents, discarded);
  await expect(store.claim('me', allPartitions)).rejects.toThrow('discarded');
  expect(await db.listCollections().toArray()).toEqual([]);
});

test('what was discarded while it was claimed is not claimed', async () => {
  const documents = ownDatabase(sharedMongoUri()).collection<Stored<Amounts>>(collectionOf(view));
  const requireLive = vi.fn(async () => {}).mockResolvedValueOnce();
  requireLive.mockImplementation(async () => {
    throw new Error('discarded');
  });
  const store = new ViewStore(view as View<Amounts>, documents, requireLive);
  await expect(store.claim('me', allPartitions)).rejects.toThrow('discarded');
  expect(requireLive).toHaveBeenCalledTimes(2);
});
