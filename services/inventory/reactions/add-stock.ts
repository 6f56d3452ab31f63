import {
  type ItemListed,
  ItemListedSchema,
  type ItemPriceChanged,
  ItemPriceChangedSchema,
  type ItemRestocked,
  ItemRestockedSchema,
} from '#gen/causeway/inventory/v1/events_pb.js';
import type { Reaction } from '#kit/consumer.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';

/** Where pieces are added, each version of an item once. */
type StockOfItems = { add(sku: string, version: number, quantity: number): Promise<void> };

/** The pieces that an item's event speaks of come into the stock. */
export function addStock(stock: StockOfItems): Reaction<ItemListed | ItemPriceChanged | ItemRestocked> {
  return {
    name: 'add-stock-on-item-event',
    sources: [{ journal: journalOf('inventory'), aggregate: 'item' }],
    begins: 'with-the-first-event',
    types: new EventTypes([ItemListedSchema, ItemPriceChangedSchema, ItemRestockedSchema]),
    handle: ({ key, version, data }) => stock.add(key, version, data.quantity),
  };
}
