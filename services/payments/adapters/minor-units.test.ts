import { expect, test } from 'vitest';
import { minorUnits } from './minor-units.ts';

test.each([
  ['EUR', 25n, 500_000_000, 2_550],
  ['EUR', 0n, 10_000_000, 1],
  ['EUR', 0n, 1_000_000, undefined],
  ['EUR', 0n, 0, undefined],
  ['EUR', 999_999n, 990_000_000, 99_999_999],
  ['EUR', 1_000_000n, 0, undefined],
  ['JPY', 500n, 0, 500],
  ['JPY', 500n, 500_000_000, undefined],
  ['KWD', 5n, 120_000_000, 5_120],
  ['KWD', 5n, 123_000_000, undefined],
  ['ISK', 5n, 0, 500],
  ['ISK', 5n, 500_000_000, undefined],
])('%s %d and %d billionths are %s', (currencyCode, units, nanos, expected) => {
  expect(minorUnits({ currencyCode, units, nanos })).toBe(expected);
});
