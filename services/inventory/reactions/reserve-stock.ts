import {
  type StockReleaseRequested,
  StockReleaseRequestedSchema,
  type StockRequested,
  StockRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import type { Reaction } from '#kit/consumer.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Cause, StockCommand } from '../domain/reservation.ts';

/** Where stock is reserved; the same command again has no second effect. */
export type Reservations = { handle(command: StockCommand): Promise<string | undefined> };

/** Stock is reserved and given back as the fulfilment of an order asks for it, in the order in which it does. */
export function reserveStock(reservations: Reservations): Reaction<StockRequested | StockReleaseRequested> {
  return {
    name: 'reserve-stock-on-request',
    sources: [{ journal: journalOf('fulfilment'), aggregate: 'fulfilment' }],
    begins: 'with-the-first-event',
    types: new EventTypes([StockRequestedSchema, StockReleaseRequestedSchema]),
    async handle(event) {
      const { key: orderId, data } = event;
      const cause = causeOf(event);
      if (data.$typeName === 'causeway.fulfilment.v1.StockReleaseRequested') {
        await reservations.handle({ type: 'Release', orderId, cause });
        return;
      }
      const lines = data.lines.map(({ sku, quantity }) => ({ sku, quantity }));
      await reservations.handle({ type: 'Reserve', orderId, lines, cause });
    },
  };
}

/** What the event that comes of it says of this one. */
export function causeOf({ id, correlationId, traceparent, tracestate, attempt = 1 }: RecordedEvent): Cause {
  return { id, correlationId, traceparent, tracestate, ...(attempt > 1 ? { attempts: attempt } : {}) };
}
