import { type ShipmentDispatched, ShipmentDispatchedSchema } from '#gen/causeway/shipping/v1/events_pb.js';
import type { Reaction } from '#kit/consumer.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Logger } from '#kit/telemetry/logging.ts';
import { causeOf, type Reservations } from './reserve-stock.ts';

/** What was reserved leaves the stock when the carrier has it. */
export function commitStock(reservations: Reservations, logger: Logger): Reaction<ShipmentDispatched> {
  return {
    name: 'commit-stock-on-shipment-dispatched',
    sources: [{ journal: journalOf('shipping'), aggregate: 'shipment' }],
    begins: 'with-the-first-event',
    types: new EventTypes([ShipmentDispatchedSchema]),
    async handle(event) {
      const { key: orderId } = event;
      const status = await reservations.handle({ type: 'Commit', orderId, cause: causeOf(event) });
      // Nobody ships what is not reserved; if somebody did, the stock is not what the shelves hold.
      if (status !== 'COMMITTED') logger.warn({ order: orderId, status }, 'shipped without a reservation');
    },
  };
}
