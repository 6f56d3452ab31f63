import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { BookingSchema, BulkRequestSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { CallError } from '#kit/errors.ts';
import { validate } from './validation.ts';

const good = { accountId: 'a' };
const bad = { accountId: 'A' };

/** What is said of a request that is refused. */
function refused(request: Parameters<typeof create<typeof BulkRequestSchema>>[1]) {
  try {
    validate(BulkRequestSchema, create(BulkRequestSchema, request));
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    return { code: error.code, message: error.message, fields: error.details.violations?.map(({ field }) => field) };
  }
  throw new Error('it was not refused');
}

test('a list that is too long is named by itself: its items are not looked at', () => {
  const bookings = Array.from({ length: 500_000 }, () => create(BookingSchema, bad));

  expect(refused({ bookings })).toEqual({
    code: 'INVALID_ARGUMENT',
    message: 'bookings: must have at most 100 items',
    fields: ['bookings'],
  });
});

test('a list inside of a list, and one inside of a message, is bounded too', () => {
  const notes = Array.from({ length: 100_000 }, () => 'too long');

  expect(refused({ bookings: [good, { ...bad, notes }] }).fields).toEqual(['bookings[1].notes']);
  expect(refused({ closing: { ...bad, notes } }).fields).toEqual(['closing.notes']);
});

test('of many wrong fields ten are named, and three of them in the message, with how many there are', () => {
  const bookings = Array.from({ length: 100 }, () => bad);

  const { fields, message } = refused({ bookings });

  expect(fields).toEqual(Array.from({ length: 10 }, (_, index) => `bookings[${index}].account_id`));
  expect(message).toMatch(/^bookings\[0\].account_id: .*; bookings\[2\].account_id: .*; and 97 more$/);
});

test('what is within its bounds is valid', () => {
  const bookings = Array.from({ length: 100 }, () => ({ ...good, notes: ['one', 'two'] }));

  expect(() => validate(BulkRequestSchema, create(BulkRequestSchema, { bookings, closing: good }))).not.toThrow();
});
