import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { type HistoryEvent, HistoryEventSchema } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { momentAfter, toldAgain, withEvent } from './moments.ts';

function event(type: string, aggregate: string, version: number, status?: OrderStatus): HistoryEvent {
  return create(HistoryEventSchema, {
    id: `${type} ${version}`,
    type: `causeway.${type}`,
    aggregate,
    version: BigInt(version),
    ...(status === undefined ? {} : { order: { status } }),
  });
}

const history = [
  event('orders.v1.OrderPlaced', 'order', 1, OrderStatus.PLACED),
  event('payments.v1.PaymentAuthorized', 'payment', 1),
  event('orders.v1.OrderConfirmed', 'order', 2, OrderStatus.CONFIRMED),
  event('payments.v1.PaymentCaptured', 'payment', 2, OrderStatus.CONFIRMED),
];

test('after an event each aggregate stands where its latest event before has put it', () => {
  const { order, standings } = momentAfter(history, 2);
  expect(order?.status).toBe(OrderStatus.CONFIRMED);
  expect(standings).toEqual([
    { service: 'orders', aggregate: 'order', type: 'OrderConfirmed', version: 2n, isLatest: true },
    { service: 'payments', aggregate: 'payment', type: 'PaymentAuthorized', version: 1n, isLatest: false },
  ]);
});

test('an event that comes without the order leaves it as it stood', () => {
  expect(momentAfter(history, 1).order?.status).toBe(OrderStatus.PLACED);
});

test('before there is any event, nothing is known', () => {
  expect(momentAfter([], -1)).toEqual({ order: undefined, standings: [] });
});

test('a stream that begins again neither doubles events nor hides those that it has not come to', () => {
  const [a, b, c] = history as [HistoryEvent, HistoryEvent, HistoryEvent];
  expect(toldAgain([a, b], [a])).toEqual([a, b]);
  expect(toldAgain([a, c], [a, b, c])).toEqual([a, b, c]);
  expect(toldAgain([a, b], [a, b, c])).toEqual([a, b, c]);
});

test('an event that comes after its effect stands before it', () => {
  const [cause, other, late] = history as [HistoryEvent, HistoryEvent, HistoryEvent];
  const effect = create(HistoryEventSchema, { ...other, causationId: late.id });
  expect(withEvent([cause, effect], late)).toEqual([cause, late, effect]);
  expect(withEvent([cause], other)).toEqual([cause, other]);
});
