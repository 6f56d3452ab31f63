import { expect, test } from 'vitest';
import { type Prices, pricedLines } from './priced-lines.ts';

const unitPrice = { currencyCode: 'EUR', units: 12, nanos: 0 };
const known = ['cup', 'grinder'];

/** Prices that note what they are asked for, and how many are asked for at once. */
function noting() {
  const asked: string[] = [];
  let atOnce = 0;
  let most = 0;
  const prices: Prices = {
    async get(sku) {
      asked.push(sku);
      most = Math.max(most, ++atOnce);
      await new Promise(setImmediate);
      atOnce--;
      return known.includes(sku) ? { name: `A ${sku}`, unitPrice } : undefined;
    },
  };
  return { prices, asked, most: () => most };
}

test('each line has the name and the price of its item, whatever order they come in', async () => {
  const { prices } = noting();
  const lines = ['cup', 'grinder', 'cup'].map((sku, index) => ({ sku, quantity: index + 1 }));

  expect(await pricedLines(lines, prices)).toEqual([
    { sku: 'cup', name: 'A cup', quantity: 1, unitPrice: { ...unitPrice, units: 12n } },
    { sku: 'grinder', name: 'A grinder', quantity: 2, unitPrice: { ...unitPrice, units: 12n } },
    { sku: 'cup', name: 'A cup', quantity: 3, unitPrice: { ...unitPrice, units: 12n } },
  ]);
});

test('an item in many lines is asked for once, and one item at a time', async () => {
  const { prices, asked, most } = noting();

  await pricedLines(
    Array.from({ length: 100 }, (_, index) => ({ sku: known[index % 2] ?? '', quantity: 1 })),
    prices,
  );

  expect(asked).toEqual(known);
  expect(most()).toBe(1);
});

test('a hundred unknown skus are one question', async () => {
  const { prices, asked } = noting();
  const lines = Array.from({ length: 100 }, (_, index) => ({ sku: `unknown-${index}`, quantity: 1 }));

  await expect(pricedLines(lines, prices)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    details: { violations: [{ field: 'lines[0].sku' }] },
  });

  expect(asked).toEqual(['unknown-0']);
});
