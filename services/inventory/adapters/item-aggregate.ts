import { ItemListedSchema, ItemPriceChangedSchema, ItemRestockedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { ItemStateSchema } from '#gen/causeway/inventory/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { journalOf } from '#kit/streams.ts';
import { type Item, type ItemEvent, item, type StockItem } from '../domain/item.ts';

export const inventoryJournal = journalOf('inventory');

const events = {
  ItemListed: ItemListedSchema,
  ItemPriceChanged: ItemPriceChangedSchema,
  ItemRestocked: ItemRestockedSchema,
};

/** A catalogue item's forms on the wire. */
export const itemAggregate: Aggregate<StockItem, Item, ItemEvent, typeof ItemStateSchema> = {
  name: 'item',
  decider: item,
  events,
  state: {
    type: ItemStateSchema,
    version: 1,
    encode: (state) => (state.status === 'Listed' ? { name: state.name, unitPrice: state.unitPrice } : {}),
    decode: ({ name, unitPrice }) =>
      unitPrice === undefined ? { status: 'Unlisted' } : { status: 'Listed', name, unitPrice },
  },
};
