import type { Collection, Db } from 'mongodb';
import type { WithOutbox } from '#kit/outbox.ts';
import type { Reservation, Stock } from '../domain/reservation.ts';

/** The stock of an item; its id is the sku. */
export type StockDocument = Stock & {
  _id: string;
  /** Version of the item's last event whose pieces it has. */
  stockedVersion: number;
  /** Raised whenever marks are swept, or what was taken is put back: who has read an older one moves nothing. */
  generation: number;
};

/** What is reserved for an order; its id is the order's. Kept for ever, so that nothing is reserved twice. */
export type ReservationDocument = Reservation &
  WithOutbox & {
    /** Of its latest event. */
    version: number;
  };

export type StockCollections = { stock: Collection<StockDocument>; reservations: Collection<ReservationDocument> };

/** On disk with most of the members: what is acknowledged here is not made anew from anywhere. */
const writeConcern = { w: 'majority', journal: true } as const;

/** Both are no views: they are written by commands, and hold what has not been said yet. */
export function stockCollections(db: Db): StockCollections {
  return {
    stock: db.collection<StockDocument>('stock', { writeConcern }),
    reservations: db.collection<ReservationDocument>('reservations', { writeConcern }),
  };
}
