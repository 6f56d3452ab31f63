import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Binary } from 'mongodb';
import { expect, test } from 'vitest';
import {
  OrderCancelledSchema,
  OrderConfirmedSchema,
  OrderPlacedSchema,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { PaymentAuthorizedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import type { PastEvent } from './history-view.ts';
import { orderOverTime } from './order-over-time.ts';

const orderId = 'order-1';

function past<Type extends DescMessage>(type: Type, says: MessageInitShape<Type>, version = 1): PastEvent {
  return {
    id: `${type.name} ${version}`,
    type: type.typeName,
    version,
    time: new Date(version * 1_000),
    actor: '',
    correlationId: 'call-1',
    causationId: '',
    traceId: '',
    data: new Binary(toBinary(type, create(type, says))),
    aggregate: 'order',
    stream: 'ORDERS',
    partition: 0,
    sequence: version,
  };
}

const placed = past(OrderPlacedSchema, { orderId, customerId: 'anna', email: 'anna@example.com' });
const authorized = past(PaymentAuthorizedSchema, { orderId });

test('an order is told as it was after each event, and as before after those of other services', () => {
  const events = [
    authorized,
    placed,
    authorized,
    past(OrderConfirmedSchema, { orderId }, 2),
    past(OrderShippedSchema, { orderId, trackingNumber: 'T-1' }, 3),
    authorized,
    past(OrderCancelledSchema, { orderId, reason: 'lost' }, 4),
  ];

  const orders = events.map(orderOverTime(orderId));

  const { PLACED, CONFIRMED, SHIPPED, CANCELLED } = OrderStatus;
  expect(orders.map((order) => order?.status)).toEqual([
    undefined,
    PLACED,
    PLACED,
    CONFIRMED,
    SHIPPED,
    SHIPPED,
    CANCELLED,
  ]);
  expect(orders[1]).toMatchObject({ orderId, email: 'anna@example.com', version: 1n, correlationId: 'call-1' });
  expect(orders[3]?.trackingNumber).toBe('');
  expect(orders[6]).toMatchObject({ trackingNumber: 'T-1', cancellationReason: 'lost', version: 4n });
});

test('where there are too many large ones, those that are as before are left out, and what has changed is told', () => {
  const events = [placed, authorized, past(OrderConfirmedSchema, { orderId }, 2), authorized];

  const orders = events.map(orderOverTime(orderId, { maxBytes: 100 }));

  expect(orders.map((order) => order?.status)).toEqual([
    OrderStatus.PLACED,
    undefined,
    OrderStatus.CONFIRMED,
    undefined,
  ]);
});
