import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type StockReserved, StockReservedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import {
  type OrderCancelled,
  OrderCancelledSchema,
  type OrderCompleted,
  OrderCompletedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { type PaymentRefunded, PaymentRefundedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest } from '#kit/decider.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { ItemPublication, OrderPublication } from '../domain/publication.ts';

type Publish<Publication> = (request: CommandRequest<Publication>) => Promise<unknown>;

/** An order that has come to its end, completed or cancelled, is told of. */
export function publishOrderEnds(publish: Publish<OrderPublication>): Reaction<OrderCompleted | OrderCancelled> {
  return {
    name: 'publish-on-order-end',
    sources: [{ journal: journalOf('orders'), aggregate: 'order' }],
    begins: 'with-the-first-event',
    types: new EventTypes([OrderCompletedSchema, OrderCancelledSchema]),
    handle: async (event) => {
      const { data, key } = event;
      const at = timestampFromDate(event.time);
      const { orderId, customerId, total } = data;
      const command: OrderPublication =
        data.$typeName === 'causeway.orders.v1.OrderCompleted'
          ? { type: 'OrderCompleted', orderId, customerId, total, completedAt: at }
          : { type: 'OrderCancelled', orderId, customerId, total, reason: data.reason, cancelledAt: at };
      await publish({ ...causedBy(event, 'integration'), key, command });
    },
  };
}

/** Each refund is told of. */
export function publishRefunds(publish: Publish<OrderPublication>): Reaction<PaymentRefunded> {
  return {
    name: 'publish-on-payment-refunded',
    sources: [{ journal: journalOf('payments'), aggregate: 'payment' }],
    begins: 'with-the-first-event',
    types: new EventTypes([PaymentRefundedSchema]),
    handle: async (event) => {
      const { orderId, refundId, amount } = event.data;
      const refundedAt = timestampFromDate(event.time);
      const command: OrderPublication = { type: 'PaymentRefunded', orderId, refundId, amount, refundedAt };
      await publish({ ...causedBy(event, 'integration'), key: event.key, command });
    },
  };
}

/** An item of which a reservation took the last piece is told of: one event for each, under its sku. */
export function publishDepletedStock(publish: Publish<ItemPublication>): Reaction<StockReserved> {
  return {
    name: 'publish-on-stock-reserved',
    sources: [{ journal: journalOf('inventory'), aggregate: 'reservation' }],
    begins: 'with-the-first-event',
    types: new EventTypes([StockReservedSchema]),
    handle: async (event) => {
      const depletedAt = timestampFromDate(event.time);
      // The same event again, after a crash between two of them, says each of them once all the same.
      for (const sku of event.data.depletedSkus) {
        const command: ItemPublication = { type: 'StockDepleted', sku, depletedAt };
        await publish({ ...causedBy(event, 'integration'), key: sku, command });
      }
    },
  };
}
