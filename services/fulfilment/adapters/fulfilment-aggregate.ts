import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import {
  CaptureRequestedSchema,
  FulfilmentCompletedSchema,
  FulfilmentFailedSchema,
  FulfilmentNeedsAttentionSchema,
  PaymentRequestedSchema,
  PaymentVoidRequestedSchema,
  ShipmentCancelRequestedSchema,
  ShipmentRequestedSchema,
  StockReleaseRequestedSchema,
  StockRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { FulfilmentStage, FulfilmentStateSchema } from '#gen/causeway/fulfilment/v1/state_pb.js';
import type { Address } from '#gen/causeway/orders/v1/events_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { journalOf } from '#kit/streams.ts';
import {
  type Cause,
  type Fulfilment,
  type FulfilmentCommand,
  type FulfilmentEvent,
  fulfilment,
} from '../domain/fulfilment.ts';

export const fulfilmentJournal = journalOf('fulfilment');

const events = {
  StockRequested: StockRequestedSchema,
  PaymentRequested: PaymentRequestedSchema,
  ShipmentRequested: ShipmentRequestedSchema,
  CaptureRequested: CaptureRequestedSchema,
  FulfilmentCompleted: FulfilmentCompletedSchema,
  ShipmentCancelRequested: ShipmentCancelRequestedSchema,
  PaymentVoidRequested: PaymentVoidRequestedSchema,
  StockReleaseRequested: StockReleaseRequestedSchema,
  FulfilmentFailed: FulfilmentFailedSchema,
  FulfilmentNeedsAttention: FulfilmentNeedsAttentionSchema,
};

const stages: Record<Fulfilment['status'], FulfilmentStage> = {
  None: FulfilmentStage.UNSPECIFIED,
  WaitingForStock: FulfilmentStage.WAITING_FOR_STOCK,
  WaitingForPayment: FulfilmentStage.WAITING_FOR_PAYMENT,
  WaitingForShipment: FulfilmentStage.WAITING_FOR_SHIPMENT,
  WaitingForCapture: FulfilmentStage.WAITING_FOR_CAPTURE,
  Completed: FulfilmentStage.COMPLETED,
  UndoingShipment: FulfilmentStage.UNDOING_SHIPMENT,
  UndoingPayment: FulfilmentStage.UNDOING_PAYMENT,
  UndoingStock: FulfilmentStage.UNDOING_STOCK,
  Failed: FulfilmentStage.FAILED,
  CaptureRefused: FulfilmentStage.CAPTURE_REFUSED,
  VoidRefused: FulfilmentStage.VOID_REFUSED,
};

/** A fulfilment's forms on the wire. */
export const fulfilmentAggregate: Aggregate<
  FulfilmentCommand,
  Fulfilment,
  FulfilmentEvent,
  typeof FulfilmentStateSchema
> = {
  name: 'fulfilment',
  decider: fulfilment,
  events,
  state: {
    type: FulfilmentStateSchema,
    version: 1,
    encode,
    decode,
  },
  dataOwner: (state) => (state.status === 'None' ? undefined : state.customerId),
};

function encode(state: Fulfilment): MessageInitShape<typeof FulfilmentStateSchema> {
  if (state.status === 'None') return {};
  const { status, ...details } = state;
  const cause = 'cause' in details ? details.cause : {};
  return { stage: stages[status], ...details, ...cause };
}

function decode(message: MessageShape<typeof FulfilmentStateSchema>): Fulfilment {
  const { stage, customerId, paymentMethod } = message;
  const begun = { customerId, amount: moneyOf(message) };
  switch (stage) {
    case FulfilmentStage.UNSPECIFIED:
      return { status: 'None' };
    case FulfilmentStage.WAITING_FOR_STOCK:
      return { status: 'WaitingForStock', ...begun, ...deadlineOf(message), paymentMethod, ...goodsOf(message) };
    case FulfilmentStage.WAITING_FOR_PAYMENT:
      return { status: 'WaitingForPayment', ...begun, ...deadlineOf(message), ...goodsOf(message) };
    case FulfilmentStage.WAITING_FOR_SHIPMENT:
      return { status: 'WaitingForShipment', ...begun, ...deadlineOf(message) };
    case FulfilmentStage.WAITING_FOR_CAPTURE:
      return { status: 'WaitingForCapture', ...begun, tried: message.tried };
    case FulfilmentStage.COMPLETED:
      return { status: 'Completed', ...begun };
    case FulfilmentStage.UNDOING_SHIPMENT:
      return { status: 'UndoingShipment', ...begun, ...causeOf(message) };
    case FulfilmentStage.UNDOING_PAYMENT:
      return { status: 'UndoingPayment', ...begun, ...causeOf(message), tried: message.tried };
    case FulfilmentStage.UNDOING_STOCK:
      return { status: 'UndoingStock', ...begun, ...causeOf(message) };
    case FulfilmentStage.FAILED:
      return { status: 'Failed', ...begun };
    case FulfilmentStage.CAPTURE_REFUSED:
      return { status: 'CaptureRefused', ...begun, tried: message.tried };
    case FulfilmentStage.VOID_REFUSED:
      return { status: 'VoidRefused', ...begun, ...causeOf(message), tried: message.tried };
    default:
      return stage satisfies never;
  }
}

type StateMessage = MessageShape<typeof FulfilmentStateSchema>;

function moneyOf({ amount }: StateMessage) {
  return { currencyCode: amount?.currencyCode ?? '', units: amount?.units ?? 0n, nanos: amount?.nanos ?? 0 };
}

function deadlineOf({ deadline }: StateMessage) {
  return { deadline: { seconds: deadline?.seconds ?? 0n, nanos: deadline?.nanos ?? 0 } };
}

function causeOf({ reason, description }: StateMessage) {
  return { cause: { reason: reason as Cause['reason'], description } };
}

/** Without an address once the customer was erased. */
function goodsOf({ lines, shipTo }: StateMessage) {
  return { lines: lines.map(({ sku, quantity }) => ({ sku, quantity })), shipTo: shipTo && addressOf(shipTo) };
}

function addressOf({ name, line1, line2, city, postalCode, countryCode }: Address) {
  return { name, line1, line2, city, postalCode, countryCode };
}
