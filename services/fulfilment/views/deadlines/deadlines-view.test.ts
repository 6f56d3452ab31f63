import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import {
  CaptureRequestedSchema,
  FulfilmentFailedSchema,
  PaymentRequestedSchema,
  PaymentVoidRequestedSchema,
  ShipmentCancelRequestedSchema,
  ShipmentRequestedSchema,
  StockReleaseRequestedSchema,
  StockRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import type { RecordedEvent } from '#kit/event.ts';
import { type DeadlineDocument, deadlinesView } from './deadlines-view.ts';

const deadline = new Date('2026-11-24T12:00:00.250Z');
const context = { id: 'event-1', correlationId: 'correlation-1', traceparent: '00-1-2-01', tracestate: 'vendor=1' };

function projected<Desc extends DescMessage>(
  document: DeadlineDocument | undefined,
  type: Desc,
  data: MessageInitShape<Desc>,
) {
  const event = { ...context, data: create(type, data) } as unknown as RecordedEvent<never>;
  return deadlinesView.project(document, event);
}

const open = { deadline, waitsFor: 'payment' as const, asked: context };

test.each([
  [StockRequestedSchema, 'stock'],
  [PaymentRequestedSchema, 'payment'],
  [ShipmentRequestedSchema, 'shipment'],
])('$typeName opens a deadline', (type, waitsFor) => {
  const data = { orderId: 'order-1', deadline: timestampFromDate(deadline) };
  expect(projected(undefined, type, data)).toEqual({ deadline, waitsFor, asked: context });
});

const closing = [
  CaptureRequestedSchema,
  ShipmentCancelRequestedSchema,
  PaymentVoidRequestedSchema,
  StockReleaseRequestedSchema,
  FulfilmentFailedSchema,
];

test.each(closing)('$typeName closes it, and leaves nothing behind', (type) => {
  expect(projected(open, type, {})).toEqual({});
});

test.each(closing)('$typeName writes nothing where none is open', (type) => {
  expect(projected({}, type, {})).toBeUndefined();
});
