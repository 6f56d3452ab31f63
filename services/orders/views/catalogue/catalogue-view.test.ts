import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ItemListedSchema, ItemPriceChangedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { catalogueView } from './catalogue-view.ts';

type CatalogueEvent = Parameters<typeof catalogueView.project>[1];

test('the catalogue has the name and the price that were said last', () => {
  const unitPrice = { currencyCode: 'EUR', units: 12n, nanos: 500_000_000 };
  const listed = create(ItemListedSchema, { sku: 'grinder', name: 'Grinder', unitPrice, quantity: 5 });
  const changed = create(ItemPriceChangedSchema, { sku: 'grinder', name: 'Better grinder', unitPrice });
  const first = catalogueView.project(undefined, { data: listed } as CatalogueEvent);
  expect(first).toEqual({ name: 'Grinder', unitPrice: { currencyCode: 'EUR', units: 12, nanos: 500_000_000 } });
  const second = catalogueView.project(first, { data: changed } as CatalogueEvent);
  expect(second).toEqual({ ...first, name: 'Better grinder' });
});
