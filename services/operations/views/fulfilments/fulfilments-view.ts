import { create } from '@bufbuild/protobuf';
import { type Timestamp, timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type CaptureRequested,
  CaptureRequestedSchema,
  type FulfilmentCompleted,
  FulfilmentCompletedSchema,
  type FulfilmentFailed,
  FulfilmentFailedSchema,
  type FulfilmentNeedsAttention,
  FulfilmentNeedsAttentionSchema,
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
import {
  type FulfilmentResolutionRequested,
  FulfilmentResolutionRequestedSchema,
  Resolution,
} from '#gen/causeway/operations/v1/events_pb.js';
import {
  type Fulfilment,
  FulfilmentSchema,
  FulfilmentStatus,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Stored, View } from '#kit/view.ts';

type Step = { type: string; at: Date; deadline: Date | null; note: string };

/** A fulfilment as an operator reads it. What is not known is null, so that each document has each field. */
export type FulfilmentDocument = {
  /** UNSPECIFIED where only what an operator decided has come in so far. */
  status: FulfilmentStatus;
  startedAt: Date | null;
  since: Date | null;
  /** Set while it waits, and not for ever. */
  deadline: Date | null;
  reason: string;
  /** By their time; the latest ones. */
  steps: Step[];
  version: number;
};

type StepEvent =
  | StockRequested
  | PaymentRequested
  | ShipmentRequested
  | CaptureRequested
  | FulfilmentCompleted
  | ShipmentCancelRequested
  | PaymentVoidRequested
  | StockReleaseRequested
  | FulfilmentFailed
  | FulfilmentNeedsAttention;

/** A fulfilment has a dozen steps at most, and two more each time that an operator settles it. */
const MAX_STEPS = 100;

export const fulfilmentsView: View<FulfilmentDocument, StepEvent | FulfilmentResolutionRequested> = {
  name: 'fulfilments',
  version: 1,
  sources: [
    { journal: journalOf('fulfilment'), aggregate: 'fulfilment' },
    { journal: journalOf('operations'), aggregate: 'fulfilment' },
  ],
  types: new EventTypes([
    StockRequestedSchema,
    PaymentRequestedSchema,
    ShipmentRequestedSchema,
    CaptureRequestedSchema,
    FulfilmentCompletedSchema,
    ShipmentCancelRequestedSchema,
    PaymentVoidRequestedSchema,
    StockReleaseRequestedSchema,
    FulfilmentFailedSchema,
    FulfilmentNeedsAttentionSchema,
    FulfilmentResolutionRequestedSchema,
  ]),
  indexes: [
    { key: { startedAt: -1, _id: -1 } },
    { key: { status: 1, startedAt: -1, _id: -1 } },
    { key: { deadline: 1, _id: 1 } },
  ],

  project(fulfilment = nothingYet, { data, time, version, actor }) {
    if (data.$typeName === 'causeway.operations.v1.FulfilmentResolutionRequested') {
      const note = `${Resolution[data.resolution]} by ${actor}: ${data.note}`;
      return {
        ...fulfilment,
        steps: withStep(fulfilment.steps, { type: data.$typeName, at: time, deadline: null, note }),
      };
    }
    const { status, deadline = null, reason = '', note = '' } = stepOf(data);
    return {
      status,
      startedAt: fulfilment.startedAt ?? time,
      since: time,
      deadline,
      reason,
      steps: withStep(fulfilment.steps, { type: data.$typeName, at: time, deadline, note }),
      version,
    };
  },
};

const nothingYet: FulfilmentDocument = {
  status: FulfilmentStatus.UNSPECIFIED,
  startedAt: null,
  since: null,
  deadline: null,
  reason: '',
  steps: [],
  version: 0,
};

type Meaning = { status: FulfilmentStatus; deadline?: Date | null; reason?: string; note?: string };

function stepOf(data: StepEvent): Meaning {
  switch (data.$typeName) {
    case 'causeway.fulfilment.v1.StockRequested':
      return { status: FulfilmentStatus.WAITING_FOR_STOCK, deadline: dateOf(data.deadline) };
    case 'causeway.fulfilment.v1.PaymentRequested':
      return { status: FulfilmentStatus.WAITING_FOR_PAYMENT, deadline: dateOf(data.deadline) };
    case 'causeway.fulfilment.v1.ShipmentRequested':
      return { status: FulfilmentStatus.WAITING_FOR_SHIPMENT, deadline: dateOf(data.deadline) };
    case 'causeway.fulfilment.v1.CaptureRequested':
      return { status: FulfilmentStatus.WAITING_FOR_CAPTURE };
    case 'causeway.fulfilment.v1.FulfilmentCompleted':
      return { status: FulfilmentStatus.COMPLETED };
    case 'causeway.fulfilment.v1.ShipmentCancelRequested':
      return { status: FulfilmentStatus.UNDOING_SHIPMENT, reason: data.reason };
    case 'causeway.fulfilment.v1.PaymentVoidRequested':
      return { status: FulfilmentStatus.UNDOING_PAYMENT, reason: data.reason };
    case 'causeway.fulfilment.v1.StockReleaseRequested':
      return { status: FulfilmentStatus.UNDOING_STOCK, reason: data.reason };
    case 'causeway.fulfilment.v1.FulfilmentFailed':
      return { status: FulfilmentStatus.FAILED, reason: data.reason, note: data.description };
    case 'causeway.fulfilment.v1.FulfilmentNeedsAttention':
      return { status: FulfilmentStatus.NEEDS_ATTENTION, reason: data.problem, note: data.tried.join('; ') };
    default:
      return data satisfies never;
  }
}

/** Of two journals, the one may be read long before the other: a step goes where its time says. */
function withStep(steps: readonly Step[], step: Step): Step[] {
  const behind = steps.findIndex(({ at }) => at > step.at);
  return steps.toSpliced(behind === -1 ? steps.length : behind, 0, step).slice(-MAX_STEPS);
}

function dateOf(timestamp: Timestamp | undefined): Date | null {
  return timestamp === undefined ? null : timestampDate(timestamp);
}

/** The fulfilment as the API shows it. */
export function fulfilmentMessage(document: Stored<FulfilmentDocument>): Fulfilment {
  const { _id: orderId, status, reason, steps, version } = document;
  return create(FulfilmentSchema, {
    orderId,
    status,
    reason,
    version: BigInt(version),
    ...timestamp('startedAt', document.startedAt),
    ...timestamp('since', document.since),
    ...timestamp('deadline', document.deadline),
    steps: steps.map(({ type, at, deadline, note }) => ({
      type,
      note,
      at: timestampFromDate(at),
      ...timestamp('deadline', deadline),
    })),
  });
}

function timestamp<Name extends string>(name: Name, date: Date | null): { [Each in Name]?: Timestamp } {
  return (date === null ? {} : { [name]: timestampFromDate(date) }) as { [Each in Name]?: Timestamp };
}

export function isKnown(document: Stored<FulfilmentDocument> | undefined): document is Stored<FulfilmentDocument> {
  return document !== undefined && document.status !== FulfilmentStatus.UNSPECIFIED;
}
