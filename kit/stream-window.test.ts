import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { publishRaw } from '#kit/testing/raw.ts';
import { ownConnection } from '#kit/testing/reacting.ts';
import { sharedNatsUrl } from '#kit/testing/servers.ts';
import { messagesBetween, sequenceAt } from './stream-window.ts';

/** A stream of the test's own, with two subjects. */
async function openStream() {
  const broker = await ownConnection(sharedNatsUrl());
  const stream = `WINDOW_${randomUUID().slice(0, 8)}`;
  await broker.manager.streams.add({ name: stream, subjects: [`${stream}.>`], allow_direct: true });

  async function publish(name: string, count = 1): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => broker.js.publish(`${stream}.${name}`, name)));
  }

  async function read(from: number, to: number, name?: string): Promise<number[]> {
    const sequences: number[] = [];
    const range = { from, to, ...(name === undefined ? {} : { subject: `${stream}.${name}` }) };
    for await (const { sequence } of messagesBetween(broker, stream, range)) sequences.push(sequence);
    return sequences;
  }
  return { broker, stream, publish, read };
}

const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

test('all messages between two sequences are read, in their order, also those of several answers', async () => {
  const { publish, read } = await openStream();
  await publish('a', 1_100);

  expect(await read(1, 1_100)).toEqual(upTo(1_100));
  expect(await read(42, 44)).toEqual([42, 43, 44]);
  expect(await read(1_099, 5_000)).toEqual([1_099, 1_100]);
  expect(await read(1_101, 5_000)).toEqual([]);
});

test('those of one subject are read, whatever lies between them, and none that is gone', async () => {
  const { broker, stream, publish, read } = await openStream();
  for (const name of ['a', 'b', 'a', 'b', 'b', 'a']) await publish(name);
  await broker.manager.streams.deleteMessage(stream, 3);

  expect(await read(1, 6, 'a')).toEqual([1, 6]);
  expect(await read(2, 5, 'b')).toEqual([2, 4, 5]);
  expect(await read(1, 6, 'c')).toEqual([]);
  expect(await read(1, 6)).toEqual([1, 2, 4, 5, 6]);
});

test('a message whose headers nobody can read is read too, and does not end the connection', async () => {
  const { broker, stream, publish, read } = await openStream();
  await publish('a', 2);
  await publishRaw(sharedNatsUrl(), `${stream}.a`, 'NATS/1.0\r\nce-id: a\nb\r\n\r\n');
  await expect.poll(() => read(3, 3)).toEqual([3]);
  await publish('a', 2);

  expect(await read(1, 5)).toEqual([1, 2, 3, 4, 5]);
  expect(await read(1, 5, 'a')).toEqual([1, 2, 3, 4, 5]);
  expect(broker.connected()).toBe(true);
});

test('a message that says it stands elsewhere is read where it stands', async () => {
  const { stream, publish, read } = await openStream();
  await publishRaw(sharedNatsUrl(), `${stream}.a`, 'NATS/1.0\r\nNats-Sequence: 70\r\n\r\n');
  await expect.poll(() => read(1, 1)).toEqual([1]);
  await publish('a', 2);

  expect(await read(1, 3)).toEqual([1, 2, 3]);
});

test('what was stored since a time begins with its first message', async () => {
  const { broker, stream, publish } = await openStream();
  await publish('a', 2);
  const { time } = (await broker.manager.streams.getMessage(stream, { seq: 2 })) ?? { time: new Date() };

  expect(await sequenceAt(broker, stream, new Date(0))).toBe(1);
  expect(await sequenceAt(broker, stream, new Date(time.getTime() + 1))).toBeUndefined();
  // Centuries away the broker's count of nanoseconds has overflown.
  expect(await sequenceAt(broker, stream, new Date('9999-12-31'))).toBeUndefined();
  expect(await sequenceAt(broker, stream, new Date('1500-01-01'))).toBe(1);
});
