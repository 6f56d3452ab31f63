import { type OrderPlaced, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { View } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';
import { type Days, dayOf } from './days.ts';

export type ItemSales = { sku: string; name: string; quantity: number; orders: number };

/** One day of one partition; queries sum over partitions. A list, because a sku may be `__proto__`. */
export type ItemSalesDocument = { day: string; items: ItemSales[] };

/**
 * Items that a document counts. Up to so many the figures are exact. With more, a new item takes the place of the one
 * that was ordered least, and its quantity too (Metwally et al., "Space-Saving", 2005): what is ordered often stays in,
 * and its figure is off by a thousandth of all that was ordered, at most.
 */
const COUNTED_ITEMS = 1_000;

/** How often each item was ordered, by day. */
export const itemSalesView: View<ItemSalesDocument, OrderPlaced> = {
  name: 'item-sales',
  version: 1,
  sources: [{ journal: journalOf('orders'), aggregate: 'order' }],
  types: new EventTypes([OrderPlacedSchema]),
  documentId: ({ time, partition }) => `${dayOf(time)}-${partition}`,
  indexes: [{ key: { day: 1 } }],
  project(document, { data, time }) {
    const items = new Map((document?.items ?? []).map((item) => [item.sku, item]));
    for (const { sku, name, quantity } of perItem(data)) {
      const before = items.get(sku) ?? takePlace(items);
      items.set(sku, { sku, name, quantity: before.quantity + quantity, orders: before.orders + 1 });
    }
    return { day: dayOf(time), items: [...items.values()] };
  },
};

/** An order may have an item in several lines; it is one order all the same. */
function perItem({ lines }: OrderPlaced): Iterable<{ sku: string; name: string; quantity: number }> {
  const items = new Map<string, { sku: string; name: string; quantity: number }>();
  for (const { sku, name, quantity } of lines) {
    items.set(sku, { sku, name, quantity: quantity + (items.get(sku)?.quantity ?? 0) });
  }
  return items.values();
}

/** What an item that is not counted yet begins with. */
function takePlace(items: Map<string, ItemSales>): { quantity: number; orders: number } {
  if (items.size < COUNTED_ITEMS) return { quantity: 0, orders: 0 };
  const least = [...items.values()].reduce((one, other) => (other.quantity < one.quantity ? other : one));
  items.delete(least.sku);
  return { quantity: least.quantity, orders: 0 };
}

/** The items that were ordered most, the first ones first. */
export async function topItems(
  { query }: ViewReader<ItemSalesDocument>,
  { from, to }: Days,
  limit: number,
): Promise<ItemSales[]> {
  const sums = await query(async (documents) => {
    const sums = new Map<string, ItemSales>();
    const found = documents.find({ day: { $gte: from, $lte: to } } as object).sort({ day: 1 });
    for await (const { items } of found as AsyncIterable<ItemSalesDocument>) {
      for (const { sku, name, quantity, orders } of items) {
        const sum = sums.get(sku);
        sums.set(sku, { sku, name, quantity: quantity + (sum?.quantity ?? 0), orders: orders + (sum?.orders ?? 0) });
      }
    }
    return sums;
  });
  const sorted = [...sums.values()].sort(
    (one, other) => other.quantity - one.quantity || (one.sku < other.sku ? -1 : 1),
  );
  return sorted.slice(0, limit);
}
