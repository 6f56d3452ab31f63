import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { keysOfPartition, openBank } from '#kit/testing/reacting.ts';
import { sharedMongoUri, sharedNatsUrl } from '#kit/testing/servers.ts';
import { type AccountDocument, accountsView, ownDatabase } from '#kit/testing/viewing.ts';
import { ParkedKeys } from './parked-keys.ts';
import { silent } from './telemetry/logging.ts';
import { collectionOf, type Stored, type View } from './view.ts';
import { SupersededError, ViewStore } from './view-store.ts';
import { type Turn, ViewWriter } from './view-writer.ts';

/** A writer of a view, and turns on two partitions; `ends` has those that ended, and why. */
async function openWriter() {
  const bank = await openBank(sharedNatsUrl());
  const db = ownDatabase(sharedMongoUri());
  const view = accountsView(bank) as View<AccountDocument>;
  const store = new ViewStore(view, db.collection<Stored<AccountDocument>>(collectionOf(view)));
  const consumer = `${bank.service}-accounts_v1`;
  const shown: number[] = [];
  const parts = { logger: silent, personalData: { find: async () => undefined } };
  const writer = new ViewWriter(view, consumer, store, parts, ({ partition }) => void shown.push(partition));
  const claims = await store.claim(randomUUID(), [3, 5]);
  const ends = new Map<number, unknown>();
  const turns = await Promise.all(
    [...claims].map(async ([partition, claim]): Promise<Turn> => {
      const ending = new AbortController();
      const end = (reason: unknown) => {
        ends.set(partition, reason);
        ending.abort(reason);
      };
      return {
        partition,
        claim,
        parked: await ParkedKeys.open(bank.broker, consumer, partition),
        ended: ending.signal,
        end,
      };
    }),
  );
  return { bank, db, store, consumer, writer, turns, ends, shown };
}

test('a partition that somebody else has taken leaves a batch, and the others of the batch are written', async () => {
  const { bank, db, store, consumer, writer, turns, ends, shown } = await openWriter();
  const keys = turns.map(({ partition }) => keysOfPartition(partition, 1)[0] ?? '');
  for (const key of keys) await bank.deposit(key, 1);
  await store.claim(randomUUID(), [3]);

  const messages = await (await bank.broker.js.consumers.get(bank.journal.stream)).fetch({ max_messages: 2 });
  let index = 0;
  const taken = await Array.fromAsync(messages);
  for (const turn of turns) {
    const message = taken[index++];
    if (message === undefined) throw new Error('two messages were to come');
    const lane = { stream: bank.journal.stream, partition: turn.partition, consumer, position: 0 };
    writer.add({ turn, lane, message });
  }
  const [theirs = '', ours = ''] = keys;
  await expect.poll(() => shown).toEqual([5]);
  expect([...ends]).toEqual([[3, expect.any(SupersededError)]]);
  const documents = db.collection<{ _id: string }>('accounts_v1');
  expect(await documents.findOne({ _id: ours })).toMatchObject({ amounts: [1] });
  expect(await documents.findOne({ _id: theirs })).toBeNull();
});

test('a late event is not given up where the database is away, or somebody else has taken the partition', async () => {
  const { bank, db, store, writer, turns, ends } = await openWriter();
  const [turn] = turns;
  const message = await bank.journal.at(await bank.deposit(keysOfPartition(3, 1)[0] ?? '', 1));
  if (message === undefined || turn === undefined) throw new Error('a message and a turn were to be there');
  await store.claim(randomUUID(), [3]);
  const unavailable = { unavailable: expect.any(String) };
  expect(await writer.applyLate(message, 2, turn)).toEqual(unavailable);
  expect([...ends]).toEqual([[3, expect.any(SupersededError)]]);
  await db.client.close();
  expect(await writer.applyLate(message, 2, turn)).toEqual(unavailable);
});
