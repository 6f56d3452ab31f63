import { describe, expect, test } from 'vitest';
import {
  AccountOpenedSchema,
  BulkRequestSchema,
  MoneyDepositedSchema,
  MoneyWithdrawnSchema,
  PaidInSchema,
} from '#gen/causeway/testing/v1/account_pb.js';
import { accountAggregate } from '#kit/testing/account.ts';
import { publishedTypes, readers, takeExample } from './corpus.ts';
import { fieldsWithoutExample, lostExamples, readerOf, unreadableTypes } from './problems.ts';

const opened = { accountId: 'a-1', ownerName: 'Anna' };

describe('a field without an example', () => {
  test('is named', () => {
    expect(fieldsWithoutExample(AccountOpenedSchema, [{ accountId: 'a-1' }])).toEqual([
      'causeway.testing.v1.AccountOpened.owner_name',
    ]);
    expect(fieldsWithoutExample(AccountOpenedSchema, [])).toHaveLength(2);
  });

  test('may have it in another example, and the field that holds what is sealed needs none', () => {
    expect(fieldsWithoutExample(AccountOpenedSchema, [opened])).toEqual([]);
    expect(fieldsWithoutExample(AccountOpenedSchema, [{ accountId: 'a-1' }, { ownerName: 'Anna' }])).toEqual([]);
  });

  test('is named where it is in a message inside, or in a list of them', () => {
    const closing = { accountId: 'a-1' };
    expect(fieldsWithoutExample(BulkRequestSchema, [{ bookings: [{ accountId: 'a-1' }], closing }])).toEqual([
      'causeway.testing.v1.Booking.notes',
    ]);
    expect(fieldsWithoutExample(BulkRequestSchema, [{ bookings: [{ notes: ['n'] }], closing }])).toEqual([]);
  });
});

describe('an example that was there', () => {
  const [first, second] = [
    takeExample(AccountOpenedSchema, opened, 'a-1', 'as first published'),
    takeExample(AccountOpenedSchema, opened, 'a-1', 'with more'),
  ];

  test('is missed where it was removed', () => {
    expect(lostExamples([first, second], [second])).toEqual(['as first published', 'with more']);
    expect(lostExamples([first], [])).toEqual(['as first published']);
  });

  test('is missed where it was changed', () => {
    expect(lostExamples([first, second], [{ ...first, body: '' }, second])).toEqual(['as first published']);
    expect(lostExamples([first], [{ ...first, says: {} }])).toEqual(['as first published']);
  });

  test('may get others behind it', () => {
    expect(lostExamples([first], [first, second])).toEqual([]);
  });
});

describe('an event type', () => {
  test("that became another is read by its aggregate's upcaster", () => {
    expect(unreadableTypes([PaidInSchema, MoneyDepositedSchema], [accountAggregate])).toEqual([]);
    expect(readerOf(PaidInSchema, [accountAggregate])?.reader.name).toBe('account');
  });

  test('is unreadable where the upcaster was taken away, and where its aggregate no longer has it', () => {
    const { upcasters: _, ...without } = accountAggregate;
    expect(unreadableTypes([PaidInSchema], [without])).toEqual(['causeway.testing.v1.PaidIn']);
    const { MoneyWithdrawn: __, ...events } = accountAggregate.events;
    expect(unreadableTypes([MoneyWithdrawnSchema], [{ ...accountAggregate, events }])).toHaveLength(1);
  });
});

test('contracts of events and aggregates are found by themselves', () => {
  const contexts = new Set(publishedTypes.map(({ typeName }) => typeName.split('.')[1]));
  expect([...contexts]).toEqual(expect.arrayContaining(['inventory', 'orders']));
  expect(readers.map(({ name }) => name)).toEqual(expect.arrayContaining(['item', 'order']));
});
