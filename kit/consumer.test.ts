import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { AccountOpenedSchema, MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { keysOfPartition, noting, openBank, ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import { KeyedConsumer } from './consumer.ts';
import { BusyError, PermanentError, TransientError, UnavailableError } from './errors.ts';
import { ParkedRow } from './parked-row.ts';
import { Parking } from './parking.ts';
import { allPartitions } from './partitions.ts';
import { silent } from './telemetry/logging.ts';

let url: string;

beforeAll(async () => {
  url = (await ownNats()).url;
});

const [a = '', b = '', c = ''] = keysOfPartition(3, 3);

function open(): { promise: Promise<void>; resolve: () => void } {
  return Promise.withResolvers<void>();
}

test('every event of every partition is handled, and events of one key in their order', async () => {
  const bank = await openBank(url);
  const noted = noting(() => delay(Math.random() * 2));
  const keys = allPartitions.flatMap((partition) => keysOfPartition(partition, 2));
  await bank.consumer(noted.handle).own(allPartitions);
  for (let amount = 1; amount <= 10; amount++) await Promise.all(keys.map((key) => bank.deposit(key, amount)));
  await expect.poll(() => noted.amounts.length).toBe(160);
  for (const key of keys) expect(noted.of(key)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('different keys are handled at the same time, no more than the limit, while one key waits for itself', async () => {
  const bank = await openBank(url);
  const gate = open();
  let atWork = 0;
  let most = 0;
  const noted = noting(async () => {
    most = Math.max(most, ++atWork);
    await gate.promise;
    atWork--;
  });
  for (const key of [a, a, b, b, c, c]) await bank.deposit(key, 1);
  await bank.consumer(noted.handle, { maxKeys: 2 }).own([3]);
  await expect.poll(() => noted.amounts.length).toBe(2);
  expect([...noted.byKey.keys()]).toEqual([a, b]);
  gate.resolve();
  await expect.poll(() => noted.amounts.length).toBe(6);
  expect(most).toBe(2);
});

test('a retry lets no later event of its key overtake, and other keys go on meanwhile', async () => {
  const bank = await openBank(url);
  const seen: string[] = [];
  const { handle } = noting(({ key, data: { amount } }, { attempt }) => {
    seen.push(`${key} ${amount} ${attempt}`);
    if (key === a && amount === 1n && !(attempt > 3 && seen.includes(`${b} 5 1`))) throw new TransientError('busy');
  });
  await bank.deposit(a, 1);
  await bank.deposit(a, 2);
  await bank.consumer(handle, { maxAttempts: 1_000 }).own([3]);
  await expect.poll(() => seen).toContain(`${a} 1 2`);
  await bank.deposit(b, 5);
  await expect.poll(() => seen).toContain(`${a} 2 1`);
  expect(seen.slice(0, 3)).toEqual([`${a} 1 1`, `${a} 1 2`, `${a} 1 3`]);
  expect(seen.at(-1)).toBe(`${a} 2 1`);
  expect(await bank.parked(a)).toEqual([]);
});

test('a transient error is tried again as often as allowed, then the event is parked', async () => {
  const bank = await openBank(url);
  const attempts: number[] = [];
  const { handle } = noting((_, { attempt }) => {
    attempts.push(attempt);
    throw new TransientError('busy');
  });
  const sequence = await bank.deposit(a, 1);
  await bank.consumer(handle, { maxAttempts: 4 }).own([3]);
  await expect.poll(() => bank.parked(a)).toEqual([{ sequence, reason: 'ATTEMPTS_EXHAUSTED', attempts: 4 }]);
  expect(attempts).toEqual([1, 2, 3, 4]);
});

test.each([
  ['a refusal', new PermanentError('not this one'), 'REFUSED'],
  ['a bug', new TypeError('undefined is not a function'), 'FAILED'],
])(
  '%s is parked at once, with the events of its key behind it in order, and other keys go on',
  async (_, error, reason) => {
    const bank = await openBank(url);
    const noted = noting(({ data: { amount } }) => {
      if (amount === 13n) throw error;
    });
    const sequences = [await bank.deposit(a, 13), await bank.deposit(a, 2), await bank.deposit(a, 3)];
    await bank.deposit(b, 4);
    const consumer = bank.consumer(noted.handle);
    await consumer.own([3]);
    await expect
      .poll(() => bank.parked(a))
      .toEqual([
        { sequence: sequences[0], reason, attempts: 1 },
        { sequence: sequences[1], reason: 'BEHIND_A_PARKED_MESSAGE', attempts: 0 },
        { sequence: sequences[2], reason: 'BEHIND_A_PARKED_MESSAGE', attempts: 0 },
      ]);
    await expect.poll(() => noted.of(b)).toEqual([4]);
    expect(noted.of(a)).toEqual([13]);
    expect(consumer.health()).toEqual({ ready: true, reasons: [] });
  },
);

test('a new owner knows which keys are parked', async () => {
  const bank = await openBank(url);
  const noted = noting(({ data: { amount } }) => {
    if (amount === 13n) throw new PermanentError('no');
  });
  const first = bank.consumer(noted.handle);
  await first.own([3]);
  await bank.deposit(a, 13);
  await expect.poll(async () => (await bank.parked(a)).length).toBe(1);
  await first.stop();
  await bank.deposit(a, 2);
  await bank.deposit(b, 3);
  await bank.consumer(noted.handle).own([3]);
  await expect.poll(async () => (await bank.parked(a)).length).toBe(2);
  await expect.poll(() => noted.of(b)).toEqual([3]);
  expect(noted.of(a)).toEqual([13]);
});

test('a message that could not be parked behind another is handled when that is gone meanwhile', async () => {
  const bank = await openBank((await ownNats()).url);
  const noted = noting(({ data: { amount } }) => {
    if (amount === 13n) throw new PermanentError('no');
  });
  const consumer = bank.consumer(noted.handle);
  await consumer.own([3]);
  await bank.deposit(a, 13);
  await expect.poll(async () => (await bank.parked(a)).length).toBe(1);
  const { streams } = bank.broker.manager;
  const roomy = (await streams.info('DEAD_LETTERS')).config.max_bytes;
  await streams.update('DEAD_LETTERS', { max_bytes: 1 });
  await bank.deposit(a, 2);
  await expect.poll(() => consumer.health().ready).toBe(false);
  const row = new ParkedRow(bank.broker, { consumer: `${bank.service}-thank-on-deposit`, partition: 3, key: a });
  expect(await row.removeAll()).toBe(1);
  await streams.update('DEAD_LETTERS', { max_bytes: roomy });
  await expect.poll(() => noted.of(a)).toEqual([13, 2]);
  expect(await bank.parked(a)).toEqual([]);
});

test('a message whose owner died after parking it, and before acknowledging it, is one dead letter', async () => {
  const bank = await openBank(url);
  const sequence = await bank.deposit(a, 13);
  const stored = await bank.journal.lastOnLeader(`${bank.service}.event.3.account.${a}`);
  if (stored === undefined) throw new Error('nothing stored');
  const parking = await Parking.open(bank.broker, `${bank.service}-thank-on-deposit`, 3);
  await parking.park(stored, { reason: 'REFUSED', error: 'no', attempts: 1 });
  const noted = noting();
  await bank.consumer(noted.handle).own([3]);
  const later = await bank.deposit(a, 2);
  await expect
    .poll(() => bank.parked(a))
    .toEqual([
      { sequence, reason: 'REFUSED', attempts: 1 },
      { sequence: later, reason: 'BEHIND_A_PARKED_MESSAGE', attempts: 0 },
    ]);
  expect(noted.amounts).toEqual([]);
});

test('what can not be decoded is parked with its place', async () => {
  const bank = await openBank(url);
  const noted = noting();
  await bank.consumer(noted.handle).own([3]);
  const sequence = await bank.raw(a, Buffer.from('garbage'));
  await bank.deposit(b, 2);
  await expect.poll(() => bank.parked(a)).toEqual([{ sequence, reason: 'CANNOT_DECODE', attempts: 1 }]);
  await expect.poll(() => noted.of(b)).toEqual([2]);
});

test('event types that the reaction does not look at are passed over and acknowledged', async () => {
  const bank = await openBank(url);
  const noted = noting();
  await bank.withdraw(a, 1);
  await bank.deposit(a, 2);
  const last = await bank.withdraw(a, 3);
  await bank.consumer(noted.handle).own([3]);
  await expect.poll(() => noted.of(a)).toEqual([2]);
  const name = `${bank.service}-thank-on-deposit-3`;
  await expect
    .poll(async () => (await bank.broker.manager.consumers.info(bank.journal.stream, name)).ack_floor.stream_seq)
    .toBe(last);
});

test('while something is away the partition waits, counts no attempt and parks nothing', async () => {
  const bank = await openBank(url);
  const since = performance.now();
  let away = true;
  let tries = 0;
  const noted = noting(async (_, { attempt }) => {
    expect(attempt).toBe(1);
    if (!away) return;
    tries++;
    await delay(5);
    throw new UnavailableError('the provider is away');
  });
  const consumer = bank.consumer(noted.handle, { maxAttempts: 2 });
  await consumer.own([3]);
  await bank.deposit(a, 1);
  await expect.poll(() => tries).toBeGreaterThan(0);
  await bank.deposit(a, 2);
  await bank.deposit(b, 3);
  await expect.poll(() => tries).toBeGreaterThan(3);
  // Only one message asks whether it is there again, and not all the time.
  expect(noted.of(b)).toEqual([]);
  expect(performance.now() - since).toBeGreaterThan(300);
  expect(consumer.health()).toEqual({
    ready: false,
    reasons: [`consumer ${bank.service}-thank-on-deposit-3: the provider is away`],
  });
  away = false;
  await expect.poll(() => noted.of(b)).toEqual([3]);
  expect(noted.of(a).slice(-2)).toEqual([1, 2]);
  expect(await bank.parked(a)).toEqual([]);
  expect(consumer.health().ready).toBe(true);
});

test('stopping finishes what is at work and acknowledges it, and pulls nothing new', async () => {
  const bank = await openBank(url);
  const gate = open();
  const noted = noting(() => gate.promise);
  const consumer = bank.consumer(noted.handle, { maxKeys: 1 });
  await bank.deposit(a, 1);
  await bank.deposit(b, 2);
  await consumer.own([3]);
  await expect.poll(() => noted.amounts).toEqual([1]);
  const stopping = consumer.stop();
  gate.resolve();
  await stopping;
  expect(noted.amounts).toEqual([1]);
  const next = noting();
  await bank.consumer(next.handle).own([3]);
  await expect.poll(() => next.amounts).toEqual([2]);
});

test('a stop that has waited long enough tells the handler, and leaves its event to the next owner', async () => {
  const bank = await openBank(url);
  await bank.deposit(a, 1);
  let told = false;
  const noted = noting((_, { signal }) =>
    delay(60_000, undefined, { signal }).finally(() => {
      told = signal.aborted;
    }),
  );
  const consumer = bank.consumer(noted.handle, { drainMs: 20 });
  await consumer.own([3]);
  await expect.poll(() => noted.amounts).toEqual([1]);
  await consumer.stop();
  expect(told).toBe(true);
  expect(await bank.parked(a)).toEqual([]);
  const next = noting();
  await bank.consumer(next.handle).own([3]);
  await expect.poll(() => next.amounts).toEqual([1]);
});

test('a handler that takes too long is told so, and its event is tried again', async () => {
  const bank = await openBank(url);
  const noted = noting((_, { attempt, signal }) => (attempt === 1 ? delay(60_000, undefined, { signal }) : undefined));
  await bank.deposit(a, 1);
  await bank.consumer(noted.handle, { attemptTimeoutMs: 20 }).own([3]);
  await expect.poll(() => noted.amounts).toEqual([1, 1]);
  expect(await bank.parked(a)).toEqual([]);
});

test('a partition that is given up and taken again begins only when its last owner has drained', async () => {
  const bank = await openBank(url);
  const gate = open();
  let atWork = 0;
  const noted = noting(async () => {
    expect(++atWork).toBe(1);
    await gate.promise;
    atWork--;
  });
  const consumer = bank.consumer(noted.handle);
  await bank.deposit(a, 1);
  await consumer.own([3]);
  await expect.poll(() => noted.amounts).toEqual([1]);
  const givenUp = consumer.own([]);
  void consumer.own([3]);
  // Long enough for a second owner to be seen at work, if there was one.
  await delay(150);
  expect(noted.amounts).toEqual([1]);
  gate.resolve();
  await givenUp;
  await bank.deposit(a, 2);
  await expect.poll(() => noted.amounts).toEqual([1, 2]);
});

test('a reaction that gets another source goes on where it was', async () => {
  const bank = await openBank(url);
  const noted = noting();
  await bank.deposit(a, 1);
  const first = bank.consumer(noted.handle);
  await first.own([3]);
  await expect.poll(() => noted.amounts).toEqual([1]);
  await first.stop();
  const reaction = bank.reaction(noted.handle);
  const sources = [...reaction.sources, { journal: bank.journal.declaration, aggregate: 'savings' }];
  const parts = { ...bank, logger: silent, personalData: { find: async () => undefined } };
  const second = new KeyedConsumer({ ...reaction, sources }, parts);
  await second.own([3]);
  await bank.deposit(a, 2);
  await expect.poll(() => noted.amounts).toEqual([1, 2]);
  await second.stop();
});

test('a reaction follows one journal, under a name that can stand in a subject', async () => {
  const bank = await openBank(url);
  const parts = { ...bank, logger: silent, personalData: { find: async () => undefined } };
  const reaction = bank.reaction(async () => {});
  const other = { journal: { service: 'other', stream: 'OTHER', maxBytes: 1 }, aggregate: 'account' };
  expect(() => new KeyedConsumer({ ...reaction, sources: [...reaction.sources, other] }, parts)).toThrow(/one journal/);
  expect(() => new KeyedConsumer({ ...reaction, name: 'thank.on.deposit' }, parts)).toThrow(/name/);
});

test('two processes that own the same partition for a moment leave no event out', async () => {
  const bank = await openBank(url);
  const noted = noting(() => delay(1));
  const consumers = [
    bank.consumer(noted.handle, { broker: await ownConnection(url) }),
    bank.consumer(noted.handle, { broker: await ownConnection(url) }),
  ];
  await Promise.all(consumers.map((consumer) => consumer.own([3])));
  for (let amount = 1; amount <= 100; amount++) await bank.deposit(a, amount);
  await expect.poll(() => new Set(noted.of(a)).size, { timeout: 10_000 }).toBe(100);
  await consumers[0]?.stop();
  await bank.deposit(a, 101);
  await expect.poll(() => noted.of(a).at(-1), { timeout: 10_000 }).toBe(101);
});

test('types are read in their form of today, with everything that is known of the event', async () => {
  const bank = await openBank(url);
  const events: RecordedEvent[] = [];
  await bank.consumer(async (event) => void events.push(event)).own([3]);
  const sequence = await bank.deposit(a, 7);
  await expect.poll(() => events.length).toBe(1);
  expect(events[0]).toMatchObject({
    key: a,
    partition: 3,
    sequence,
    stream: bank.journal.stream,
    version: 1,
    correlationId: `correlation of ${a}`,
    data: { amount: 7n },
  });
  expect(new EventTypes([MoneyDepositedSchema, AccountOpenedSchema]).knows(events[0]?.type ?? '')).toBe(true);
});

test('whoever refuses an attempt may say when the next one is welcome: it is not made before', async () => {
  const bank = await openBank(url);
  const at: number[] = [];
  const { handle } = noting(() => {
    at.push(performance.now());
    if (at.length === 1) throw new TransientError('too many', { retryAfterMs: 150 });
  });
  await bank.deposit(a, 1);
  await bank.consumer(handle).own([3]);
  await expect.poll(() => at.length).toBe(2);
  expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(149);
});

test('an event whose kind is busy comes again without an attempt being counted, and other keys go on', async () => {
  const bank = await openBank(url);
  const attempts: number[] = [];
  const noted = noting(({ key }, { attempt }) => {
    if (key !== a) return;
    attempts.push(attempt);
    if (attempts.length < 5 || noted.of(b).length === 0) throw new BusyError('enough at work', 2);
  });
  await bank.deposit(a, 1);
  await bank.consumer(noted.handle, { maxKeys: 1, maxAttempts: 2 }).own([3]);
  await expect.poll(() => attempts.length).toBeGreaterThan(2);
  await bank.deposit(b, 1);
  await expect.poll(() => noted.of(b)).toEqual([1]);
  await expect.poll(() => attempts.length).toBeGreaterThanOrEqual(5);
  expect(new Set(attempts)).toEqual(new Set([1]));
  expect(await bank.parked(a)).toEqual([]);
});
