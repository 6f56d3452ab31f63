import { expect, test } from 'vitest';
import { counted, ordinal, words } from './words.ts';

test.each([
  ['OrderPlaced', 'Order placed'],
  ['PaymentCaptureRefused', 'Payment capture refused'],
  ['OUT_OF_STOCK', 'Out of stock'],
  ['placed', 'Placed'],
])('%s is for people: %s', (name, text) => {
  expect(words(name)).toBe(text);
});

test.each([
  [1, '1st'],
  [2, '2nd'],
  [3, '3rd'],
  [4, '4th'],
  [11, '11th'],
  [13, '13th'],
  [22, '22nd'],
  [112, '112th'],
])('%i as a place is %s', (count, text) => {
  expect(ordinal(count)).toBe(text);
});

test('one is one, and others are many', () => {
  expect([counted(1n, 'key'), counted(0, 'key'), counted(2, 'entry', 'entries')]).toEqual([
    '1 key',
    '0 keys',
    '2 entries',
  ]);
});
