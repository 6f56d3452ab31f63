import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allPartitions, parseSubject, partitionOf, subjectOf } from './partitions.ts';

describe("a key's partition", () => {
  test.each([
    ['a', 4],
    ['order-1', 5],
    ['00000000-0000-4000-8000-000000000001', 2],
    ['coffee-beans', 7],
  ])('of %s is %i for ever', (key, partition) => {
    expect(partitionOf(key)).toBe(partition);
  });

  test('is one of eight, and each is met', () => {
    const met = new Set(Array.from({ length: 200 }, (_, index) => partitionOf(`key-${index}`)));
    expect([...met].sort()).toEqual(allPartitions);
    expect(allPartitions).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});

describe('a subject', () => {
  test('names service, partition, aggregate and key', () => {
    expect(subjectOf('inventory', 'item', 'coffee-beans')).toBe('inventory.event.7.item.coffee-beans');
  });

  test('says again what it was made from', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/), (key) => {
        expect(parseSubject(subjectOf('orders', 'order', key))).toEqual({
          service: 'orders',
          partition: partitionOf(key),
          aggregate: 'order',
          key,
        });
      }),
    );
  });

  test.each(['', 'a.b', 'a*', '>', 'a b', 'ä', 'a\n', 'x'.repeat(65)])('can not be made for the key %j', (key) => {
    expect(() => subjectOf('orders', 'order', key)).toThrow(RangeError);
  });

  test.each([
    'orders.event.4.order',
    'orders.event.4.order.a.b',
    'orders.notice.4.order.a',
    'orders.event.four.order.a',
    'orders.event.04.order.a',
    'orders.event.8.order.a',
    '.event.4.order.a',
    'orders.event.4..a',
    `orders.event.4.order.${'a'.repeat(65)}`,
  ])('%s is no event subject', (subject) => {
    expect(parseSubject(subject)).toBeUndefined();
  });

  test("with another partition than its key's is no event subject", () => {
    expect(parseSubject('orders.event.4.order.a')).toBeDefined();
    expect(parseSubject('orders.event.3.order.a')).toBeUndefined();
  });
});
