import { describe, test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type ItemEvent, item, type StockItem } from './item.ts';

const sku = 'coffee-beans';
const name = 'Coffee beans';
const unitPrice = { currencyCode: 'EUR', units: 12n, nanos: 500_000_000 };
const listed: ItemEvent = { type: 'ItemListed', sku, name, unitPrice, quantity: 10 };

function stockItem(command: Partial<StockItem>): StockItem {
  return { type: 'StockItem', sku, name: undefined, unitPrice: undefined, quantity: 0, ...command };
}

describe('an item that is not listed', () => {
  test('is listed with its name, price and first stock', () => {
    given(item)
      .when(stockItem({ name, unitPrice, quantity: 10 }))
      .thenEvent(listed);
  });

  test('can be listed without stock', () => {
    given(item)
      .when(stockItem({ name, unitPrice }))
      .thenEvent({ ...listed, quantity: 0 });
  });

  test('needs a name', () => {
    given(item)
      .when(stockItem({ unitPrice, quantity: 10 }))
      .thenRefused('INVALID_ARGUMENT', 'ITEM_INCOMPLETE');
  });

  test('needs a price', () => {
    given(item)
      .when(stockItem({ name, quantity: 10 }))
      .thenRefused('INVALID_ARGUMENT', 'ITEM_INCOMPLETE');
  });
});

describe('an item that is listed', () => {
  const dearer = { currencyCode: 'EUR', units: 13n, nanos: 0 };

  test('is restocked', () => {
    given(item, listed)
      .when(stockItem({ quantity: 5 }))
      .thenEvent({ type: 'ItemRestocked', sku, quantity: 5 });
  });

  test('stays as it is when all that is said of it is so already', () => {
    given(item, listed)
      .when(stockItem({ name, unitPrice: { ...unitPrice } }))
      .thenNothing();
  });

  test.each([
    { ...unitPrice, currencyCode: 'USD' },
    { ...unitPrice, units: 11n },
    { ...unitPrice, nanos: 0 },
  ])('has a new price of $units.$nanos $currencyCode, and keeps its name', (next) => {
    given(item, listed)
      .when(stockItem({ unitPrice: next, quantity: 3 }))
      .thenEvent({
        type: 'ItemPriceChanged',
        sku,
        name,
        unitPrice: next,
        previousUnitPrice: unitPrice,
        quantity: 3,
      });
  });

  test('has a new name, and keeps its price', () => {
    given(item, listed)
      .when(stockItem({ name: 'Beans' }))
      .thenEvent({
        type: 'ItemPriceChanged',
        sku,
        name: 'Beans',
        unitPrice,
        previousUnitPrice: unitPrice,
        quantity: 0,
      });
  });

  test('is compared with its latest price, not with its first', () => {
    const changed: ItemEvent = {
      type: 'ItemPriceChanged',
      sku,
      name,
      unitPrice: dearer,
      previousUnitPrice: unitPrice,
      quantity: 0,
    };

    given(item, listed, changed)
      .when(stockItem({ unitPrice: dearer }))
      .thenNothing();
    given(item, listed, changed)
      .when(stockItem({ unitPrice }))
      .thenEvent({ ...changed, unitPrice, previousUnitPrice: dearer });
  });

  test('has the same name and price after a restock', () => {
    given(item, listed, { type: 'ItemRestocked', sku, quantity: 5 }).when(stockItem({ name, unitPrice })).thenNothing();
  });
});
