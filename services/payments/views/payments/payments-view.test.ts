import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
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
import { PaymentStatus, RefundStatus } from '#gen/causeway/payments/v1/payments_service_pb.js';
import type { Stored } from '#kit/view.ts';
import { type PaymentDocument, paymentMessage, paymentsView } from './payments-view.ts';

type PaymentEvent = Parameters<typeof paymentsView.project>[1];

const euros = (units: bigint, nanos = 0) => ({ currencyCode: 'EUR', units, nanos });
const authorized = create(PaymentAuthorizedSchema, {
  customerId: 'alice',
  amount: euros(25n, 500_000_000),
  provider: 'sandbox',
  reference: 'r-1',
});
const declined = create(PaymentDeclinedSchema, { customerId: 'alice', provider: 'sandbox', reason: 'card_declined' });
const captured = create(PaymentCapturedSchema, { amount: euros(25n, 500_000_000) });
const captureRefused = create(PaymentCaptureRefusedSchema, { reason: 'expired' });
const voided = create(PaymentVoidedSchema, { customerId: 'alice', amount: euros(25n, 500_000_000) });
const voidedNothing = create(PaymentVoidedSchema, { customerId: 'alice', amount: { units: 0n } });
const voidRefused = create(PaymentVoidRefusedSchema, { reason: 'captured' });

/** The payment after these events, as the API shows it. */
function shown(...events: PaymentEvent['data'][]) {
  const document = events.reduce<PaymentDocument | undefined>((payment, data, index) => {
    const event = { data, version: index + 1, time: new Date((index + 1) * 1_000) } as PaymentEvent;
    return paymentsView.project(payment, event);
  }, undefined);
  return paymentMessage({ _id: 'order-1', ...document } as Stored<PaymentDocument>);
}

test('a payment has its amounts, and what there is not is left out', () => {
  const payment = shown(authorized);

  expect(payment).toMatchObject({
    orderId: 'order-1',
    customerId: 'alice',
    status: PaymentStatus.AUTHORIZED,
    authorized: euros(25n, 500_000_000),
    provider: 'sandbox',
    reference: 'r-1',
    version: 1n,
  });
  expect([payment.captured, payment.voided, payment.refunded]).toEqual([undefined, undefined, undefined]);
  expect(shown(authorized, captured)).toMatchObject({
    status: PaymentStatus.CAPTURED,
    captured: euros(25n, 500_000_000),
    version: 2n,
  });
});

test.each([
  ['declined', [declined], PaymentStatus.DECLINED, 'card_declined'],
  ['declined, and voided afterwards', [declined, voidedNothing], PaymentStatus.DECLINED, 'card_declined'],
  ['voided before anything', [voidedNothing], PaymentStatus.VOIDED, ''],
  ['authorised and voided', [authorized, voided], PaymentStatus.VOIDED, ''],
  ['not to be captured', [authorized, captureRefused], PaymentStatus.REFUSED, 'expired'],
  ['captured at last', [authorized, captureRefused, captured], PaymentStatus.CAPTURED, ''],
  ['not to be voided', [authorized, voidRefused], PaymentStatus.REFUSED, 'captured'],
  ['authorised after a refused void', [voidRefused, authorized], PaymentStatus.REFUSED, 'captured'],
  ['captured, and not to be voided', [authorized, captured, voidRefused], PaymentStatus.CAPTURED, ''],
  ['voided, and not to be captured', [authorized, voided, captureRefused], PaymentStatus.VOIDED, ''],
])('what is %s is shown so', (_, events, status, reason) => {
  expect(shown(...events)).toMatchObject({ status, reason });
});

test('refunds are listed as they were asked for, and those that were made are added up', () => {
  const refund = (refundId: string, amount: ReturnType<typeof euros>) => ({ refundId, amount, reason: 'broken' });
  const payment = shown(
    authorized,
    captured,
    create(PaymentRefundRequestedSchema, refund('a', euros(10n, 700_000_000))),
    create(PaymentRefundRequestedSchema, refund('b', euros(2n, 800_000_000))),
    create(PaymentRefundRequestedSchema, refund('c', euros(1n))),
    create(PaymentRefundedSchema, refund('a', euros(10n, 700_000_000))),
    create(PaymentRefundedSchema, refund('b', euros(2n, 800_000_000))),
    create(PaymentRefundRefusedSchema, refund('c', euros(1n))),
    create(PaymentRefundRequestedSchema, refund('d', euros(1n))),
  );

  expect(payment.refunded).toMatchObject(euros(13n, 500_000_000));
  expect(payment.refunds.map(({ refundId, status }) => [refundId, status])).toEqual([
    ['a', RefundStatus.REFUNDED],
    ['b', RefundStatus.REFUNDED],
    ['c', RefundStatus.REFUSED],
    ['d', RefundStatus.REQUESTED],
  ]);
});
