import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { type ItemSalesDocument, itemSalesView } from './item-sales-view.ts';

type Event = Parameters<typeof itemSalesView.project>[1];
type Line = { sku: string; name?: string; quantity: number };

function after(...orders: Line[][]): ItemSalesDocument | undefined {
  return orders.reduce<ItemSalesDocument | undefined>((day, lines) => {
    const data = create(OrderPlacedSchema, { lines });
    return itemSalesView.project(day, { data, time: new Date('2026-11-24T12:00:00Z') } as Event);
  }, undefined);
}

test('a day has the pieces of each item and the orders that it is in, under its latest name', () => {
  const day = after(
    [
      { sku: 'beans', name: 'Beans', quantity: 2 },
      { sku: 'cup', name: 'Cup', quantity: 1 },
      { sku: 'beans', name: 'Beans', quantity: 3 },
    ],
    [{ sku: 'beans', name: 'Coffee beans', quantity: 1 }],
    [{ sku: '__proto__', name: 'Odd', quantity: 1 }],
  );

  expect(day).toEqual({
    day: '2026-11-24',
    items: [
      { sku: 'beans', name: 'Coffee beans', quantity: 6, orders: 2 },
      { sku: 'cup', name: 'Cup', quantity: 1, orders: 1 },
      { sku: '__proto__', name: 'Odd', quantity: 1, orders: 1 },
    ],
  });
});

test('a day does not grow with the catalogue, and what is ordered often stays in it', () => {
  const orders = Array.from({ length: 3_000 }, (_, number) => [
    { sku: `rare-${number}`, quantity: 1 },
    ...(number % 10 === 0 ? [{ sku: 'bestseller', quantity: 5 }] : []),
  ]);

  const day = after(...orders);

  expect(day?.items).toHaveLength(1_000);
  const [first] = day?.items.toSorted((one, other) => other.quantity - one.quantity) ?? [];
  expect(first).toMatchObject({ sku: 'bestseller', orders: 300 });
  const ordered = 3_000 + 300 * 5;
  expect(Math.abs((first?.quantity ?? 0) - 1_500)).toBeLessThanOrEqual(ordered / 1_000);
});

test('what begins to be ordered late finds its place too', () => {
  const before = Array.from({ length: 1_000 }, (_, number) => [{ sku: `early-${number}`, quantity: 2 }]);
  const then = Array.from({ length: 100 }, (_, number) => [{ sku: `rare-${number}`, quantity: 1 }]);
  const trending = then.flatMap((rare) => [rare, [{ sku: 'trending', quantity: 1 }]]);

  const day = after(...before, ...trending);

  const first = day?.items.toSorted((one, other) => other.quantity - one.quantity)[0];
  expect(first).toMatchObject({ sku: 'trending', orders: 100 });
});
