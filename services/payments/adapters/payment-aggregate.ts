import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import {
  PaymentAuthorizedSchema,
  PaymentCapturedSchema,
  PaymentCaptureRefusedSchema,
  PaymentDeclinedSchema,
  PaymentRefundedSchema,
  PaymentRefundRefusedSchema,
  PaymentRefundRequestedSchema,
  PaymentVoidedSchema,
  PaymentVoidRefusedSchema,
} from '#gen/causeway/payments/v1/events_pb.js';
import { PaymentPhase, PaymentStateSchema, RefundPhase } from '#gen/causeway/payments/v1/state_pb.js';
import type { MoneySchema } from '#gen/google/type/money_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { journalOf } from '#kit/streams.ts';
import type { Money } from '../domain/money.ts';
import {
  type Held,
  type Payment,
  type PaymentCommand,
  type PaymentEvent,
  payment,
  type Refund,
} from '../domain/payment.ts';

export const paymentsJournal = journalOf('payments');

const events = {
  PaymentAuthorized: PaymentAuthorizedSchema,
  PaymentDeclined: PaymentDeclinedSchema,
  PaymentCaptured: PaymentCapturedSchema,
  PaymentCaptureRefused: PaymentCaptureRefusedSchema,
  PaymentVoided: PaymentVoidedSchema,
  PaymentVoidRefused: PaymentVoidRefusedSchema,
  PaymentRefundRequested: PaymentRefundRequestedSchema,
  PaymentRefunded: PaymentRefundedSchema,
  PaymentRefundRefused: PaymentRefundRefusedSchema,
};

const phases = {
  None: PaymentPhase.UNSPECIFIED,
  Declined: PaymentPhase.DECLINED,
  Authorized: PaymentPhase.AUTHORIZED,
  CaptureRefused: PaymentPhase.CAPTURE_REFUSED,
  VoidRefused: PaymentPhase.VOID_REFUSED,
  Captured: PaymentPhase.CAPTURED,
  Voided: PaymentPhase.VOIDED,
};

const refundPhases = {
  Requested: RefundPhase.REQUESTED,
  Refunded: RefundPhase.REFUNDED,
  Refused: RefundPhase.REFUSED,
};

/** A payment's forms on the wire. */
export const paymentAggregate: Aggregate<PaymentCommand, Payment, PaymentEvent, typeof PaymentStateSchema> = {
  name: 'payment',
  decider: payment,
  events,
  state: { type: PaymentStateSchema, version: 1, encode, decode },
};

function encode(state: Payment): MessageInitShape<typeof PaymentStateSchema> {
  const phase = phases[state.status];
  switch (state.status) {
    case 'None':
    case 'Declined':
    case 'Voided':
      return { phase };
    case 'Captured':
      return {
        phase,
        held: state.held,
        refunds: state.refunds.map(({ status, ...refund }) => ({ ...refund, phase: refundPhases[status] })),
      };
    default: {
      const { held, refusals } = state;
      const counts = { captureRefusals: refusals.capture, voidRefusals: refusals.void };
      return held === undefined ? { phase, ...counts } : { phase, ...counts, held };
    }
  }
}

function decode(message: MessageShape<typeof PaymentStateSchema>): Payment {
  const { phase } = message;
  const refusals = { capture: message.captureRefusals, void: message.voidRefusals };
  switch (phase) {
    case PaymentPhase.UNSPECIFIED:
      return { status: 'None' };
    case PaymentPhase.DECLINED:
      return { status: 'Declined' };
    case PaymentPhase.VOIDED:
      return { status: 'Voided' };
    case PaymentPhase.AUTHORIZED:
      return { status: 'Authorized', held: held(message), refusals };
    case PaymentPhase.CAPTURE_REFUSED:
      return { status: 'CaptureRefused', held: held(message), refusals };
    case PaymentPhase.VOID_REFUSED:
      return { status: 'VoidRefused', held: message.held && held(message), refusals };
    case PaymentPhase.CAPTURED:
      return { status: 'Captured', held: held(message), refunds: message.refunds.map(refund) };
    default:
      return phase satisfies never;
  }
}

function held({ held: message }: MessageShape<typeof PaymentStateSchema>): Held {
  const { customerId = '', amount, provider = '', reference = '' } = message ?? {};
  return { customerId, amount: money(amount), provider, reference };
}

function refund({ refundId, amount, phase }: MessageShape<typeof PaymentStateSchema>['refunds'][number]): Refund {
  return { refundId, amount: money(amount), status: refundStatus(phase) };
}

function refundStatus(phase: RefundPhase): Refund['status'] {
  switch (phase) {
    case RefundPhase.REFUNDED:
      return 'Refunded';
    case RefundPhase.REFUSED:
      return 'Refused';
    default:
      return 'Requested';
  }
}

function money(amount: MessageShape<typeof MoneySchema> | undefined): Money {
  const { currencyCode = '', units = 0n, nanos = 0 } = amount ?? {};
  return { currencyCode, units, nanos };
}
