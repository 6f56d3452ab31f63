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
import { type Money, type Order, type OrderCommand, type OrderEvent, order } from '../domain/order.ts';

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
    version: 2,
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
    case 'Cancelled': {
      const { customerId, total, reason } = state;
      return { status: OrderStatus.CANCELLED, customerId, total, cancellationReason: reason };
    }
    default:
      return { status: statuses[state.status], customerId: state.customerId, total: state.total };
  }
}

function decode(message: MessageShape<typeof OrderStateSchema>): Order {
  const { status, customerId, cancellationReason, usedForOrderId } = message;
  const total = money(message.total);
  switch (status) {
    case OrderStatus.PLACED:
      return { status: 'Placed', customerId, total };
    case OrderStatus.CONFIRMED:
      return { status: 'Confirmed', customerId, total };
    case OrderStatus.SHIPPED:
      return { status: 'Shipped', customerId, total };
    case OrderStatus.COMPLETED:
      return { status: 'Completed', customerId, total };
    case OrderStatus.CANCELLED:
      return { status: 'Cancelled', customerId, total, reason: cancellationReason };
    case OrderStatus.UNSPECIFIED:
      return usedForOrderId === '' ? { status: 'None' } : { status: 'Taken', usedForOrderId };
    default:
      return status satisfies never;
  }
}

function money(amount: Money | undefined): Money {
  const { currencyCode = '', units = 0n, nanos = 0 } = amount ?? {};
  return { currencyCode, units, nanos };
}
