import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PaymentCapturedSchema, PaymentRefundedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import { money, type RevenueDocument, revenueView } from './revenue-view.ts';

type Event = Parameters<typeof revenueView.project>[1];

const event = (data: Event['data'], time = '2026-11-24T12:00:00Z', partition = 3) =>
  ({ data, time: new Date(time), partition }) as Event;
const captured = (units: bigint, nanos = 0, currencyCode = 'EUR') =>
  create(PaymentCapturedSchema, { orderId: 'order-1', amount: { currencyCode, units, nanos } });
const refunded = (units: bigint, nanos = 0, currencyCode = 'EUR') =>
  create(PaymentRefundedSchema, { orderId: 'order-1', amount: { currencyCode, units, nanos } });

function after(...all: Event['data'][]): RevenueDocument | undefined {
  return all.reduce<RevenueDocument | undefined>((day, data) => revenueView.project(day, event(data)), undefined);
}

test('a day has what was captured and refunded of each currency, and how many orders were paid', () => {
  expect(after(captured(25n), captured(7n, 500_000_000), captured(3n, 0, 'USD'), refunded(5n, 10_000_000))).toEqual({
    day: '2026-11-24',
    currencies: [
      { currencyCode: 'USD', captured: '3000000000', refunded: '0', orders: 1 },
      { currencyCode: 'EUR', captured: '32500000000', refunded: '5010000000', orders: 2 },
    ],
  });
});

test('an event counts for the day on which it happened, UTC, and for its partition', () => {
  expect(revenueView.documentId?.(event(captured(1n), '2026-11-24T23:59:59.999Z', 3))).toBe('2026-11-24-3');
  expect(revenueView.documentId?.(event(captured(1n), '2026-11-25T00:00:00.000Z', 4))).toBe('2026-11-25-4');
});

test('sums are exact, however large and however small what is added', () => {
  const amount = fc.record({
    units: fc.bigInt({ min: 0n, max: 10n ** 15n }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
  });
  fc.assert(
    fc.property(fc.array(amount, { minLength: 1 }), (amounts) => {
      const day = after(...amounts.map(({ units, nanos }) => captured(units, nanos)));
      const expected = amounts.reduce((sum, { units, nanos }) => sum + units * 10n ** 9n + BigInt(nanos), 0n);
      expect(BigInt(day?.currencies[0]?.captured ?? 0)).toBe(expected);
    }),
  );
});

test.each([
  [12_500_000_000n, 12n, 500_000_000],
  [-12_500_000_000n, -12n, -500_000_000],
  [-1n, 0n, -1],
  [0n, 0n, 0],
])('%d billionths are %d units and %d nanos', (billionths, units, nanos) => {
  expect(money('EUR', billionths)).toEqual({ currencyCode: 'EUR', units, nanos });
});
