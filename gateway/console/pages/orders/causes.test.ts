import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { causesOf, linksOf } from './causes.ts';

const event = (id: string, causationId: string, ms: number) => ({ id, causationId, time: timestampFromMs(ms) });

const history = [
  event('placed', 'a request', 1_000),
  event('reserved', 'placed', 1_040),
  event('confirmed', 'reserved', 1_050),
  event('told', 'confirmed', 1_300),
  event('sent', 'confirmed', 1_100),
];

test('an event knows its cause, its effects, and the time between', () => {
  expect(linksOf(history)).toEqual([
    { cause: undefined, effects: [1], gapMs: undefined },
    { cause: 0, effects: [2], gapMs: 40 },
    { cause: 1, effects: [3, 4], gapMs: 10 },
    { cause: 2, effects: [], gapMs: 250 },
    { cause: 2, effects: [], gapMs: 50 },
  ]);
});

test('all causes of an event lead back to the first', () => {
  expect([...causesOf(linksOf(history), 4)]).toEqual([2, 1, 0]);
  expect([...causesOf(linksOf(history), 0)]).toEqual([]);
});

test('causes that run in a circle end', () => {
  const circle = [event('a', 'c', 1), event('b', 'a', 2), event('c', 'b', 3), event('d', 'd', 4)];
  expect([...causesOf(linksOf(circle), 0)]).toEqual([2, 1]);
  expect(linksOf(circle)[3]?.cause).toBeUndefined();
});
