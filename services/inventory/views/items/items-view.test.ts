import { create } from '@bufbuild/protobuf';
import { expect, onTestFinished, test } from 'vitest';
import { ItemListedSchema, ItemPriceChangedSchema, ItemRestockedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { connectDatabase } from '#kit/database.ts';
import { sharedMongoUri } from '#kit/testing/servers.ts';
import { collectionOf } from '#kit/view.ts';
import { readerOf } from '#kit/view-reader.ts';
import { type ItemDocument, itemMessage, itemsView, listItems } from './items-view.ts';

type ItemEvent = Parameters<typeof itemsView.project>[1];

const unitPrice = { currencyCode: 'EUR', units: 12n, nanos: 500_000_000 };
const listed = create(ItemListedSchema, { sku: 'grinder', name: 'Grinder', unitPrice, quantity: 5 });
const restocked = create(ItemRestockedSchema, { sku: 'grinder', quantity: 3 });
const changed = create(ItemPriceChangedSchema, {
  sku: 'grinder',
  name: 'Better grinder',
  unitPrice: { ...unitPrice, units: 15n },
  quantity: 2,
});

/** The item after these events, of which the n-th has version n and came at second n. */
function after(...events: ItemEvent['data'][]): ItemDocument | undefined {
  return events.reduce<ItemDocument | undefined>((item, data, index) => {
    const event = { data, version: index + 1, time: new Date((index + 1) * 1_000) } as ItemEvent;
    return itemsView.project(item, event) ?? item;
  }, undefined);
}

test('an item has its name and its price; how much there is of it stands elsewhere', () => {
  expect(after(listed)).toEqual({
    name: 'Grinder',
    unitPrice: { currencyCode: 'EUR', units: 12, nanos: 500_000_000 },
    version: 1,
    updatedAt: new Date(1_000),
  });
  expect(after(listed, restocked)).toEqual({
    ...after(listed),
    version: 2,
    updatedAt: new Date(2_000),
  });
});

test('another price is another name and price', () => {
  expect(after(listed, restocked, changed)).toEqual({
    name: 'Better grinder',
    unitPrice: { currencyCode: 'EUR', units: 15, nanos: 500_000_000 },
    version: 3,
    updatedAt: new Date(3_000),
  });
});

test('pieces of an item that was never listed make none', () => {
  expect(after(restocked)).toBeUndefined();
});

test('the API shows an item as its document has it, with its stock', () => {
  const document = after(listed, restocked);
  if (document === undefined) throw new Error('there is no item');
  const stored = { ...document, _id: 'grinder', applied: {}, revision: 1, partition: 0, generation: 1 };
  const shown = { sku: 'grinder', name: 'Grinder', unitPrice, version: 2n };
  expect(itemMessage(stored, { available: 5, reserved: 3, stockedVersion: 2 })).toMatchObject({
    ...shown,
    available: 5n,
    reserved: 3n,
  });
  expect(itemMessage(stored, undefined)).toMatchObject({ ...shown, available: 0n, reserved: 0n });
});

test('every item is on one page, by sku, and checkpoints are on none', async () => {
  const { db, close } = connectDatabase(sharedMongoUri(), 'inventory');
  onTestFinished(close);
  const collection = db.collection<{ _id: string }>(collectionOf(itemsView));
  const skus = Array.from({ length: 25 }, (_, number) => `sku-${String(number).padStart(2, '0')}`);
  await collection.insertMany(skus.toReversed().map((_id) => ({ _id, revision: 1 })));
  await collection.insertOne({ _id: 'checkpoint:0', positions: {} } as never);
  const view = readerOf(collection as never) as Parameters<typeof listItems>[0];
  for (const pageSize of [1, 10, 25, 26]) {
    const found: string[] = [];
    let from = '';
    do {
      const { items, next } = await listItems(view, from, pageSize);
      found.push(...items.map(({ _id }) => _id));
      from = next;
    } while (from !== '' && found.length < 100);
    expect(found).toEqual(skus);
  }
});
