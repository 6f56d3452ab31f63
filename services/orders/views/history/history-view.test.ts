import { create } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { Binary } from 'mongodb';
import { expect, test } from 'vitest';
import { OrderCancelledSchema, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import type { RecordedEvent } from '#kit/event.ts';
import { causalOrder, historyEvent, historyView, type PastEvent } from './history-view.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';

function past(id: string, changes: Partial<PastEvent> = {}): PastEvent {
  return {
    id,
    type: 'causeway.orders.v1.OrderConfirmed',
    version: 1,
    time: new Date(0),
    actor: '',
    correlationId: '',
    causationId: '',
    traceId: '',
    data: new Binary(new Uint8Array()),
    aggregate: 'order',
    stream: `stream of ${id}`,
    partition: 0,
    sequence: 1,
    ...changes,
  };
}

function orderOf(events: readonly PastEvent[]): string {
  return causalOrder(events)
    .map(({ id }) => id)
    .join(' ');
}

test('a cause comes before its effects, whatever the clocks of their services say', () => {
  const placed = past('placed', { time: new Date(3_000) });
  const requested = past('requested', { time: new Date(2_000), causationId: 'placed' });
  const reserved = past('reserved', { time: new Date(1_000), causationId: 'requested' });
  expect(orderOf([reserved, requested, placed])).toBe('placed requested reserved');
});

test("a journal's events stay in its order, whatever their times say", () => {
  const first = past('first', { stream: 'ORDERS', sequence: 1, time: new Date(2_000) });
  const second = past('second', { stream: 'ORDERS', sequence: 2, version: 2, time: new Date(1_000) });
  expect(orderOf([second, first])).toBe('first second');
});

test('what has nothing to do with each other is ordered by time', () => {
  expect(orderOf([past('b', { time: new Date(2_000) }), past('a', { time: new Date(1_000) })])).toBe('a b');
});

test('an event whose cause is no event, or not in the history, waits for nothing', () => {
  const late = past('late', { time: new Date(2_000) });
  expect(orderOf([late, past('early', { causationId: 'a request', time: new Date(1_000) })])).toBe('early late');
});

test('no event is lost or doubled, even where causes run in a circle', () => {
  const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
  const events = fc.uniqueArray(
    fc.record({ id: ids, causationId: ids, stream: fc.constantFrom('S', 'T'), sequence: fc.nat(9), at: fc.nat(9) }),
    { selector: ({ id }) => id },
  );
  fc.assert(
    fc.property(events, (made) => {
      const history = made.map(({ id, at, ...rest }) => past(id, { ...rest, time: new Date(at) }));
      const ordered = causalOrder(history);
      expect(ordered.map(({ id }) => id).sort()).toEqual(history.map(({ id }) => id).sort());
    }),
  );
});

function recorded(data: RecordedEvent['data'], version: number): RecordedEvent {
  return {
    id: `event-${version}`,
    type: data.$typeName,
    source: 'orders',
    key: 'order-1',
    time: new Date(version),
    version,
    correlationId: 'correlation-1',
    causationId: `cause-${version}`,
    actor: 'anna',
    traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
    tracestate: '',
    stream: 'ORDERS',
    partition: 5,
    sequence: version,
    subject: 'orders.event.5.order.order-1',
    data,
    keyId: '',
  };
}

test('a history has each event as it was, and knows whose order it is', () => {
  const events = [
    create(OrderPlacedSchema, { orderId: 'order-1', customerId: 'anna' }),
    create(OrderCancelledSchema, { orderId: 'order-1', reason: 'changed my mind' }),
  ];
  const documents = events.map((data, index) =>
    historyView.project(undefined, { ...recorded(data, index + 1), attempts: index * 2 }),
  );
  expect(documents.map((document) => document?.customerId)).toEqual(['anna', '']);
  const shown = documents.flatMap((document) => (document === undefined ? [] : [historyEvent(document)]));
  expect(shown[1]).toMatchObject({
    id: 'event-2',
    type: 'causeway.orders.v1.OrderCancelled',
    version: 2n,
    actor: 'anna',
    correlationId: 'correlation-1',
    causationId: 'cause-2',
    traceId,
    position: { stream: 'ORDERS', partition: 5, sequence: 2n },
    aggregate: 'order',
    attempts: 2,
  });
  // Of an older program's document.
  expect(historyEvent(past('old')).attempts).toBe(0);
  const [, cancelled] = shown;
  expect(cancelled?.data && anyUnpack(cancelled.data, OrderCancelledSchema)?.reason).toBe('changed my mind');
});
