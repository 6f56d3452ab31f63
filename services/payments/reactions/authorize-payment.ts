import { timestampDate } from '@bufbuild/protobuf/wkt';
import { type PaymentRequested, PaymentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import { isUndecided, type Payment, type PaymentCommand } from '../domain/payment.ts';
import type { AuthorizationRequest, Authorized, PaymentProvider } from './payment-provider.ts';
import { requestIn } from './requested.ts';

/** Providers know a request again for a day: a later try could be another one to them. */
const ASKED_FOR_MS = 23 * 60 * 60 * 1_000;

export type AuthorizeParts = {
  provider: PaymentProvider;
  handle(request: CommandRequest<PaymentCommand>): Promise<CommandResult<Payment>>;
  clock: () => Date;
};

/**
 * Asks the provider for as long as the answer is waited for. After that fulfilment asks for a void, and whatever has come
 * of the request by then is found and released by that.
 */
export function authorizePayment({ provider, handle, clock }: AuthorizeParts): Reaction<PaymentRequested> {
  return {
    name: 'authorize-payment-on-payment-requested',
    sources: [{ journal: journalOf('fulfilment'), aggregate: 'fulfilment' }],
    begins: 'with-the-first-event',
    types: new EventTypes([PaymentRequestedSchema]),
    async handle(event, { signal, attempt }) {
      if (isOver(event, clock())) return;
      const asked = { ...causedBy(event, 'payments'), key: event.data.orderId };
      if (attempt > 1) {
        const { state } = await handle({ ...asked, command: { type: 'LookUp' } });
        if (!isUndecided(state)) return;
      }
      const request = requestIn(event.data);
      const answer = await provider.authorize(request, signal);
      const command = commandFor(answer, request, provider.name);
      // Voided meanwhile: that is noted by whoever asked for it.
      if (command === undefined) return;
      const { state } = await handle({ ...asked, command });
      if (answer.result === 'authorized' && (state.status === 'Voided' || state.status === 'Declined')) {
        // Nobody counts on it, and nobody else would release it: the void may have come before the provider knew of it.
        await provider.void({ ...request, reference: answer.reference }, 0, signal);
      }
    },
  };
}

function isOver({ data, time }: RecordedEvent<PaymentRequested>, now: Date): boolean {
  const deadline = data.deadline === undefined ? Number.POSITIVE_INFINITY : timestampDate(data.deadline).getTime();
  return now.getTime() > Math.min(deadline, time.getTime() + ASKED_FOR_MS);
}

function commandFor(
  answer: Authorized,
  { paymentMethod: _, ...request }: AuthorizationRequest,
  provider: string,
): PaymentCommand | undefined {
  switch (answer.result) {
    case 'authorized':
      return { type: 'NoteAuthorization', ...request, provider, reference: answer.reference, late: false };
    case 'declined':
      return { type: 'NoteDecline', ...request, provider, reason: answer.reason };
    case 'voided':
      return undefined;
    default:
      return answer satisfies never;
  }
}
