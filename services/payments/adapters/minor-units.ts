import type { Money } from '../domain/money.ts';

/** Currencies that Stripe counts otherwise than in hundredths (https://docs.stripe.com/currencies). */
const DECIMALS: Partial<Record<string, number>> = {
  ...Object.fromEntries(
    'BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' ').map((currency) => [currency, 0]),
  ),
  ...Object.fromEntries('BHD JOD KWD OMR TND'.split(' ').map((currency) => [currency, 3])),
};

/** Amounts that Stripe takes in steps of more than one: thousandths end in 0, and two currencies have no hundredths. */
const STEPS: Partial<Record<string, bigint>> = {
  ...Object.fromEntries('BHD JOD KWD OMR TND'.split(' ').map((currency) => [currency, 10n])),
  ISK: 100n,
  UGX: 100n,
};

const NANO_DIGITS = 9;
/** Stripe's amounts have eight digits. */
const MAX = 99_999_999n;

/** The amount as Stripe counts it, above 0; undefined where it can't be paid: no whole number of them, or too large. */
export function minorUnits({ currencyCode, units, nanos }: Money): number | undefined {
  const decimals = DECIMALS[currencyCode] ?? 2;
  const nanosInOne = 10n ** BigInt(NANO_DIGITS - decimals);
  if (BigInt(nanos) % nanosInOne !== 0n) return undefined;
  const minor = units * 10n ** BigInt(decimals) + BigInt(nanos) / nanosInOne;
  const isPayable = minor > 0n && minor <= MAX && minor % (STEPS[currencyCode] ?? 1n) === 0n;
  return isPayable ? Number(minor) : undefined;
}
