import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { HistoryEvent } from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { Audit } from '../audit/audit.ts';
import type { Placed } from './customers.ts';
import type { Scenario } from './plan.ts';
import { table } from './screen.ts';

export type Outcome = { title: string; orders: number; expected: string; became: string; isAsExpected: boolean };

/**
 * What became of each scenario's orders, against what had to.
 * @param endOf `completed`, or `cancelled` and why; anything else is no end.
 */
export function outcomesOf(
  plan: readonly Scenario[],
  placed: readonly Placed[],
  endOf: (orderId: string) => string,
): Outcome[] {
  return plan.map((scenario) => {
    const became = placed.filter((each) => each.scenario === scenario).map(({ orderId }) => endOf(orderId));
    const expected = [
      ...Array<string>(scenario.completed).fill('completed'),
      ...Array<string>(scenario.orders - scenario.completed).fill(`cancelled ${scenario.reason}`),
    ];
    return {
      title: scenario.title,
      orders: became.length,
      expected: counted(expected),
      became: counted(became),
      isAsExpected: counted(expected) === counted(became),
    };
  });
}

/** How an order ended, by all journals. */
export function endIn({ facts }: Audit, orderId: string): string {
  const order = facts.get(orderId);
  if (order === undefined) return 'unknown';
  if (order.completed > 0) return 'completed';
  return order.cancelled > 0 ? `cancelled ${order.fulfilmentReason}` : 'not at its end';
}

function counted(all: readonly string[]): string {
  const groups = [...Map.groupBy(all, (each) => each)].map(([what, { length }]) => `${length} ${what}`);
  return groups.toSorted().join(', ');
}

export function outcomesTable(outcomes: readonly Outcome[]): string {
  return table(
    ['outcome', 'orders', 'expected', 'became', ''],
    outcomes.map(({ title, orders, expected, became, isAsExpected }) => [
      title,
      String(orders),
      expected,
      became,
      isAsExpected ? 'ok' : 'NOT AS EXPECTED',
    ]),
  );
}

/** All that happened to one order. */
export function timeline(history: readonly HistoryEvent[]): string {
  const began = history[0]?.time === undefined ? 0 : timestampDate(history[0].time).getTime();
  return table(
    ['after', 'journal', 'event', 'version', 'by'],
    history.map(({ time, type, version, actor, position }) => [
      time === undefined ? '' : `${timestampDate(time).getTime() - began} ms`,
      position?.stream ?? '',
      type.split('.').at(-1) ?? type,
      String(version),
      actor,
    ]),
  );
}
