import { timestampDate } from '@bufbuild/protobuf/wkt';
import {
  type CaptureRequested,
  CaptureRequestedSchema,
  type FulfilmentFailed,
  FulfilmentFailedSchema,
  type PaymentRequested,
  PaymentRequestedSchema,
  type PaymentVoidRequested,
  PaymentVoidRequestedSchema,
  type ShipmentCancelRequested,
  ShipmentCancelRequestedSchema,
  type ShipmentRequested,
  ShipmentRequestedSchema,
  type StockReleaseRequested,
  StockReleaseRequestedSchema,
  type StockRequested,
  StockRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { deadlineIndex } from '#kit/deadlines.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { View } from '#kit/view.ts';

type Answer = 'stock' | 'payment' | 'shipment';

/** The answer that an order's fulfilment waits for, and until when; empty where it waits without a deadline. */
export type DeadlineDocument = {
  deadline?: Date;
  waitsFor?: Answer;
  /** The event that asked for it: what comes of the deadline follows from that event, and belongs to its trace. */
  asked?: { id: string; correlationId: string; traceparent: string; tracestate: string };
};

type Asking = StockRequested | PaymentRequested | ShipmentRequested;
type Closing =
  | CaptureRequested
  | ShipmentCancelRequested
  | PaymentVoidRequested
  | StockReleaseRequested
  | FulfilmentFailed;

const answers = {
  [StockRequestedSchema.typeName]: 'stock',
  [PaymentRequestedSchema.typeName]: 'payment',
  [ShipmentRequestedSchema.typeName]: 'shipment',
} as Record<Asking['$typeName'], Answer>;

export const deadlinesView: View<DeadlineDocument, Asking | Closing> = {
  name: 'deadlines',
  version: 1,
  sources: [{ journal: journalOf('fulfilment'), aggregate: 'fulfilment' }],
  types: new EventTypes([
    StockRequestedSchema,
    PaymentRequestedSchema,
    ShipmentRequestedSchema,
    CaptureRequestedSchema,
    ShipmentCancelRequestedSchema,
    PaymentVoidRequestedSchema,
    StockReleaseRequestedSchema,
    FulfilmentFailedSchema,
  ]),
  indexes: [deadlineIndex('deadline')],
  project(document, event) {
    if (isAsking(event)) return open(event);
    // Nothing is written for an order that waits for nothing any more.
    return document?.deadline === undefined ? undefined : {};
  },
};

function isAsking(event: RecordedEvent<Asking | Closing>): event is RecordedEvent<Asking> {
  return event.data.$typeName in answers;
}

function open({ data, id, correlationId, traceparent, tracestate }: RecordedEvent<Asking>): DeadlineDocument {
  if (data.deadline === undefined) return {};
  return {
    deadline: timestampDate(data.deadline),
    waitsFor: answers[data.$typeName],
    asked: { id, correlationId, traceparent, tracestate },
  };
}
