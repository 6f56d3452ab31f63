import type { Message } from '@bufbuild/protobuf';
import {
  type ItemListed,
  ItemListedSchema,
  type ItemPriceChanged,
  ItemPriceChangedSchema,
} from '#gen/causeway/inventory/v1/events_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { View } from '#kit/view.ts';

/** What orders knows of an item: enough to put a name and a price on a line. */
export type CatalogueDocument = { name: string; unitPrice: { currencyCode: string; units: number; nanos: number } };

/** Names and prices, learned from inventory's events. */
export const catalogueView: View<CatalogueDocument, (ItemListed | ItemPriceChanged) & Message> = {
  name: 'catalogue',
  version: 1,
  sources: [{ journal: journalOf('inventory'), aggregate: 'item' }],
  types: new EventTypes([ItemListedSchema, ItemPriceChangedSchema]),
  project(_, { data: { name, unitPrice } }) {
    return {
      name,
      unitPrice: {
        currencyCode: unitPrice?.currencyCode ?? '',
        units: Number(unitPrice?.units ?? 0n),
        nanos: unitPrice?.nanos ?? 0,
      },
    };
  },
};
