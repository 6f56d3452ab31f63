import { setTimeout as delay } from 'node:timers/promises';
import type { Collection } from 'mongodb';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { connectDatabase } from './database.ts';
import { type DeadlineOptions, Deadlines, deadlineIndex } from './deadlines.ts';
import { UnavailableError } from './errors.ts';
import { allPartitions } from './partitions.ts';
import { silent } from './telemetry/logging.ts';
import { ownMongodb, sharedMongoUri } from './testing/servers.ts';
import type { Stored } from './view.ts';
import { readerOf } from './view-reader.ts';

type Loan = { due?: Date; note: string };

const now = new Date('2026-11-24T12:00:00.000Z');
const before = (seconds: number) => new Date(now.getTime() - seconds * 1_000);

let loans: Collection<Stored<Loan>>;

beforeEach(() => openLoans(sharedMongoUri()));

async function openLoans(uri: string) {
  const database = connectDatabase(uri, 'bank');
  onTestFinished(() => database.close());
  loans = database.db.collection<Stored<Loan>>('loans_v1');
  await loans.createIndexes([deadlineIndex('due')]);
}

/** A document as the projection would have made it. */
function loan(id: string, due: Date | undefined, partition = 0): Stored<Loan> {
  return { _id: id, note: id, ...(due && { due }), applied: {}, revision: 1, partition, generation: 1 };
}

const many = (count: number, due: (index: number) => Date) =>
  Array.from({ length: count }, (_, index) => loan(`loan-${String(index).padStart(3, '0')}`, due(index)));

const insert = (documents: readonly Stored<Loan>[]) => loans.insertMany(documents as never);

const pay = (id: string) => loans.updateOne({ _id: id } as object, { $unset: { due: 1 } } as object);

/** Looks often; notes whom it has called for, in order. */
function reminders(
  onOverdue: (document: Stored<Loan>, at: Date) => Promise<unknown> = async () => {},
  options: Partial<DeadlineOptions> = {},
) {
  const called: string[] = [];
  const rule = {
    name: 'remind-when-overdue',
    projection: { reached: async () => readerOf(loans) },
    field: 'due' as const,
    onOverdue: (document: Stored<Loan>, at: Date) => {
      called.push(document._id);
      return onOverdue(document, at);
    },
  };
  const deadlines = new Deadlines(
    rule,
    { service: 'bank', logger: silent, clock: () => now },
    { everyMs: 5, ...options },
  );
  onTestFinished(() => deadlines.stop());
  return { deadlines, called };
}

const soon = { interval: 5, timeout: 5_000 };

test('what is overdue is called for, the longest overdue first, and nothing else', async () => {
  await insert([
    loan('late', before(1)),
    loan('latest', before(60)),
    loan('now', now),
    loan('soon', new Date(now.getTime() + 1)),
    loan('paid', undefined),
    loan('of another', before(60), 7),
  ]);
  const { deadlines, called } = reminders(({ _id }, at) => pay(_id).then(() => expect(at).toBe(now)), { maxAtWork: 1 });

  await deadlines.own([0, 1]);

  await expect.poll(() => called.length, soon).toBeGreaterThanOrEqual(3);
  // Another round.
  await insert([loan('later', before(0.5))]);
  await expect.poll(() => called, soon).toContain('later');
  expect(called).toEqual(['latest', 'late', 'now', 'later']);
  expect(deadlines.name).toBe('bank-remind-when-overdue');
});

test.each([
  ['of the same time', () => before(9)],
  ['of different times', before],
])('what stays overdue, %s, keeps back nothing that is behind it', async (_, due) => {
  await insert(many(25, due));
  const { deadlines, called } = reminders(undefined, { pageSize: 4, maxAtWork: 2 });

  await deadlines.own(allPartitions);

  await expect.poll(() => called.length, soon).toBeGreaterThan(100);
  await deadlines.stop();
  const first = called.slice(0, 25);
  expect(new Set(first).size).toBe(25);
  // And each as often as any other.
  const times = [...Map.groupBy(called, (id) => id).values()].map(({ length }) => length);
  expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1);
});

test('no more than so many are at work at the same time', async () => {
  await insert(many(20, before));
  let atWork = 0;
  let most = 0;
  const { deadlines, called } = reminders(
    async () => {
      most = Math.max(most, ++atWork);
      await delay(2);
      atWork--;
    },
    { maxAtWork: 3 },
  );

  await deadlines.own([0]);

  await expect.poll(() => called.length, soon).toBeGreaterThanOrEqual(40);
  expect(most).toBe(3);
});

test('what is wrong with one keeps no other one back, and is tried again', async () => {
  await insert(many(5, before));
  const { deadlines, called } = reminders(async ({ _id }) => {
    if (_id === 'loan-004') throw new Error('cannot be reminded');
    await pay(_id);
  });

  await deadlines.own([0]);

  await expect.poll(() => called.filter((id) => id === 'loan-004').length, soon).toBeGreaterThan(2);
  expect(new Set(called).size).toBe(5);
  expect(deadlines.health()).toEqual({ ready: true, reasons: [] });
});

test('while something is away it waits, says so, and goes on when that is back', async () => {
  await insert(many(100, before));
  let isAway = true;
  const { deadlines, called } = reminders(async ({ _id }) => {
    if (isAway) throw new UnavailableError('the broker is away');
    await pay(_id);
  });

  await deadlines.own([0]);

  await expect.poll(() => deadlines.health().ready, soon).toBe(false);
  expect(deadlines.health().reasons).toEqual(['deadlines bank-remind-when-overdue: the broker is away']);
  isAway = false;
  await expect.poll(() => loans.countDocuments({ due: { $exists: true } } as object), soon).toBe(0);
  expect(new Set(called).size).toBe(100);
  await expect.poll(() => deadlines.health().ready, soon).toBe(true);
});

test('what was away is nothing to who has no partition any more', async () => {
  await insert([loan('late', before(1))]);
  const { deadlines } = reminders(() => Promise.reject(new UnavailableError('the broker is away')));
  await deadlines.own([0]);
  await expect.poll(() => deadlines.health().ready, soon).toBe(false);

  await deadlines.own([]);

  expect(deadlines.health()).toEqual({ ready: true, reasons: [] });
});

test('a database that was away is asked again', { timeout: 30_000 }, async () => {
  const mongodb = await ownMongodb();
  await openLoans(`${mongodb.url}/loans`);
  await insert([loan('late', before(1))]);
  const { deadlines, called } = reminders();
  await mongodb.kill();
  await deadlines.own([0]);
  await expect.poll(() => deadlines.health().ready, soon).toBe(false);

  await mongodb.restart();

  await expect.poll(() => called, { interval: 20, timeout: 20_000 }).toContain('late');
  await expect.poll(() => deadlines.health().ready, soon).toBe(true);
});

test('a partition is given up when what is at work is finished, and nothing else of it is begun', async () => {
  await insert([loan('kept', before(1), 1), loan('at work', before(3), 2), loan('not begun', before(2), 2)]);
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const { deadlines, called } = reminders(async ({ _id }) => (_id === 'at work' ? gate : undefined), { maxAtWork: 1 });
  await deadlines.own([1, 2]);
  await expect.poll(() => called, soon).toEqual(['at work']);
  let isGivenUp = false;

  const givingUp = deadlines.own([1]).then(() => {
    isGivenUp = true;
  });

  await loans.findOne();
  expect(isGivenUp).toBe(false);
  open();
  await givingUp;
  await expect.poll(() => called.length, soon).toBeGreaterThan(4);
  expect(new Set(called.slice(1))).toEqual(new Set(['kept']));
});

test('after a stop nothing is at work, and nothing is begun', async () => {
  await insert(many(4, before));
  let atWork = 0;
  const { deadlines, called } = reminders(async () => {
    atWork++;
    await loans.findOne();
    atWork--;
  });
  await deadlines.own([0]);
  await expect.poll(() => called.length, soon).toBeGreaterThan(4);

  await deadlines.stop();

  expect(atWork).toBe(0);
  const last = called.length;
  const other = reminders();
  await other.deadlines.own([0]);
  await expect.poll(() => other.called.length, soon).toBeGreaterThan(8);
  expect(called).toHaveLength(last);
});

test('partitions that come back are looked after again, once what was at work is finished', async () => {
  await insert([loan('late', before(1))]);
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  let most = 0;
  let atWork = 0;
  const { deadlines, called } = reminders(async () => {
    most = Math.max(most, ++atWork);
    await gate;
    atWork--;
  });
  await deadlines.own([0]);
  await expect.poll(() => called.length, soon).toBe(1);

  const givingUp = deadlines.own([]);
  const takingBack = deadlines.own([0]);

  await loans.findOne();
  open();
  await Promise.all([givingUp, takingBack]);
  await expect.poll(() => called.length, soon).toBeGreaterThan(2);
  expect(most).toBe(1);
});
