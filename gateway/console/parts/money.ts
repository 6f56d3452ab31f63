import type { Money } from '#gen/google/type/money_pb.js';

/** Such as `€24.50`, as the reader's language has it. */
export function moneyText(money: Money | undefined): string {
  if (money === undefined) return '–';
  const amount = Number(money.units) + money.nanos / 1_000_000_000;
  if (!/^[A-Z]{3}$/.test(money.currencyCode)) return String(amount);
  return amount.toLocaleString(undefined, { style: 'currency', currency: money.currencyCode });
}
