import { type PaymentRefundRequested, PaymentRefundRequestedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Payment, PaymentCommand } from '../domain/payment.ts';
import type { PaymentProvider } from './payment-provider.ts';

export type RefundParts = {
  provider: PaymentProvider;
  handle(request: CommandRequest<PaymentCommand>): Promise<CommandResult<Payment>>;
};

/** Gives back what an operator wants to be given back. */
export function refundPayment({ provider, handle }: RefundParts): Reaction<PaymentRefundRequested> {
  return {
    name: 'refund-payment-on-refund-requested',
    sources: [{ journal: journalOf('payments'), aggregate: 'payment' }],
    begins: 'with-the-first-event',
    types: new EventTypes([PaymentRefundRequestedSchema]),
    async handle(event, { signal }) {
      const { orderId, refundId } = event.data;
      const asked = { ...causedBy(event, 'payments'), key: orderId };
      const { state } = await handle({ ...asked, command: { type: 'LookUp' } });
      if (state.status !== 'Captured') return;
      const refund = state.refunds.find((each) => each.refundId === refundId);
      if (refund?.status !== 'Requested') return;
      const answer = await provider.refund({ orderId, ...state.held }, refund, signal);
      const command: PaymentCommand =
        answer.result === 'refunded'
          ? { type: 'NoteRefund', orderId, refundId }
          : { type: 'NoteRefundRefusal', orderId, refundId, reason: answer.reason };
      await handle({ ...asked, command });
    },
  };
}
