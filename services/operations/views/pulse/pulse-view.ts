import {
  type FulfilmentCompleted,
  FulfilmentCompletedSchema,
  type FulfilmentFailed,
  FulfilmentFailedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import {
  type OrderCancelled,
  OrderCancelledSchema,
  type OrderCompleted,
  OrderCompletedSchema,
  type OrderConfirmed,
  OrderConfirmedSchema,
  type OrderPlaced,
  OrderPlacedSchema,
  type OrderShipped,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { View } from '#kit/view.ts';

/** How orders ended: `COMPLETED`, else why they were cancelled. */
export type OutcomeCount = { outcome: string; orders: number };

/** What happened to the orders of one partition in one minute; queries sum. A batch of events changes one, or two. */
export type PulseDocument = {
  minute: Date;
  placed: number;
  confirmed: number;
  shipped: number;
  completed: number;
  cancelled: number;
  /** By the fulfilment, which knows why. A list, because a reason may be `__proto__`. */
  outcomes: OutcomeCount[];
};

type PulseEvent =
  | OrderPlaced
  | OrderConfirmed
  | OrderShipped
  | OrderCompleted
  | OrderCancelled
  | FulfilmentCompleted
  | FulfilmentFailed;

export const MINUTE_MS = 60_000;
/** The page shows the last hour. */
const KEPT_SECONDS = 24 * 60 * 60;
/** There are seven reasons. Who says more of them must not make the document grow. */
const MAX_OUTCOMES = 32;

/** How many orders came and went, minute by minute. Nobody needs to know longer than a day; analytics has the days. */
export const pulseView: View<PulseDocument, PulseEvent> = {
  name: 'pulse',
  version: 1,
  sources: [
    { journal: journalOf('orders'), aggregate: 'order' },
    { journal: journalOf('fulfilment'), aggregate: 'fulfilment' },
  ],
  types: new EventTypes([
    OrderPlacedSchema,
    OrderConfirmedSchema,
    OrderShippedSchema,
    OrderCompletedSchema,
    OrderCancelledSchema,
    FulfilmentCompletedSchema,
    FulfilmentFailedSchema,
  ]),
  documentId: ({ time, partition }) => `${minuteOf(time).toISOString().slice(0, 16)}-${partition}`,
  indexes: [{ key: { minute: 1 }, expireAfterSeconds: KEPT_SECONDS }],
  project(document, { data, time }) {
    const pulse = document ?? { ...nothingYet, minute: minuteOf(time) };
    switch (data.$typeName) {
      case 'causeway.orders.v1.OrderPlaced':
        return { ...pulse, placed: pulse.placed + 1 };
      case 'causeway.orders.v1.OrderConfirmed':
        return { ...pulse, confirmed: pulse.confirmed + 1 };
      case 'causeway.orders.v1.OrderShipped':
        return { ...pulse, shipped: pulse.shipped + 1 };
      case 'causeway.orders.v1.OrderCompleted':
        return { ...pulse, completed: pulse.completed + 1 };
      case 'causeway.orders.v1.OrderCancelled':
        return { ...pulse, cancelled: pulse.cancelled + 1 };
      case 'causeway.fulfilment.v1.FulfilmentCompleted':
        return { ...pulse, outcomes: withOutcome(pulse.outcomes, 'COMPLETED') };
      case 'causeway.fulfilment.v1.FulfilmentFailed':
        return { ...pulse, outcomes: withOutcome(pulse.outcomes, data.reason) };
      default:
        return data satisfies never;
    }
  },
};

const nothingYet: Omit<PulseDocument, 'minute'> = {
  placed: 0,
  confirmed: 0,
  shipped: 0,
  completed: 0,
  cancelled: 0,
  outcomes: [],
};

export function minuteOf(time: Date): Date {
  return new Date(Math.floor(time.getTime() / MINUTE_MS) * MINUTE_MS);
}

function withOutcome(outcomes: OutcomeCount[], outcome: string): OutcomeCount[] {
  const index = outcomes.findIndex((each) => each.outcome === outcome);
  const counted = outcomes[index];
  if (counted !== undefined) return outcomes.with(index, { outcome, orders: counted.orders + 1 });
  return outcomes.length < MAX_OUTCOMES ? [...outcomes, { outcome, orders: 1 }] : outcomes;
}
