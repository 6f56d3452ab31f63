import { headers } from '@nats-io/transport-node';
import { beforeAll, expect, test } from 'vitest';
import { keysOfPartition, openBank, ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import { DeadLetterHeader, type ParkingNote } from './dead-letters.ts';
import type { StoredMessage } from './event.ts';
import { Journal } from './journal.ts';
import { ParkedKeys } from './parked-keys.ts';
import { Parking } from './parking.ts';

let url: string;

beforeAll(async () => {
  url = (await ownNats()).url;
});

const [a = '', b = ''] = keysOfPartition(3, 2);
const note: ParkingNote = { reason: 'REFUSED', error: 'not\nthis one', attempts: 2 };

let consumers = 0;

/** The dead letters of a consumer of the test's own. */
async function open() {
  const broker = await ownConnection(url);
  const consumer = `bank-test-${++consumers}`;
  const letters = new Journal({ service: 'dead', stream: 'DEAD_LETTERS', maxBytes: 0 }, broker);
  return {
    broker,
    consumer,
    parking: await Parking.open(broker, consumer),
    letters: (subject: string) => letters.history(`dead.${consumer}.${subject}`),
  };
}

function message(key: string, sequence: number, words: Partial<StoredMessage> = {}): StoredMessage {
  const head = headers();
  head.set('ce-id', `id-${sequence}`);
  head.set('Causeway-State', 'state');
  head.set('Nats-Msg-Id', `id-${sequence}`);
  head.set('Nats-Expected-Stream', 'BANK');
  const subject = `bank.event.3.account.${key}`;
  return { subject, sequence, stream: 'BANK', data: Buffer.from(`data ${sequence}`), headers: head, ...words };
}

test('a dead letter keeps the message as it was, and says why it is there and where it comes from', async () => {
  const { parking, consumer, letters } = await open();
  await parking.park(message(a, 7), note);
  const [letter, ...others] = await letters(`3.${a}`);
  expect(others).toEqual([]);
  expect(Buffer.from(letter?.data ?? []).toString()).toBe('data 7');
  const said = Object.fromEntries([...(letter?.headers.keys() ?? [])].map((name) => [name, letter?.headers.get(name)]));
  expect(said).toMatchObject({
    'ce-id': 'id-7',
    'Causeway-State': 'state',
    [DeadLetterHeader.reason]: 'REFUSED',
    [DeadLetterHeader.error]: 'not this one',
    [DeadLetterHeader.attempts]: '2',
    [DeadLetterHeader.consumer]: consumer,
    [DeadLetterHeader.stream]: 'BANK',
    [DeadLetterHeader.subject]: `bank.event.3.account.${a}`,
    [DeadLetterHeader.sequence]: '7',
  });
  expect(new Date(said[DeadLetterHeader.time] ?? '').getTime()).toBeGreaterThan(Date.now() - 60_000);
});

test('a key is parked from its first dead letter on, for every owner that looks, and no other key is', async () => {
  const { broker, parking, consumer } = await open();
  expect(parking.isParked(3, a)).toBe(false);
  await parking.park(message(a, 1), note);
  for (const each of [parking, await Parking.open(broker, consumer), await Parking.open(broker, consumer, 3)]) {
    expect(each.isParked(3, a)).toBe(true);
    expect(each.isParked(3, b)).toBe(false);
    expect(each.size).toBe(1);
  }
  expect((await Parking.open(broker, consumer, 4)).size).toBe(0);
});

test('a message that is parked again after a crash, or by two owners at once, is one dead letter', async () => {
  const { broker, parking, consumer, letters } = await open();
  await parking.park(message(a, 1), note);
  await parking.park(message(a, 2), note);
  const other = await Parking.open(broker, consumer);
  await other.park(message(a, 1), note);
  await Promise.all([parking, other, parking, other].map((each) => each.park(message(a, 3), note)));
  expect((await letters(`3.${a}`)).map(({ headers: head }) => head.get(DeadLetterHeader.sequence))).toEqual([
    '1',
    '2',
    '3',
  ]);
});

test('who finds a message parked already knows from then on that its key is', async () => {
  const { broker, parking, consumer } = await open();
  const other = await Parking.open(broker, consumer);
  // Parked by an owner that has not acknowledged it, or by a publish whose answer never came.
  await parking.park(message(a, 1), note);
  await other.park(message(a, 1), note);
  expect(other.isParked(3, a)).toBe(true);
});

test('messages that reach a key at the same moment are all parked, in their order', async () => {
  const { parking, letters } = await open();
  const sequences = Array.from({ length: 30 }, (_, index) => index + 1);
  await Promise.all(sequences.map((sequence) => parking.park(message(a, sequence), note)));
  const parked = (await letters(`3.${a}`)).map(({ headers: head }) => Number(head.get(DeadLetterHeader.sequence)));
  expect(parked).toEqual(sequences);
});

test('what several journals say of a key is parked once each, also when it comes again in another order', async () => {
  const { broker, parking, consumer, letters } = await open();
  // The broker knows a message again for two minutes; here it is made to forget sooner.
  const update = (duplicate_window: number) => broker.manager.streams.update('DEAD_LETTERS', { duplicate_window });
  await update(100_000_000);
  const first = message(a, 5, { stream: 'LOANS' });
  await parking.park(first, note);
  await parking.park(message(a, 9), note);
  const isKnownAgain = async () => (await broker.js.publish(`dead.${consumer}.0.x`, '', { msgID: 'x' })).duplicate;
  expect(await isKnownAgain()).toBe(false);
  await expect.poll(isKnownAgain).toBe(false);
  await (await Parking.open(broker, consumer)).park(first, note);
  await update(120_000_000_000);
  expect((await letters(`3.${a}`)).length).toBe(2);
});

test('what is no event has a place of its own in the partition where it was found', async () => {
  const { parking, letters } = await open();
  const stray = (partition: number, sequence: number) =>
    message(a, sequence, { subject: `bank.event.${partition}.account.no+key` });
  await parking.park(stray(4, 50), note);
  await parking.park(stray(5, 40), note);
  expect((await letters('4.~')).length).toBe(1);
  expect((await letters('5.~')).length).toBe(1);
});

test('a message that leaves no room for the note is parked by its place, so that the consumer goes on', async () => {
  const { broker, parking, letters } = await open();
  const largest = broker.connection.info?.max_payload ?? 0;
  await parking.park(message(a, 1, { data: new Uint8Array(largest - 200) }), note);
  const head = headers();
  head.set('long', 'x'.repeat(65_400));
  await parking.park(message(b, 2, { headers: head }), note);
  for (const [key, sequence] of [[a, '1'] as const, [b, '2'] as const]) {
    const [letter] = await letters(`3.${key}`);
    expect(letter?.data.length).toBe(0);
    expect(letter?.headers.get(DeadLetterHeader.leftOut)).toBe('true');
    expect(letter?.headers.get(DeadLetterHeader.sequence)).toBe(sequence);
  }
});

test('an original is not acknowledged before its dead letter is stored', async () => {
  const bank = await openBank((await ownNats()).url);
  const consumer = bank.consumer(async () => {
    throw new Error('a bug');
  });
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  await bank.broker.manager.streams.delete('DEAD_LETTERS');
  await bank.deposit(a, 1);
  await expect.poll(() => consumer.health().ready).toBe(false);
  const floor = async () =>
    (await bank.broker.manager.consumers.info(bank.journal.stream, `${bank.service}-thank-on-deposit-3`)).ack_floor
      .stream_seq;
  expect(await floor()).toBe(0);
  await Parking.open(bank.broker, 'anyone');
  await expect.poll(() => bank.parked(a)).toMatchObject([{ sequence: 1, reason: 'FAILED' }]);
  await expect.poll(floor).toBe(1);
});

test("what is no event's subject waits behind what was parked of such in its partition, in a view as elsewhere", async () => {
  const { broker, consumer } = await open();
  const parked = await ParkedKeys.open(broker, consumer, 3);
  const subject = 'bank.event.3.account.not.a.key';
  await parked.park(message(a, 7, { subject }), note);
  expect(await parked.isBehind(message(a, 8, { subject }), undefined)).toBe(true);
  expect(await parked.isBehind(message(a, 6, { subject }), undefined)).toBe(false);
  expect(await parked.isBehind(message(a, 8), undefined)).toBe(false);
});
