import { create, type MessageShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type PaymentAuthorized,
  PaymentAuthorizedSchema,
  type PaymentCaptured,
  PaymentCapturedSchema,
  type PaymentCaptureRefused,
  PaymentCaptureRefusedSchema,
  type PaymentDeclined,
  PaymentDeclinedSchema,
  type PaymentRefunded,
  PaymentRefundedSchema,
  type PaymentRefundRefused,
  PaymentRefundRefusedSchema,
  type PaymentRefundRequested,
  PaymentRefundRequestedSchema,
  type PaymentVoided,
  PaymentVoidedSchema,
  type PaymentVoidRefused,
  PaymentVoidRefusedSchema,
} from '#gen/causeway/payments/v1/events_pb.js';
import {
  type Payment,
  PaymentSchema,
  PaymentStatus,
  RefundStatus,
} from '#gen/causeway/payments/v1/payments_service_pb.js';
import type { MoneySchema } from '#gen/google/type/money_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Stored, View } from '#kit/view.ts';

type Money = { currencyCode: string; units: number; nanos: number };

type Refund = { refundId: string; amount: Money; reason: string; status: RefundStatus };

/** A payment as people read it. An amount that there is not is left out. */
export type PaymentDocument = {
  customerId: string;
  status: PaymentStatus;
  authorized?: Money;
  captured?: Money;
  voided?: Money;
  refunded?: Money;
  provider: string;
  reference: string;
  reason: string;
  refunds: Refund[];
  version: number;
  updatedAt: Date;
};

type PaymentEvent =
  | PaymentAuthorized
  | PaymentDeclined
  | PaymentCaptured
  | PaymentCaptureRefused
  | PaymentVoided
  | PaymentVoidRefused
  | PaymentRefundRequested
  | PaymentRefunded
  | PaymentRefundRefused;

const nothingYet = {
  customerId: '',
  status: PaymentStatus.UNSPECIFIED,
  provider: '',
  reference: '',
  reason: '',
  refunds: [],
};

export const paymentsView: View<PaymentDocument, PaymentEvent> = {
  name: 'payments',
  version: 1,
  sources: [{ journal: journalOf('payments'), aggregate: 'payment' }],
  types: new EventTypes([
    PaymentAuthorizedSchema,
    PaymentDeclinedSchema,
    PaymentCapturedSchema,
    PaymentCaptureRefusedSchema,
    PaymentVoidedSchema,
    PaymentVoidRefusedSchema,
    PaymentRefundRequestedSchema,
    PaymentRefundedSchema,
    PaymentRefundRefusedSchema,
  ]),
  project: (payment, { data, time, version }) => ({
    ...changed(payment ?? { ...nothingYet, updatedAt: time, version }, data),
    updatedAt: time,
    version,
  }),
};

function changed(payment: PaymentDocument, data: PaymentEvent): PaymentDocument {
  switch (data.$typeName) {
    case 'causeway.payments.v1.PaymentAuthorized': {
      const { customerId, provider, reference } = data;
      const status = payment.status === PaymentStatus.UNSPECIFIED ? PaymentStatus.AUTHORIZED : payment.status;
      return { ...payment, customerId, provider, reference, status, authorized: money(data.amount) };
    }
    case 'causeway.payments.v1.PaymentDeclined': {
      const { customerId, provider, reason } = data;
      return { ...payment, customerId, provider, reason, status: PaymentStatus.DECLINED };
    }
    case 'causeway.payments.v1.PaymentCaptured':
      return { ...payment, status: PaymentStatus.CAPTURED, captured: money(data.amount), reason: '' };
    case 'causeway.payments.v1.PaymentVoided':
      return voided(payment, data);
    case 'causeway.payments.v1.PaymentCaptureRefused':
    case 'causeway.payments.v1.PaymentVoidRefused':
      return refused(payment, data.reason);
    case 'causeway.payments.v1.PaymentRefundRequested': {
      const { refundId, reason } = data;
      const refund = { refundId, amount: money(data.amount), reason, status: RefundStatus.REQUESTED };
      return { ...payment, refunds: [...payment.refunds, refund] };
    }
    case 'causeway.payments.v1.PaymentRefunded':
      return {
        ...withRefund(payment, data.refundId, { status: RefundStatus.REFUNDED }),
        refunded: sum(payment.refunded, money(data.amount)),
      };
    case 'causeway.payments.v1.PaymentRefundRefused':
      return withRefund(payment, data.refundId, { status: RefundStatus.REFUSED });
    default:
      return data satisfies never;
  }
}

/** Where nothing had been authorised, a decline says more than its void. */
function voided(payment: PaymentDocument, { customerId, amount }: PaymentVoided): PaymentDocument {
  if (payment.status === PaymentStatus.DECLINED) return payment;
  const released = money(amount);
  const isNothing = released.units === 0 && released.nanos === 0;
  return { ...payment, customerId, status: PaymentStatus.VOIDED, ...(isNothing ? {} : { voided: released }) };
}

/** What can't be settled stays open, and what is settled stays so. */
function refused(payment: PaymentDocument, reason: string): PaymentDocument {
  const isSettled = payment.status === PaymentStatus.CAPTURED || payment.status === PaymentStatus.VOIDED;
  return isSettled ? payment : { ...payment, status: PaymentStatus.REFUSED, reason };
}

function withRefund(payment: PaymentDocument, refundId: string, change: Partial<Refund>): PaymentDocument {
  const refunds = payment.refunds.map((refund) => (refund.refundId === refundId ? { ...refund, ...change } : refund));
  return { ...payment, refunds };
}

function money(amount: MessageShape<typeof MoneySchema> | undefined): Money {
  return { currencyCode: amount?.currencyCode ?? '', units: Number(amount?.units ?? 0n), nanos: amount?.nanos ?? 0 };
}

const NANOS = 1_000_000_000;

function sum(one: Money | undefined, other: Money): Money {
  const nanos = (one?.nanos ?? 0) + other.nanos;
  const units = (one?.units ?? 0) + other.units + Math.floor(nanos / NANOS);
  return { currencyCode: other.currencyCode, units, nanos: nanos % NANOS };
}

/** The payment as the API shows it. */
export function paymentMessage(document: Stored<PaymentDocument>): Payment {
  const { _id, customerId, status, provider, reference, reason, version, updatedAt } = document;
  const amounts = (['authorized', 'captured', 'voided', 'refunded'] as const).flatMap((name) => {
    const amount = document[name];
    return amount === undefined ? [] : [[name, moneyInit(amount)] as const];
  });
  return create(PaymentSchema, {
    orderId: _id,
    customerId,
    status,
    ...Object.fromEntries(amounts),
    provider,
    reference,
    reason,
    refunds: document.refunds.map((refund) => ({ ...refund, amount: moneyInit(refund.amount) })),
    version: BigInt(version),
    updatedAt: timestampFromDate(updatedAt),
  });
}

function moneyInit({ currencyCode, units, nanos }: Money) {
  return { currencyCode, units: BigInt(units), nanos };
}
