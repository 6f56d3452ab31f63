import {
  StockCommittedSchema,
  StockRejectedSchema,
  StockReleasedSchema,
  StockReservedSchema,
} from '#gen/causeway/inventory/v1/events_pb.js';

/** A reservation's events on the wire. Its state is a document, not the sum of its events. */
export const reservationAggregate = {
  name: 'reservation',
  events: {
    StockReserved: StockReservedSchema,
    StockRejected: StockRejectedSchema,
    StockReleased: StockReleasedSchema,
    StockCommitted: StockCommittedSchema,
  },
};
