import {
  OrderCancelledSchema,
  OrderCompletedSchema,
  PaymentRefundedSchema,
  StockDepletedSchema,
} from '#gen/causeway/public/v1/events_pb.js';
import { PublicationStateSchema } from '#gen/causeway/public/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { type ItemPublication, type OrderPublication, type Publication, publication } from '../domain/publication.ts';

const state = { type: PublicationStateSchema, version: 1, encode: () => ({}), decode: () => ({}) };

type Published<Event extends { type: string }> = Aggregate<Event, Publication, Event, typeof PublicationStateSchema>;

/** What is published of an order, on the wire. */
export const orderPublicationAggregate: Published<OrderPublication> = {
  name: 'order',
  decider: publication(),
  events: {
    OrderCompleted: OrderCompletedSchema,
    OrderCancelled: OrderCancelledSchema,
    PaymentRefunded: PaymentRefundedSchema,
  },
  state,
};

/** What is published of an item, on the wire. */
export const itemPublicationAggregate: Published<ItemPublication> = {
  name: 'item',
  decider: publication(),
  events: { StockDepleted: StockDepletedSchema },
  state,
};
