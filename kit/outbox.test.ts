import { randomUUID } from 'node:crypto';
import type { Collection } from 'mongodb';
import { expect, onTestFinished, test } from 'vitest';
import { type MoneyDeposited, MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { EventTypes, type RecordedEvent, readEvent } from './event.ts';
import { Journal } from './journal.ts';
import { Outbox, type WithOutbox } from './outbox.ts';
import { subjectOf } from './partitions.ts';
import { journalOf } from './streams.ts';
import { silent } from './telemetry/logging.ts';
import { ownConnection } from './testing/reacting.ts';
import { sharedMongoUri, sharedNatsUrl } from './testing/servers.ts';
import { ownDatabase } from './testing/viewing.ts';

const types = new EventTypes([MoneyDepositedSchema]);
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Accounts as documents, and a journal that their events go to. */
async function openAccounts() {
  const broker = await ownConnection(sharedNatsUrl());
  const service = `outbox${randomUUID().slice(0, 8)}`;
  const journal = new Journal(journalOf(service, 64 * 1024 ** 2), broker);
  await journal.ensure();
  const collection: Collection<WithOutbox> = ownDatabase(sharedMongoUri()).collection('accounts');

  function outboxOn(own: Journal = journal, sweepMs = 60_000): Outbox<WithOutbox> {
    const outbox = new Outbox(
      { collection, journal: own, aggregate: { name: 'account', events: {} }, logger: silent },
      { sweepMs },
    );
    onTestFinished(() => outbox.stop());
    return outbox;
  }

  function entry(key: string, version: number) {
    return outboxOn().entry(
      key,
      MoneyDepositedSchema,
      { accountId: key, amount: BigInt(version) },
      {
        version,
        time: new Date(version * 1_000),
        causationId: `cause ${version}`,
        correlationId: `correlation of ${key}`,
        actor: 'teller',
        traceparent,
        tracestate: '',
      },
    );
  }

  return {
    collection,
    journal,
    outboxOn,
    entry,
    /** Writes an account that has this to say. */
    async write(key: string, versions: number[]) {
      await collection.updateOne(
        { _id: key },
        {
          $push: { outbox: { $each: versions.map((version) => entry(key, version)) } },
          $setOnInsert: { sequence: 0 },
        },
        { upsert: true },
      );
    },
    async find(key: string): Promise<WithOutbox> {
      const found = await collection.findOne({ _id: key });
      if (found === null) throw new Error(`${key} is not there`);
      return found;
    },
    async saidOf(key: string) {
      const stored = await journal.history(subjectOf(service, 'account', key));
      const keys = { find: async () => undefined };
      return (await Promise.all(
        stored.map((message) => readEvent(message, types, keys)),
      )) as RecordedEvent<MoneyDeposited>[];
    },
  };
}

type Accounts = Awaited<ReturnType<typeof openAccounts>>;

async function versionsOf(accounts: Accounts, key: string): Promise<number[]> {
  return (await accounts.saidOf(key)).map(({ version }) => version);
}

test('what a document says is published as it was written, and its outbox is empty then', async () => {
  const accounts = await openAccounts();
  await accounts.write('ada', [1, 2]);

  await accounts.outboxOn().relay(await accounts.find('ada'));

  expect(await accounts.saidOf('ada')).toMatchObject([
    {
      version: 1,
      key: 'ada',
      source: accounts.journal.declaration.service,
      causationId: 'cause 1',
      correlationId: 'correlation of ada',
      actor: 'teller',
      traceparent,
      time: new Date(1_000),
      data: { accountId: 'ada', amount: 1n },
    },
    { version: 2, data: { amount: 2n } },
  ]);
  await expect.poll(() => accounts.find('ada')).toMatchObject({ outbox: [], sequence: 2 });
});

test('what comes later follows what is published', async () => {
  const accounts = await openAccounts();
  const outbox = accounts.outboxOn();
  await accounts.write('ada', [1]);
  const before = await accounts.find('ada');
  await outbox.relay(before);
  await expect.poll(() => accounts.find('ada')).toMatchObject({ outbox: [] });
  await accounts.write('ada', [2]);

  await outbox.relay(await accounts.find('ada'));
  // One that slept has read neither.
  await accounts.outboxOn().relay(before);

  expect(await versionsOf(accounts, 'ada')).toEqual([1, 2]);
  await expect.poll(() => accounts.find('ada')).toMatchObject({ outbox: [], sequence: 2 });
});

test('what is written while a relay publishes what came before stays in the outbox', async () => {
  const accounts = await openAccounts();
  await accounts.write('ada', [1]);
  const before = await accounts.find('ada');
  await accounts.write('ada', [2]);

  await accounts.outboxOn().relay(before);

  await expect.poll(() => accounts.find('ada')).toMatchObject({ outbox: [{ version: 2 }], sequence: 1 });
  await accounts.outboxOn().sweep();
  expect(await versionsOf(accounts, 'ada')).toEqual([1, 2]);
});

test('three relays at once publish each event once, in order', async () => {
  const accounts = await openAccounts();
  const keys = Array.from({ length: 100 }, (_, index) => `account-${index}`);
  await Promise.all(keys.map((key) => accounts.write(key, [1, 2, 3])));
  const relays = [accounts.outboxOn(), accounts.outboxOn(), accounts.outboxOn()];

  const [found] = await Promise.all(relays.map((relay) => relay.sweep()));

  expect(found).toBeGreaterThan(0);
  for (const key of keys) expect(await versionsOf(accounts, key)).toEqual([1, 2, 3]);
  expect(await accounts.collection.find({ 'outbox.version': { $gte: 1 } } as object).toArray()).toEqual([]);
  expect(await relays[0]?.sweep()).toBe(0);
});

test('an event that was published before its outbox could be emptied is not published again', async () => {
  const accounts = await openAccounts();
  await accounts.write('ada', [1, 2]);
  const left = await accounts.find('ada');
  await accounts.outboxOn().relay(left);
  await expect.poll(() => accounts.find('ada')).toMatchObject({ outbox: [] });
  await accounts.collection.replaceOne({ _id: 'ada' }, { outbox: left.outbox, sequence: 0 });

  expect(await accounts.outboxOn().sweep()).toBe(1);

  expect(await versionsOf(accounts, 'ada')).toEqual([1, 2]);
  expect(await accounts.find('ada')).toMatchObject({ outbox: [], sequence: 2 });
});

test('a version that would leave a gap, or stands there with other words, is refused', async () => {
  const accounts = await openAccounts();
  await accounts.write('gap', [2]);
  await accounts.write('other', [1]);
  const other = { ...accounts.entry('other', 2), version: 1 };

  await expect(accounts.outboxOn().relay(await accounts.find('gap'))).rejects.toThrow(/2 can't follow/);
  await accounts.outboxOn().relay(await accounts.find('other'));
  await expect(accounts.outboxOn().relay({ _id: 'other', outbox: [other], sequence: 0 })).rejects.toThrow(
    /1 can't follow/,
  );

  expect(await versionsOf(accounts, 'gap')).toEqual([]);
  expect(await versionsOf(accounts, 'other')).toEqual([1]);
  expect(await accounts.find('gap')).toMatchObject({ outbox: [{ version: 2 }] });
});

test('documents whose events can not be published do not keep a sweep from the others, however many they are', async () => {
  const accounts = await openAccounts();
  const gaps = Array.from({ length: 300 }, (_, index) => ({
    _id: `gap-${index}`,
    outbox: [accounts.entry(`gap-${index}`, 2)],
    sequence: 0,
  }));
  await accounts.collection.insertMany(gaps);
  await accounts.write('ada', [1]);

  await expect(accounts.outboxOn().sweep()).rejects.toThrow(/2 can't follow/);

  expect(await versionsOf(accounts, 'ada')).toEqual([1]);
  expect(await accounts.find('ada')).toMatchObject({ outbox: [] });
});

test('what a crash has left is found regularly, also after the broker was away', async () => {
  const accounts = await openAccounts();
  await accounts.write('ada', [1]);
  let away = true;
  const broken = {
    ...{ declaration: accounts.journal.declaration, stream: accounts.journal.stream },
    append: (...words: Parameters<Journal['append']>) =>
      away ? Promise.reject(new Error('away')) : accounts.journal.append(...words),
    lastOnLeader: (subject: string) => accounts.journal.lastOnLeader(subject),
  } as unknown as Journal;

  accounts.outboxOn(broken, 5).start();
  await accounts.write('bob', [1]);
  away = false;

  await expect.poll(() => versionsOf(accounts, 'ada')).toEqual([1]);
  await expect.poll(() => versionsOf(accounts, 'bob')).toEqual([1]);
});
