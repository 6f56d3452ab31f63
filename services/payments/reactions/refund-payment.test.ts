import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { type PaymentRefundRequested, PaymentRefundRequestedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import type { CommandResult } from '#kit/decider.ts';
import type { RecordedEvent } from '#kit/event.ts';
import type { Payment, PaymentCommand, Refund } from '../domain/payment.ts';
import type { PaymentProvider, Refunded } from './payment-provider.ts';
import { refundPayment } from './refund-payment.ts';

const [orderId, refundId] = ['order-1', 'refund-1'];
const amount = { currencyCode: 'EUR', units: 1n, nanos: 0 };
const held = { customerId: 'alice', amount, provider: 'test', reference: 'r-1' };

/** What is asked of the provider and noted, where the refund stands so and the provider answers so. */
async function refunding(status: Refund['status'], answer: Refunded) {
  const asked: unknown[] = [];
  const noted: PaymentCommand[] = [];
  const state: Payment = { status: 'Captured', held, refunds: [{ refundId, amount, status }] };
  const provider = {
    name: 'test',
    refund: async (...words: unknown[]) => {
      asked.push(...words.slice(0, 2));
      return answer;
    },
  } as unknown as PaymentProvider;
  const reaction = refundPayment({
    provider,
    handle: async ({ command }) => {
      if (command.type !== 'LookUp') noted.push(command);
      return { state, outcome: 'unchanged' } as CommandResult<Payment>;
    },
  });
  const data = create(PaymentRefundRequestedSchema, { orderId, refundId, amount });
  const event = { id: 'event-1', correlationId: '', data } as RecordedEvent<PaymentRefundRequested>;
  await reaction.handle(event, { signal: new AbortController().signal, attempt: 1 });
  return { asked, noted };
}

test('a refund that is made is noted', async () => {
  const { asked, noted } = await refunding('Requested', { result: 'refunded' });

  expect(asked).toMatchObject([
    { orderId, amount, reference: 'r-1' },
    { refundId, amount },
  ]);
  expect(noted).toEqual([{ type: 'NoteRefund', orderId, refundId }]);
});

test("a refund that is refused is noted with the provider's word", async () => {
  const { noted } = await refunding('Requested', { result: 'refused', reason: 'charge_already_refunded' });

  expect(noted).toEqual([{ type: 'NoteRefundRefusal', orderId, refundId, reason: 'charge_already_refunded' }]);
});

test.each(['Refunded', 'Refused'] as const)('a refund that is %s is not asked for again', async (status) => {
  const { asked, noted } = await refunding(status, { result: 'refunded' });

  expect([...asked, ...noted]).toEqual([]);
});
