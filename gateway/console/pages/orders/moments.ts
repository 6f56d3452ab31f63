import type { HistoryEvent, Order } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { shortType } from '../../parts/payload.tsx';

/** Where a service's aggregate stands after an event. */
type Standing = { service: string; aggregate: string; type: string; version: bigint; isLatest: boolean };

/** How everything stood after an event of an order's history. */
export type MomentOfOrder = { order: Order | undefined; standings: readonly Standing[] };

/** @param index of the event in the history. */
export function momentAfter(events: readonly HistoryEvent[], index: number): MomentOfOrder {
  const standings = new Map<string, Standing>();
  let order: Order | undefined;
  for (const event of events.slice(0, index + 1)) {
    order = event.order ?? order;
    const service = serviceOf(event);
    const name = `${service} ${event.aggregate}`;
    const latest = { service, aggregate: event.aggregate, type: shortType(event.type), version: event.version };
    standings.set(name, { ...latest, isLatest: event === events[index] });
  }
  return { order, standings: [...standings.values()] };
}

/** The service that says an event, by its contract's package: `causeway.payments.v1.PaymentCaptured` is of payments. */
export function serviceOf({ type }: { type: string }): string {
  const [, service = ''] = type.split('.');
  // What the integration service says is for everybody.
  return service === 'public' ? 'integration' : service;
}

/** A history with an event that has come: behind all others, but before what follows from it. */
export function withEvent(events: readonly HistoryEvent[], event: HistoryEvent): HistoryEvent[] {
  const effect = events.findIndex(({ causationId }) => causationId === event.id);
  return events.toSpliced(effect === -1 ? events.length : effect, 0, event);
}

/** A stream that began again tells everything once more: its order counts; what it has not told yet stays behind it. */
export function toldAgain(before: readonly HistoryEvent[], told: readonly HistoryEvent[]): HistoryEvent[] {
  const ids = new Set(told.map(({ id }) => id));
  return [...told, ...before.filter(({ id }) => !ids.has(id))];
}
