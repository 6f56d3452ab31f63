import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import {
  OrderCancelledSchema,
  OrderCompletedSchema,
  OrderConfirmedSchema,
  OrderPlacedSchema,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { type OrderDocument, orderMessage, ordersView } from './orders-view.ts';

type OrderEvent = Parameters<typeof ordersView.project>[1];

const orderId = 'order-1';

/** The order after these events, of which the n-th has version n and came at second n. */
function after(...events: OrderEvent['data'][]): OrderDocument | undefined {
  return events.reduce<OrderDocument | undefined>((order, data, index) => {
    const about = { version: index + 1, time: new Date((index + 1) * 1_000), correlationId: `call-${index + 1}` };
    const event = { data, ...about } as OrderEvent;
    return ordersView.project(order, event) ?? order;
  }, undefined);
}

const price = { currencyCode: 'EUR', units: 12n, nanos: 500_000_000 };

const placed = create(OrderPlacedSchema, {
  orderId,
  customerId: 'anna',
  lines: [{ sku: 'coffee-beans', name: 'Coffee beans', quantity: 2, unitPrice: price }],
  total: { currencyCode: 'EUR', units: 25n, nanos: 0 },
  paymentMethod: 'pm_ok',
  email: 'Anna@Example.com',
  shipTo: { name: 'Anna', line1: 'Long street 1', city: 'Vienna', postalCode: '1010', countryCode: 'AT' },
});

const confirmed = create(OrderConfirmedSchema, { orderId });
const shipped = create(OrderShippedSchema, { orderId, trackingNumber: 'track-1' });
const completed = create(OrderCompletedSchema, { orderId });
const cancelled = create(OrderCancelledSchema, { orderId, reason: 'changed my mind' });

test('a placed order has everything that was ordered, with what can be calculated with as numbers', () => {
  expect(after(placed)).toEqual({
    customerId: 'anna',
    status: OrderStatus.PLACED,
    lines: [
      {
        sku: 'coffee-beans',
        name: 'Coffee beans',
        quantity: 2,
        unitPrice: { currencyCode: 'EUR', units: 12, nanos: 500_000_000 },
      },
    ],
    total: { currencyCode: 'EUR', units: 25, nanos: 0 },
    paymentMethod: 'pm_ok',
    email: 'Anna@Example.com',
    emailKey: 'anna@example.com',
    shipTo: { name: 'Anna', line1: 'Long street 1', line2: '', city: 'Vienna', postalCode: '1010', countryCode: 'AT' },
    placedAt: new Date(1_000),
    updatedAt: new Date(1_000),
    version: 1,
    cancellationReason: '',
    trackingNumber: '',
    correlationId: 'call-1',
  });
});

test('an order of an erased customer is shown without what was personal', () => {
  const order = after(create(OrderPlacedSchema, { orderId, customerId: 'anna' }));
  expect(order).toMatchObject({ customerId: 'anna', email: '', shipTo: { name: '', city: '' } });
});

test('each event moves the order on, and nothing else of it changes', () => {
  const first = after(placed);
  expect(after(placed, confirmed)).toEqual({
    ...first,
    status: OrderStatus.CONFIRMED,
    version: 2,
    updatedAt: new Date(2_000),
  });
  expect(after(placed, confirmed, shipped)).toEqual({
    ...first,
    status: OrderStatus.SHIPPED,
    trackingNumber: 'track-1',
    version: 3,
    updatedAt: new Date(3_000),
  });
  expect(after(placed, confirmed, shipped, completed)).toEqual({
    ...first,
    status: OrderStatus.COMPLETED,
    trackingNumber: 'track-1',
    version: 4,
    updatedAt: new Date(4_000),
  });
  expect(after(placed, cancelled)).toEqual({
    ...first,
    status: OrderStatus.CANCELLED,
    cancellationReason: 'changed my mind',
    version: 2,
    updatedAt: new Date(2_000),
  });
});

test('what happens to an order that was never placed makes none', () => {
  expect(after(confirmed)).toBeUndefined();
});

test('the API shows an order as its document has it', () => {
  const document = after(placed, cancelled);
  if (document === undefined) throw new Error('there is no order');
  const stored = { ...document, _id: orderId, applied: {}, revision: 2, partition: 5, generation: 1 };
  expect(orderMessage(stored)).toMatchObject({
    orderId,
    customerId: 'anna',
    status: OrderStatus.CANCELLED,
    lines: [{ sku: 'coffee-beans', name: 'Coffee beans', quantity: 2, unitPrice: price }],
    total: { currencyCode: 'EUR', units: 25n, nanos: 0 },
    version: 2n,
    placedAt: { seconds: 1n },
    updatedAt: { seconds: 2n },
    cancellationReason: 'changed my mind',
    email: 'Anna@Example.com',
    shipTo: { name: 'Anna', countryCode: 'AT' },
    correlationId: 'call-1',
  });
});
