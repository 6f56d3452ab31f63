import {
  type PaymentCaptured,
  PaymentCapturedSchema,
  type PaymentRefunded,
  PaymentRefundedSchema,
} from '#gen/causeway/payments/v1/events_pb.js';
import type { Money } from '#gen/google/type/money_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { View } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';
import { type Days, dayOf } from './days.ts';

/** Amounts are whole billionths in decimal, because a number would round them from 9 million units on. */
type Turnover = { currencyCode: string; captured: string; refunded: string; orders: number };

/** One day of one partition; queries sum over partitions. */
export type RevenueDocument = { day: string; currencies: Turnover[] };

export type DailyRevenue = { day: string; currencyCode: string; captured: bigint; refunded: bigint; orders: number };

const NANOS = 1_000_000_000n;

/** What was captured and refunded, by day and currency. */
export const revenueView: View<RevenueDocument, PaymentCaptured | PaymentRefunded> = {
  name: 'revenue',
  version: 1,
  sources: [{ journal: journalOf('payments'), aggregate: 'payment' }],
  types: new EventTypes([PaymentCapturedSchema, PaymentRefundedSchema]),
  documentId: ({ time, partition }) => `${dayOf(time)}-${partition}`,
  indexes: [{ key: { day: 1 } }],
  project(document, { data, time }) {
    const currencyCode = data.amount?.currencyCode ?? '';
    const others = (document?.currencies ?? []).filter((each) => each.currencyCode !== currencyCode);
    const before = document?.currencies.find((each) => each.currencyCode === currencyCode);
    const { captured = '0', refunded = '0', orders = 0 } = before ?? {};
    const isCaptured = data.$typeName === 'causeway.payments.v1.PaymentCaptured';
    const after = isCaptured
      ? { currencyCode, captured: sum(captured, data.amount), refunded, orders: orders + 1 }
      : { currencyCode, captured, refunded: sum(refunded, data.amount), orders };
    return { day: dayOf(time), currencies: [...others, after] };
  },
};

function sum(billionths: string, amount: Money | undefined): string {
  return String(BigInt(billionths) + (amount?.units ?? 0n) * NANOS + BigInt(amount?.nanos ?? 0));
}

/** An amount as the API shows it: units and nanos have the same sign. */
export function money(currencyCode: string, billionths: bigint) {
  return { currencyCode, units: billionths / NANOS, nanos: Number(billionths % NANOS) };
}

/** A row for each day and currency that there is something of, the earliest first. Amounts in billionths. */
export async function dailyRevenue(
  { query }: ViewReader<RevenueDocument>,
  { from, to }: Days,
): Promise<DailyRevenue[]> {
  const found = (await query((documents) =>
    documents.find({ day: { $gte: from, $lte: to } } as object).toArray(),
  )) as RevenueDocument[];
  const rows = new Map<string, DailyRevenue>();
  for (const { day, currencies } of found) {
    for (const { currencyCode, captured, refunded, orders } of currencies) {
      const key = `${day} ${currencyCode}`;
      const row = rows.get(key) ?? { day, currencyCode, captured: 0n, refunded: 0n, orders: 0 };
      rows.set(key, {
        ...row,
        captured: row.captured + BigInt(captured),
        refunded: row.refunded + BigInt(refunded),
        orders: row.orders + orders,
      });
    }
  }
  return [...rows].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, row]) => row);
}
