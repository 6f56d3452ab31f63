import { create } from '@bufbuild/protobuf';
import type { Db } from 'mongodb';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type AccountOpened, AccountOpenedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { ErasedKeys } from './erased-keys.ts';
import { TransientError } from './errors.ts';
import { EventTypes, eventHeaders, Header, type RecordedEvent } from './event.ts';
import { OwnedWork } from './owned-work.ts';
import { allPartitions, partitionOf, subjectOf } from './partitions.ts';
import { DataKey, sealed } from './personal-data.ts';
import { Projection } from './projection.ts';
import { Replica } from './replica.ts';
import { silent } from './telemetry/logging.ts';
import { openBank } from './testing/reacting.ts';
import { sharedMongoUri, sharedNatsUrl } from './testing/servers.ts';
import { ownDatabase } from './testing/viewing.ts';
import { collectionOf, type Stored, type View } from './view.ts';
import { carryOver } from './view-carry-over.ts';
import { eraseFrom, eraseFromView } from './view-erasure.ts';
import { ViewStore } from './view-store.ts';

type Holder = { customerId: string; name: string };

const view: View<Holder, AccountOpened> = {
  name: 'holders',
  version: 2,
  sources: [{ journal: { service: 'bank', stream: 'BANK', maxBytes: 1_000_000 }, aggregate: 'account' }],
  types: new EventTypes([AccountOpenedSchema]),
  project: (_, { data }) => ({ customerId: data.accountId.split('-')[0] ?? '', name: data.ownerName }),
  ownerField: 'customerId',
  erased: (holder) => ({ ...holder, name: '' }),
};

const annas = { owner: 'anna', keyIds: ['YW5uYQ.1'] };

/** An account of the customer whom its id begins with, as whoever has the key in memory reads it. */
function opened(accountId: string, version = 1): RecordedEvent<AccountOpened> {
  const customer = accountId.split('-')[0] ?? '';
  return {
    id: `${accountId}.${version}`,
    type: AccountOpenedSchema.typeName,
    source: 'bank',
    key: accountId,
    time: new Date(version),
    version,
    correlationId: '',
    causationId: '',
    actor: '',
    traceparent: '',
    tracestate: '',
    stream: 'BANK',
    partition: partitionOf(accountId),
    sequence: version,
    subject: `bank.event.${partitionOf(accountId)}.account.${accountId}`,
    data: create(AccountOpenedSchema, { accountId, ownerName: `${customer}'s name` }),
    keyId: `${Buffer.from(customer).toString('base64url')}.1`,
  };
}

const never = () => Promise.reject(new Error('an event was refused'));

function collection(db: Db, build = 1, version = view.version) {
  return db.collection<Stored<Holder>>(collectionOf({ ...view, version }, build));
}

function storeOf(db: Db, build = 1): ViewStore<Holder> {
  return new ViewStore(view as View<Holder>, collection(db, build), async () => {}, new ErasedKeys(db));
}

async function namesIn(db: Db, build = 1, version = view.version): Promise<string[]> {
  const found = await collection(db, build, version)
    .find({ revision: { $exists: true } } as object)
    .toArray();
  return found.map(({ _id, name }) => `${_id}: ${name}`).sort();
}

/** As the reaction of a service does. */
async function erase(db: Db): Promise<void> {
  await new ErasedKeys(db).note(annas.keyIds);
  await eraseFromView(db, view as View<Holder>, annas);
}

test('who is erased is gone from every build and every older version, and nobody else is', async () => {
  const db = ownDatabase(sharedMongoUri());
  for (const build of [1, 3]) {
    const store = storeOf(db, build);
    const claims = await store.claim('one', allPartitions);
    await store.write([opened('anna-1'), opened('anna-2'), opened('bert-1')], claims, never);
  }
  const older = { applied: {}, revision: 1, partition: 0, generation: 1 };
  await collection(db, 1, 1).insertMany([
    { ...older, _id: 'anna-1', customerId: 'anna', name: "anna's name" },
    { ...older, _id: 'bert-1', customerId: 'bert', name: "bert's name" },
  ]);
  // What an older program wrote does not say its keys.
  await collection(db).updateOne({ _id: 'anna-2' }, { $unset: { keys: '' } });

  await erase(db);

  for (const build of [1, 3]) expect(await namesIn(db, build)).toEqual(['anna-1: ', 'anna-2: ', "bert-1: bert's name"]);
  expect(await namesIn(db, 1, 1)).toEqual(["bert-1: bert's name"]);
});

test('where others change a document all the time it is tried again, and not given up', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db);
  await store.write([opened('anna-1')], await store.claim('one', allPartitions), never);
  const changed = Object.create(collection(db), { bulkWrite: { value: async () => ({ matchedCount: 0 }) } });

  await expect(eraseFrom(view as View<Holder>, changed, {})).rejects.toThrow(TransientError);
});

test('who has the key in memory may write after the erasure: it is removed at once', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db);
  const claims = await store.claim('one', allPartitions);
  const events = [opened('anna-1'), opened('bert-1')];
  await erase(db);

  await store.write(events, claims, never);
  await store.eraseAgain(events);

  expect(await namesIn(db)).toEqual(['anna-1: ', "bert-1: bert's name"]);
});

test('where a writer dies before it looks, whoever takes the partition over removes what it wrote', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db);
  await erase(db);
  await store.write([opened('anna-1')], await store.claim('one', allPartitions), never);
  expect(await namesIn(db)).toEqual(["anna-1: anna's name"]);

  await store.claim('other', [partitionOf('anna-1')]);

  expect(await namesIn(db)).toEqual(['anna-1: ']);
});

test('whichever comes first, and however they cross, nothing stays', async () => {
  const db = ownDatabase(sharedMongoUri());
  const store = storeOf(db);
  const claims = await store.claim('one', allPartitions);
  for (let round = 1; round <= 20; round++) {
    const events = [opened('anna-1', round), opened(`anna-${round}`, round)];
    await Promise.all([store.write(events, claims, never).then(() => store.eraseAgain(events)), erase(db)]);
    expect((await namesIn(db)).filter((each) => each.includes('name'))).toEqual([]);
    await db.collection('erased_keys').deleteMany({});
  }
});

test('what is carried over into another build is removed there, though it was read before the erasure', async () => {
  const db = ownDatabase(sharedMongoUri());
  const builds = { 1: storeOf(db, 1), 2: storeOf(db, 2) };
  const claims = await builds[1].claim('one', allPartitions);
  await builds[2].claim('one', allPartitions);
  await builds[1].write([opened('anna-1'), opened('bert-1')], claims, never);
  await new ErasedKeys(db).note(annas.keyIds);
  const journal = { service: 'bank', stream: 'BANK', maxAgeMs: 1_000 };

  await carryOver(
    {
      view: { ...view, sources: [{ journal, aggregate: 'account' }] },
      known: { fresh: async () => ({ active: { build: 1 } }) },
      at: (build: 1 | 2) => ({
        documents: collection(db, build),
        checkpoints: () => builds[build].checkpoints(allPartitions),
      }),
      parts: { db, broker: { manager: { streams: { info: async () => ({ state: { first_seq: 2 } }) } } } },
    } as never,
    2,
    new AbortController().signal,
  );

  expect(await namesIn(db, 2)).toEqual(['anna-1: ', "bert-1: bert's name"]);
});

describe('a view that does not say how it forgets', () => {
  const key = new DataKey('YW5uYQ.1', Buffer.alloc(32, 1));

  /** The view of the accounts of a bank, with the key of anna's name at hand. */
  async function inBank() {
    const bank = await openBank(sharedNatsUrl());
    const parts = { ...bank, db: ownDatabase(sharedMongoUri()), personalData: { find: () => key }, logger: silent };
    const open = { ...view, sources: [{ journal: bank.journal.declaration, aggregate: 'account' }] } as View<Holder>;
    const { erased: _, ...shut } = { ...open, name: 'shut' };
    return { bank, parts, open, shut };
  }

  test('is handed nothing personal', async () => {
    const { bank, parts, open, shut } = await inBank();
    const event = opened('anna-1');
    const headers = eventHeaders(event);
    headers.set(Header.key, key.id);
    const data = sealed(AccountOpenedSchema, event.data, event.key, key);
    await bank.broker.js.publish(subjectOf(bank.service, 'account', event.key), data, { headers });

    const names = [open, shut].map(async (each) => {
      const projection = new Projection(each, parts, { leaseMs: 100 });
      onTestFinished(() => projection.stop());
      await projection.own(allPartitions);
      const { find } = await projection.reached([], AbortSignal.timeout(5_000));
      return (await find('anna-1'))?.name;
    });

    expect(await Promise.all(names)).toEqual(["anna's name", '']);
  });

  test('starts without the reaction that forgets; one that says so does not, nor is it held in memory', async () => {
    const { parts, open, shut } = await inBank();

    expect(() => new OwnedWork([new Projection(shut, parts)], [], parts)).not.toThrow();
    expect(() => new OwnedWork([new Projection(open, parts)], [], parts)).toThrow(
      'no reaction forget-erased-customers',
    );
    expect(() => new Replica(open, parts)).toThrow('holds no personal data');
  });
});
