import type { Decider } from '#kit/decider.ts';

type Money = { currencyCode: string; units: bigint; nanos: number };
type Timestamp = { seconds: bigint; nanos: number };

/** What outside systems are told of an order. In events of old nothing says whose it is, or its total. */
export type OrderPublication =
  | {
      type: 'OrderCompleted';
      orderId: string;
      customerId: string;
      total: Money | undefined;
      completedAt: Timestamp;
    }
  | {
      type: 'OrderCancelled';
      orderId: string;
      customerId: string;
      total: Money | undefined;
      reason: string;
      cancelledAt: Timestamp;
    }
  | { type: 'PaymentRefunded'; orderId: string; refundId: string; amount: Money | undefined; refundedAt: Timestamp };

/** What they are told of an item. */
export type ItemPublication = { type: 'StockDepleted'; sku: string; depletedAt: Timestamp };

/** That an integration event is to be delivered to an endpoint. */
export type DeliveryRequest = {
  type: 'DeliveryRequested';
  deliveryId: string;
  endpointId: string;
  eventId: string;
  eventType: string;
  key: string;
  payload: string;
};

/** That a caller's request id was used, for a request about this endpoint. */
export type RequestIdUsed = { type: 'RequestIdUsed'; endpointId: string };

export type Publication = Record<never, never>;

/**
 * Says what follows from another event, and decides nothing: the command is the event. That the same cause says it once
 * is in the request (kit/caused-by.ts).
 */
export function publication<Event extends { type: string }>(): Decider<Event, Publication, Event> {
  return {
    initialState: {},
    decide: (event) => event,
    evolve: (state) => state,
  };
}
