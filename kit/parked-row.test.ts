import { headers } from '@nats-io/transport-node';
import { beforeAll, expect, test } from 'vitest';
import { keysOfPartition, ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import type { Broker } from './broker.ts';
import {
  BEHIND,
  DeadLetterHeader,
  deadLetters,
  type Letter,
  noteSubject,
  type ParkingNote,
  rowSubject,
  unparkedHeaders,
} from './dead-letters.ts';
import type { StoredMessage } from './event.ts';
import { ParkedKeys } from './parked-keys.ts';
import { Parking, UnparkedError } from './parking.ts';

let url: string;

beforeAll(async () => {
  url = (await ownNats()).url;
});

const [a = ''] = keysOfPartition(3, 1);
const refused: ParkingNote = { reason: 'REFUSED', error: 'no', attempts: 1 };

let consumers = 0;

/** Two who both believe to own the partition. */
async function twoOwners(broker?: Broker) {
  const own = broker ?? (await ownConnection(url));
  const consumer = `bank-row-${++consumers}`;
  const subject = rowSubject({ consumer, partition: 3, key: a });
  const open = () => Parking.open(own, consumer, 3);
  return {
    broker: own,
    consumer,
    subject,
    open,
    one: await open(),
    other: await open(),
    sequences: async () =>
      (await deadLetters(own).history(subject)).map((each) => Number(each.headers.get(DeadLetterHeader.sequence))),
  };
}

function message(sequence: number): StoredMessage {
  const subject = `bank.event.3.account.${a}`;
  return { subject, sequence, stream: 'BANK', data: new Uint8Array(), headers: headers() };
}

/** Ends a row, and dies before what is left of it is taken away. */
async function endAndDie(broker: Broker, subject: string): Promise<void> {
  await broker.js.publish(subject, new Uint8Array(), { headers: unparkedHeaders() });
}

test('who believes to own the partition can not unpark a key that another parks a message of', async () => {
  const { one, other, sequences } = await twoOwners();
  await one.park(message(1), refused);
  const row = one.row(3, a);
  const first = await row.first();
  await other.park(message(2), BEHIND);
  await row.remove(first as Letter);
  expect(one.isParked(3, a)).toBe(true);
  expect(await sequences()).toEqual([2]);
});

test('who still believes that a key is parked can not park a message behind nothing, and is told', async () => {
  const { one, open, sequences } = await twoOwners();
  await one.park(message(1), refused);
  const late = await open();
  const row = one.row(3, a);
  await row.remove((await row.first()) as Letter);
  expect(one.isParked(3, a)).toBe(false);
  expect(late.isParked(3, a)).toBe(true);
  await expect(late.park(message(2), BEHIND)).rejects.toBeInstanceOf(UnparkedError);
  expect(late.isParked(3, a)).toBe(false);
  expect(await sequences()).toEqual([]);
});

test('while one parks and another takes away, each message is taken away once, in order, or told that it need not wait', async () => {
  const { one, other, sequences } = await twoOwners();
  const taken: number[] = [];
  const free: number[] = [];
  let isOver = false;
  const taking = async () => {
    while (!isOver || (await sequences()).length > 0) {
      const row = one.row(3, a);
      for (let letter = await row.first(); letter !== undefined; letter = await row.next(letter)) {
        taken.push(letter.streamSequence);
        await row.remove(letter);
      }
    }
  };
  const parking = async () => {
    for (let sequence = 1; sequence <= 150; sequence++) {
      // Every fifth has a fault of its own.
      const note = sequence % 5 === 0 ? refused : BEHIND;
      await other.park(message(sequence), note).catch((error) => {
        expect(error).toBeInstanceOf(UnparkedError);
        free.push(sequence);
      });
    }
    isOver = true;
  };
  await Promise.all([taking(), parking()]);
  expect(taken).toEqual(taken.toSorted((first, second) => first - second));
  expect([...taken, ...free].sort((first, second) => first - second)).toEqual(
    Array.from({ length: 150 }, (_, index) => index + 1),
  );
});

test('a message that was handled after all, comes again and fails again is parked again', async () => {
  const { one, sequences } = await twoOwners();
  for (let times = 0; times < 2; times++) {
    await one.park(message(1), refused);
    expect(await sequences()).toEqual([1]);
    expect(await one.row(3, a).removeAll()).toBe(1);
  }
  expect(await sequences()).toEqual([]);
});

test('a crash when a row has ended and is still there is finished by the next owner, or by whoever parks the next', async () => {
  const { broker, consumer, subject, one, open, sequences } = await twoOwners();
  for (const sequence of [1, 2]) await one.park(message(sequence), refused);
  await endAndDie(broker, subject);
  expect(await one.row(3, a).first()).toBeUndefined();
  expect(await sequences()).toEqual([]);

  await one.park(message(3), refused);
  await endAndDie(broker, subject);
  await one.park(message(4), refused);
  expect(await sequences()).toEqual([4]);

  await endAndDie(broker, subject);
  await open();
  await expect.poll(sequences).toEqual([]);

  const view = await ParkedKeys.open(broker, consumer, 3);
  await view.park(message(5), refused);
  await endAndDie(broker, subject);
  expect(await view.isBehind(message(6), undefined)).toBe(false);
});

test('a note belongs to the letter that it was made of, the latest counts, and it goes with the row', async () => {
  const { broker, consumer, one } = await twoOwners();
  for (const sequence of [1, 2]) await one.park(message(sequence), refused);
  const row = one.row(3, a);
  const first = (await row.first()) as Letter;
  for (const attempts of [2, 3]) await row.note(first, { reason: 'FAILED', error: `at ${attempts}`, attempts });
  expect(await row.first()).toMatchObject({ reason: 'FAILED', error: 'at 3', attempts: 3 });
  await row.remove(first);
  expect(await row.first()).toMatchObject({ reason: 'REFUSED', error: 'no', attempts: 1, streamSequence: 2 });
  const notes = () => deadLetters(broker).history(noteSubject({ consumer, partition: 3, key: a }));
  expect(await notes()).toHaveLength(1);
  await row.removeAll();
  expect(await notes()).toEqual([]);
});

test('a stream of dead letters that is full can be emptied', async () => {
  const broker = await ownConnection((await ownNats()).url);
  const { one, sequences } = await twoOwners(broker);
  for (const sequence of [1, 2, 3]) await one.park(message(sequence), refused);
  await broker.manager.streams.update('DEAD_LETTERS', { max_bytes: 1 });
  await expect(one.park(message(4), refused)).rejects.toThrow('full');
  const row = one.row(3, a);
  const first = (await row.first()) as Letter;
  await row.note(first, { reason: 'FAILED', error: 'again', attempts: 2 });
  await row.remove(first);
  expect(await sequences()).toEqual([2, 3]);
  expect(await row.removeAll()).toBe(2);
  expect(await sequences()).toEqual([]);
  expect(one.isParked(3, a)).toBe(false);
});
