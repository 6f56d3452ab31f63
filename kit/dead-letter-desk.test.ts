import { create, toBinary } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { beforeAll, expect, test } from 'vitest';
import { MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { type Bank, keysOfPartition, noting, openBank, ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import { DeadLetterDesk } from './dead-letter-desk.ts';
import { parkedByConsumer } from './dead-letters.ts';
import { PermanentError, TransientError, UnavailableError } from './errors.ts';
import { askOwner, type OwnerRequest } from './owner-requests.ts';

let url: string;

beforeAll(async () => {
  url = (await ownNats()).url;
});

// In the order of their names.
const [a = '', b = '', c = ''] = keysOfPartition(3, 3).sort();

function rowOf({ service }: Bank, key: string) {
  return { consumer: `${service}-thank-on-deposit`, partition: 3, key };
}

/** A bank whose handler throws at the amounts in `bad`, and a desk. */
async function openDesk(bad: number[]) {
  const bank = await openBank(url);
  const refused = new Set(bad.map(BigInt));
  const attempts: number[] = [];
  const noted = noting(({ data: { amount } }, { attempt }) => {
    if (!refused.has(amount)) return;
    attempts.push(attempt);
    throw new PermanentError(`not ${amount}`);
  });
  const consumer = bank.consumer(noted.handle);
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  return { bank, desk: new DeadLetterDesk(bank.broker), noted, refused, consumer, attempts };
}

async function deposits(bank: Bank, key: string, ...amounts: number[]): Promise<number[]> {
  const sequences: number[] = [];
  for (const amount of amounts) sequences.push(await bank.deposit(key, amount));
  return sequences;
}

async function areParked(bank: Bank, key: string, count: number): Promise<void> {
  await expect.poll(async () => (await bank.parked(key)).length).toBe(count);
}

test('a row is shown with its first letter, and a letter with the message as it was', async () => {
  const { bank, desk } = await openDesk([13]);
  const [sequence = 0] = await deposits(bank, a, 13, 2);
  await deposits(bank, b, 13);
  await areParked(bank, a, 2);
  await areParked(bank, b, 1);
  const { consumer } = rowOf(bank, a);
  const rows = await desk.rows({ consumer });
  expect(rows.map(({ key, partition, count }) => ({ key, partition, count }))).toEqual([
    { key: a, partition: 3, count: 2 },
    { key: b, partition: 3, count: 1 },
  ]);
  const first = rows[0]?.first;
  expect(first).toMatchObject({
    reason: 'REFUSED',
    error: 'not 13',
    attempts: 1,
    stream: bank.journal.stream,
    streamSequence: sequence,
  });
  expect(first?.message.headers.get('ce-type')).toBe(MoneyDepositedSchema.typeName);
  const letter = await desk.letter(first?.sequence ?? 0);
  const original = await bank.journal.at(sequence);
  expect(letter?.message.data).toEqual(original?.data);
  expect(letter?.message.subject).toBe(original?.subject);
  const names = letter?.message.headers.keys() ?? [];
  expect(names.filter((name) => /^(Nats|Causeway-Dead)-/.test(name))).toEqual([]);
  expect(names).toEqual(original?.headers.keys().filter((name) => !name.startsWith('Nats-')));
  expect(await desk.letter(10_000_000)).toBeUndefined();
});

test('rows are found by consumer, key, reason and event type', async () => {
  const { bank, desk } = await openDesk([13]);
  await deposits(bank, a, 13);
  await bank.raw(b, Buffer.from('garbage'));
  await areParked(bank, a, 1);
  await areParked(bank, b, 1);
  const { consumer } = rowOf(bank, a);
  const keys = async (filter: object) => (await desk.rows({ consumer, ...filter })).map(({ key }) => key);
  expect(await keys({})).toEqual([a, b]);
  expect(await keys({ key: b })).toEqual([b]);
  expect(await keys({ reason: 'CANNOT_DECODE' })).toEqual([b]);
  expect(await keys({ eventType: MoneyDepositedSchema.typeName })).toEqual([a]);
  expect(await keys({ key: '*' })).toEqual([]);
  expect(await keys({ consumer: 'bank-other' })).toEqual([]);
});

test('a replay handles a key first to last, nobody else sees it, and later events are handled as ever', async () => {
  const { bank, desk, noted, refused } = await openDesk([13]);
  const before = await bank.journal.lastSequence();
  await deposits(bank, a, 13, 2, 3);
  await areParked(bank, a, 3);
  refused.clear();
  expect(await desk.replay(rowOf(bank, a))).toEqual({ handled: 3, remaining: 0, error: '' });
  expect(noted.of(a)).toEqual([13, 13, 2, 3]);
  expect(await bank.journal.lastSequence()).toBe(before + 3);
  expect(await bank.parked(a)).toEqual([]);
  expect((await parkedByConsumer(bank.broker, bank.service)).size).toBe(0);
  await deposits(bank, a, 4);
  await expect.poll(() => noted.of(a)).toEqual([13, 13, 2, 3, 4]);
  await expect(desk.replay(rowOf(bank, a))).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a letter that fails again ends the replay, and stays with its new error; those behind it stay', async () => {
  const { bank, desk, noted, refused, attempts } = await openDesk([13, 14]);
  await deposits(bank, a, 13, 14, 15);
  await areParked(bank, a, 3);
  refused.delete(13n);
  expect(await desk.replay(rowOf(bank, a))).toEqual({ handled: 1, remaining: 2, error: 'not 14' });
  expect(await desk.replay(rowOf(bank, a))).toEqual({ handled: 0, remaining: 2, error: 'not 14' });
  expect(attempts).toEqual([1, 1, 2]);
  const [row] = await desk.rows({ consumer: rowOf(bank, a).consumer });
  expect(row).toMatchObject({ count: 2, first: { reason: 'REFUSED', error: 'not 14', attempts: 2 } });
  expect(await desk.letter(row?.first.sequence ?? 0)).toMatchObject({ error: 'not 14', attempts: 2 });
  await deposits(bank, a, 16);
  await areParked(bank, a, 3);
  expect(noted.of(a)).toEqual([13, 13, 14, 14]);
  expect((await parkedByConsumer(bank.broker, bank.service)).get(rowOf(bank, a).consumer)).toBe(3);
});

test('events that come during a replay wait for it, and nothing of the key runs beside or overtakes', async () => {
  const { bank, desk, refused, consumer } = await openDesk([]);
  await consumer.stop();
  const gate = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  let isReplay = false;
  let atWork = 0;
  const noted = noting(async ({ data: { amount } }) => {
    if (!isReplay && amount === 13n) throw new PermanentError('no');
    expect(++atWork).toBe(1);
    began.resolve();
    await gate.promise;
    atWork--;
  });
  refused.clear();
  const owner = bank.consumer(noted.handle);
  await owner.own([3]);
  await deposits(bank, a, 13, 2);
  await areParked(bank, a, 2);
  isReplay = true;
  const replayed = desk.replay(rowOf(bank, a));
  await began.promise;
  await deposits(bank, a, 3, 4);
  const name = `${rowOf(bank, a).consumer}-3`;
  const { stream } = bank.journal;
  await expect.poll(async () => (await bank.broker.manager.consumers.info(stream, name)).num_ack_pending).toBe(2);
  gate.resolve();
  expect(await replayed).toEqual({ handled: 2, remaining: 0, error: '' });
  await expect.poll(() => noted.of(a)).toEqual([13, 13, 2, 3, 4]);
});

test('an edited message is used for this attempt only, and its headers stay', async () => {
  const { bank, desk, noted } = await openDesk([13, 14]);
  await deposits(bank, a, 13, 2);
  await areParked(bank, a, 2);
  const says = (amount: bigint) =>
    toBinary(MoneyDepositedSchema, create(MoneyDepositedSchema, { accountId: a, amount }));
  expect(await desk.replay(rowOf(bank, a), { edited: says(14n) })).toMatchObject({ handled: 0, error: 'not 14' });
  expect(await desk.replay(rowOf(bank, a))).toMatchObject({ handled: 0, error: 'not 13' });
  const [row] = await desk.rows({ consumer: rowOf(bank, a).consumer });
  expect((await desk.letter(row?.first.sequence ?? 0))?.message.data).toEqual(says(13n));
  expect(await desk.replay(rowOf(bank, a), { edited: says(20n) })).toEqual({ handled: 2, remaining: 0, error: '' });
  expect(noted.of(a)).toEqual([13, 14, 13, 20, 2]);
});

test('what is meant for one letter is not done with another that has become the first', async () => {
  const { bank, desk } = await openDesk([13, 14]);
  await deposits(bank, a, 13, 14);
  await areParked(bank, a, 2);
  const [row] = await desk.rows({ consumer: rowOf(bank, a).consumer });
  const first = row?.first.sequence ?? 0;
  expect(await desk.discard(rowOf(bank, a), { firstOnly: true, first })).toBe(1);
  await expect(desk.discard(rowOf(bank, a), { firstOnly: true, first })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  await expect(desk.replay(rowOf(bank, a), { first })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  expect(await bank.parked(a)).toHaveLength(1);
});

test('after the first letter was discarded those behind it stay, until they are replayed', async () => {
  const { bank, desk, noted } = await openDesk([13]);
  await deposits(bank, a, 13, 2);
  await areParked(bank, a, 2);
  expect(await desk.discard(rowOf(bank, a), { firstOnly: true })).toBe(1);
  await deposits(bank, a, 3);
  await areParked(bank, a, 2);
  expect(await desk.replay(rowOf(bank, a))).toEqual({ handled: 2, remaining: 0, error: '' });
  expect(noted.of(a)).toEqual([13, 2, 3]);
});

test('a discarded row is gone at once for its owner too: the next event of the key is handled', async () => {
  const { bank, desk, noted } = await openDesk([13]);
  await deposits(bank, a, 13, 2);
  await deposits(bank, b, 13);
  await areParked(bank, a, 2);
  await areParked(bank, b, 1);
  expect(await desk.discard(rowOf(bank, a), { firstOnly: false })).toBe(2);
  expect(await desk.discard(rowOf(bank, b), { firstOnly: true })).toBe(1);
  await deposits(bank, a, 3);
  await deposits(bank, b, 4);
  await expect.poll(() => noted.of(a)).toEqual([13, 3]);
  await expect.poll(() => noted.of(b)).toEqual([13, 4]);
  await expect(desk.discard(rowOf(bank, a), { firstOnly: false })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect((await parkedByConsumer(bank.broker, bank.service)).size).toBe(0);
});

test('where something is away a replay ends, says so, and counts no attempt', async () => {
  const bank = await openBank(url);
  let error: Error = new PermanentError('no');
  const consumer = bank.consumer(async () => {
    throw error;
  });
  await consumer.own([3]);
  await deposits(bank, a, 1);
  await areParked(bank, a, 1);
  const desk = new DeadLetterDesk(bank.broker);
  error = new UnavailableError('the provider is away');
  expect(await desk.replay(rowOf(bank, a))).toEqual({ handled: 0, remaining: 1, error: 'the provider is away' });
  expect((await desk.rows({ consumer: rowOf(bank, a).consumer }))[0]?.first).toMatchObject({
    error: 'no',
    attempts: 1,
  });
  expect(consumer.health().ready).toBe(true);
  error = new TransientError('busy');
  expect(await desk.replay(rowOf(bank, a))).toEqual({ handled: 0, remaining: 1, error: 'busy' });
  const [row] = await desk.rows({ consumer: rowOf(bank, a).consumer });
  expect(row?.first).toMatchObject({ reason: 'ATTEMPTS_EXHAUSTED', error: 'busy', attempts: 2 });
});

test('while the partition waits for what is away a replay is told at once', async () => {
  const bank = await openBank(url);
  let away = false;
  const consumer = bank.consumer(async () => {
    throw away ? new UnavailableError('the provider is away') : new PermanentError('no');
  });
  await consumer.own([3]);
  await deposits(bank, a, 1);
  await areParked(bank, a, 1);
  away = true;
  await deposits(bank, b, 1);
  await expect.poll(() => consumer.health().ready).toBe(false);
  const replayed = new DeadLetterDesk(bank.broker).replay(rowOf(bank, a));
  await expect(replayed).rejects.toThrow(new UnavailableError('the provider is away'));
});

test('where nobody owns the partition, it is said at once', async () => {
  const { bank, desk, consumer } = await openDesk([13]);
  await deposits(bank, a, 13);
  await areParked(bank, a, 1);
  await consumer.stop();
  const since = performance.now();
  await expect(desk.replay(rowOf(bank, a))).rejects.toBeInstanceOf(UnavailableError);
  await expect(desk.discard(rowOf(bank, a), { firstOnly: true })).rejects.toBeInstanceOf(UnavailableError);
  await expect(desk.replay({ ...rowOf(bank, a), partition: 9 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(desk.replay({ ...rowOf(bank, a), key: '>' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(performance.now() - since).toBeLessThan(2_000);
});

test('an owner does nothing for a request that could mean other keys, or nothing at all', async () => {
  const { bank } = await openDesk([13]);
  await deposits(bank, a, 13);
  await areParked(bank, a, 1);
  const { consumer, partition } = rowOf(bank, a);
  const ask = (request: object) => askOwner(bank.broker, { consumer, partition }, request as OwnerRequest);
  for (const request of [{ command: 'discard', key: '*', firstOnly: false }, { command: 'explode', key: a }, {}]) {
    await expect(ask(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  expect(await bank.parked(a)).toHaveLength(1);
});

test('a letter whose message was left out is replayed from its journal', async () => {
  const nats = await ownNats();
  const bank = await openBank(nats.url);
  const seen: number[] = [];
  let bad = true;
  const consumer = bank.consumer(async ({ data: { amount, accountId } }) => {
    if (bad) throw new PermanentError('no');
    seen.push(Number(amount), accountId.length);
  });
  await consumer.own([3]);
  const head = (await bank.journal.at(await bank.deposit(b, 1)))?.headers ?? headers();
  const headBytes = head.keys().reduce((sum, name) => sum + name.length + head.get(name).length + 4, 0);
  // Together with its headers as large as the broker allows: with the note it is larger.
  const accountId = 'x'.repeat((bank.broker.connection.info?.max_payload ?? 0) - headBytes - 100);
  const data = toBinary(MoneyDepositedSchema, create(MoneyDepositedSchema, { accountId, amount: 7n }));
  const { seq } = await bank.broker.js.publish(`${bank.service}.event.3.account.${a}`, data, { headers: head });
  await areParked(bank, a, 1);
  const desk = new DeadLetterDesk(bank.broker);
  const row = (await desk.rows({ key: a }))[0];
  expect(row?.first).toMatchObject({ isLeftOut: true, streamSequence: seq });
  expect(row?.first.message.headers.get('ce-type')).toBe(MoneyDepositedSchema.typeName);
  expect((await desk.letter(row?.first.sequence ?? 0))?.message.data.length).toBe(data.length);
  bad = false;
  expect(await desk.replay(rowOf(bank, a))).toEqual({ handled: 1, remaining: 0, error: '' });
  expect(seen).toEqual([7, accountId.length]);
});

test('who asks no longer ends a long replay after the letter at work', async () => {
  const { bank, desk, refused, consumer } = await openDesk([1]);
  await deposits(bank, a, 1, 2, 3);
  await areParked(bank, a, 3);
  await consumer.stop();
  refused.clear();
  const asking = new AbortController();
  const noted = noting(() => asking.abort());
  await bank.consumer(noted.handle).own([3]);
  await expect.poll(() => desk.rows({ consumer: rowOf(bank, a).consumer })).toHaveLength(1);
  await expect
    .poll(() => desk.replay(rowOf(bank, a), { signal: asking.signal }).catch((error) => error.code), { timeout: 5_000 })
    .toBe('CANCELLED');
});

test('an owner that dies between handling a letter and taking it away leaves one that is handled once more', async () => {
  const { bank, desk, consumer } = await openDesk([1]);
  await deposits(bank, a, 1, 2);
  await areParked(bank, a, 2);
  await consumer.stop();
  const doomed = await ownConnection(url);
  const first = noting(() => doomed.close());
  await bank.consumer(first.handle, { broker: doomed }).own([3]);
  const asking = new AbortController();
  const asked = () => desk.replay(rowOf(bank, a), { signal: asking.signal }).catch(({ name }) => name);
  const answers = (async () => {
    const all = new Set<unknown>();
    while (!asking.signal.aborted) all.add(await asked());
    return all;
  })();
  await expect.poll(() => first.of(a)).toEqual([1]);
  asking.abort();
  // At first nobody owned the partition, and then nobody answered.
  expect([...(await answers)].filter((answer) => answer !== 'UnavailableError')).toEqual(['CallError']);
  expect(await bank.parked(a)).toHaveLength(2);
  const next = noting();
  await bank.consumer(next.handle).own([3]);
  await expect
    .poll(() => desk.replay(rowOf(bank, a)).catch(() => undefined))
    .toMatchObject({ handled: 2, remaining: 0 });
  expect(next.of(a)).toEqual([1, 2]);
});

test('two operators at once handle each letter once', async () => {
  const { bank, desk, noted, refused } = await openDesk([13]);
  const other = new DeadLetterDesk(await ownConnection(url));
  await deposits(bank, a, 13, 2, 3);
  await deposits(bank, c, 13);
  await areParked(bank, a, 3);
  await areParked(bank, c, 1);
  refused.clear();
  const both = await Promise.allSettled([desk, other].map((each) => each.replay(rowOf(bank, a))));
  expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(noted.of(a)).toEqual([13, 13, 2, 3]);
  expect(await bank.parked(c)).toHaveLength(1);
});
