import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { MinuteSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import { lineWidth, ordersPerMinute, paceOf, rateText, shortCount } from './figures.ts';

const MINUTE_AT = 1_800_000_000_000;
const minutes = [90, 60, 20].map((placed, index) =>
  create(MinuteSchema, { at: timestampFromMs(MINUTE_AT + (index - 2) * 60_000), placed }),
);

test('the minute that has begun is filled up from the one before', () => {
  expect(ordersPerMinute(minutes, MINUTE_AT)).toBe(80);
  expect(ordersPerMinute(minutes, MINUTE_AT + 15_000)).toBe(65);
  expect(ordersPerMinute(minutes, MINUTE_AT + 60_000)).toBe(20);
});

test('clocks that differ a little make no more or fewer orders; nothing is none', () => {
  expect(ordersPerMinute(minutes, MINUTE_AT - 5_000)).toBe(80);
  expect(ordersPerMinute(minutes, MINUTE_AT + 90_000)).toBe(20);
  expect(ordersPerMinute([], MINUTE_AT)).toBe(0);
});

test('rates and counts are short', () => {
  expect([0, 0.04, 0.05, 9.94, 9.96, 1_234.5].map(rateText)).toEqual(['0', '0', '0.1/s', '9.9/s', '10/s', '1,235/s']);
  expect([0, 950, 12_400, 3_400_000].map(shortCount)).toEqual(['0', '950', '12.4K', '3.4M']);
});

test('what flows faster is drawn faster and wider, and what stands is still', () => {
  const rates = [0, 0.05, 1, 5, 25, 100];
  expect(rates.map(paceOf)).toEqual(['still', 'slow', 'easy', 'brisk', 'fast', 'rushing']);
  expect(rates.map(lineWidth)).toEqual(rates.map(lineWidth).toSorted((one, other) => one - other));
  expect(lineWidth(0)).toBe(1);
});
