import type { CommandHandler } from '#kit/decider.ts';
import type { itemAggregate } from './adapters/item-aggregate.ts';
import type { Item, ItemEvent, StockItem } from './domain/item.ts';

const sampleItems = [
  { sku: 'coffee-beans', name: 'Coffee beans, 1 kg', units: 18n, nanos: 500_000_000, quantity: 1_000_000 },
  { sku: 'espresso-cup', name: 'Espresso cup', units: 12n, nanos: 0, quantity: 1_000_000 },
  { sku: 'grinder', name: 'Burr grinder', units: 249n, nanos: 0, quantity: 1_000_000 },
  { sku: 'last-one', name: 'The last one of its kind', units: 99n, nanos: 0, quantity: 1 },
  { sku: 'sold-out', name: 'Sold out', units: 5n, nanos: 0, quantity: 0 },
];

/** Fills the catalogue at first start, so that there is something to order. An item that stands there is left alone. */
export async function stockSampleItems(
  commands: CommandHandler<StockItem, Item, ItemEvent, typeof itemAggregate.state.type>,
): Promise<void> {
  for (const { sku, name, units, nanos, quantity } of sampleItems) {
    if ((await commands.state(sku)) !== undefined) continue;
    await commands.handle({
      key: sku,
      creates: true,
      command: { type: 'StockItem', sku, name, unitPrice: { currencyCode: 'EUR', units, nanos }, quantity },
      caller: 'inventory',
      requestId: `sample-${sku}`,
      content: Buffer.from(sku),
      correlationId: 'first-start',
      causationId: `sample-${sku}`,
    });
  }
}
