import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import {
  OrderCancelledSchema,
  OrderCompletedSchema,
  OrderConfirmedSchema,
  OrderPlacedSchema,
  OrderShippedSchema,
  RequestIdUsedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { OrderStateSchema } from '#gen/causeway/orders/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { journalOf } from '#kit/streams.ts';
import { type Order, type OrderCommand, type OrderEvent, order } from '../domain/order.ts';

export const ordersJournal = journalOf('orders');

const events = {
  OrderPlaced: OrderPlacedSchema,
  OrderConfirmed: OrderConfirmedSchema,
  OrderShipped: OrderShippedSchema,
  OrderCompleted: OrderCompletedSchema,
  OrderCancelled: OrderCancelledSchema,
  RequestIdUsed: RequestIdUsedSchema,
};

const statuses = {
  Placed: OrderStatus.PLACED,
  Confirmed: OrderStatus.CONFIRMED,
  Shipped: OrderStatus.SHIPPED,
  Completed: OrderStatus.COMPLETED,
};

/** An order's forms on the wire. */
export const orderAggregate: Aggregate<OrderCommand, Order, OrderEvent, typeof OrderStateSchema> = {
  name: 'order',
  decider: order,
  events,
  state: {
    type: OrderStateSchema,
    version: 1,
    encode,
    decode,
  },
};

function encode(state: Order): MessageInitShape<typeof OrderStateSchema> {
  switch (state.status) {
    case 'None':
      return {};
    case 'Taken':
      return { usedForOrderId: state.usedForOrderId };
    case 'Cancelled':
      return { status: OrderStatus.CANCELLED, customerId: state.customerId, cancellationReason: state.reason };
    default:
      return { status: statuses[state.status], customerId: state.customerId };
  }
}

function decode(message: MessageShape<typeof OrderStateSchema>): Order {
  const { status, customerId, cancellationReason, usedForOrderId } = message;
  switch (status) {
    case OrderStatus.PLACED:
      return { status: 'Placed', customerId };
    case OrderStatus.CONFIRMED:
      return { status: 'Confirmed', customerId };
    case OrderStatus.SHIPPED:
      return { status: 'Shipped', customerId };
    case OrderStatus.COMPLETED:
      return { status: 'Completed', customerId };
    case OrderStatus.CANCELLED:
      return { status: 'Cancelled', customerId, reason: cancellationReason };
    case OrderStatus.UNSPECIFIED:
      return usedForOrderId === '' ? { status: 'None' } : { status: 'Taken', usedForOrderId };
    default:
      return status satisfies never;
  }
}
