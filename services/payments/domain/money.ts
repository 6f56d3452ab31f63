/** An amount, as google.type.Money says it. */
export type Money = { currencyCode: string; units: bigint; nanos: number };

const NANOS = 1_000_000_000n;

/** The amount in billionths of its currency's unit. */
function inNanos({ units, nanos }: Money): bigint {
  return units * NANOS + BigInt(nanos);
}

function fromNanos(nanos: bigint, currencyCode: string): Money {
  return { currencyCode, units: nanos / NANOS, nanos: Number(nanos % NANOS) };
}

/** What is left of an amount after others of its currency. */
export function minus(amount: Money, ...others: readonly Money[]): Money {
  return fromNanos(
    others.reduce((left, other) => left - inNanos(other), inNanos(amount)),
    amount.currencyCode,
  );
}

export function isMore(one: Money, other: Money): boolean {
  return inNanos(one) > inNanos(other);
}

export function isSame(one: Money, other: Money): boolean {
  return one.currencyCode === other.currencyCode && inNanos(one) === inNanos(other);
}

export function isNothing(amount: Money): boolean {
  return inNanos(amount) === 0n;
}
