import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type ItemListed,
  ItemListedSchema,
  type ItemPriceChanged,
  ItemPriceChangedSchema,
  type ItemRestocked,
  ItemRestockedSchema,
} from '#gen/causeway/inventory/v1/events_pb.js';
import { type Item, ItemSchema } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Stored, View } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';

type Price = { currencyCode: string; units: number; nanos: number };

/** An item of the catalogue as people read it. How much there is of it stands in the stock. */
export type ItemDocument = { name: string; unitPrice: Price; version: number; updatedAt: Date };

/** How much there is of an item, with the pieces of its events up to a version. */
export type ShownStock = { available: number; reserved: number; stockedVersion: number };

export const itemsView: View<ItemDocument, ItemListed | ItemPriceChanged | ItemRestocked> = {
  name: 'items',
  version: 2,
  sources: [{ journal: journalOf('inventory'), aggregate: 'item' }],
  types: new EventTypes([ItemListedSchema, ItemPriceChangedSchema, ItemRestockedSchema]),
  // For pages by sku, on a database that orders nothing by _id alone; checkpoints have no revision.
  indexes: [{ key: { _id: 1, revision: 1 } }],
  project(item, { data, time, version }) {
    const changed = { version, updatedAt: time };
    if (data.$typeName === 'causeway.inventory.v1.ItemRestocked') return item && { ...item, ...changed };
    const { currencyCode = '', units = 0n, nanos = 0 } = data.unitPrice ?? {};
    return { ...changed, name: data.name, unitPrice: { currencyCode, units: Number(units), nanos } };
  },
};

/** A page of the catalogue by sku; `after` is the sku that the page before ended with. */
export async function listItems(
  { query }: ViewReader<ItemDocument>,
  after: string,
  pageSize: number,
): Promise<{ items: Stored<ItemDocument>[]; next: string }> {
  const found = await query((documents) =>
    documents
      .find({ _id: { $gt: after }, revision: { $gte: 1 } } as object)
      .sort({ _id: 1 })
      .limit(pageSize + 1)
      .toArray(),
  );
  const items = found.slice(0, pageSize) as Stored<ItemDocument>[];
  return { items, next: found.length > pageSize ? (items.at(-1)?._id ?? '') : '' };
}

/** The item as the API shows it. @param stock undefined: none of it has come in yet. */
export function itemMessage(document: Stored<ItemDocument>, stock: ShownStock | undefined): Item {
  const { name, unitPrice, version, updatedAt } = document;
  return create(ItemSchema, {
    sku: document._id,
    name,
    unitPrice: { ...unitPrice, units: BigInt(unitPrice.units) },
    available: BigInt(stock?.available ?? 0),
    reserved: BigInt(stock?.reserved ?? 0),
    version: BigInt(version),
    updatedAt: timestampFromDate(updatedAt),
  });
}
