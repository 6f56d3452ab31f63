import { invalid } from '#kit/errors.ts';
import type { OrderLine } from '../domain/order.ts';

/** Names and prices by sku. */
export type Prices = { get(sku: string): Promise<{ name: string; unitPrice: Price } | undefined> };

type Price = { currencyCode: string; units: number; nanos: number };

/**
 * Puts names and prices on the lines of an order. Each sku is looked up once, one after another, and none after the
 * first that there is not: an unknown one costs a question to the broker, and a request may have a hundred.
 * @throws CallError INVALID_ARGUMENT for an unknown sku.
 */
export async function pricedLines(
  lines: readonly { sku: string; quantity: number }[],
  prices: Prices,
): Promise<OrderLine[]> {
  const items = new Map<string, Omit<OrderLine, 'quantity'>>();
  const priced: OrderLine[] = [];
  for (const [index, { sku, quantity }] of lines.entries()) {
    const item = items.get(sku) ?? (await pricedItem(sku, index, prices));
    items.set(sku, item);
    priced.push({ ...item, quantity });
  }
  return priced;
}

async function pricedItem(sku: string, index: number, prices: Prices): Promise<Omit<OrderLine, 'quantity'>> {
  const item = await prices.get(sku);
  if (item === undefined) throw invalid(`lines[${index}].sku`, `there is no item ${sku}`);
  const { currencyCode, units, nanos } = item.unitPrice;
  return { sku, name: item.name, unitPrice: { currencyCode, units: BigInt(units), nanos } };
}
