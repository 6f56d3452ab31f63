import {
  type CaptureRequested,
  CaptureRequestedSchema,
  type PaymentVoidRequested,
  PaymentVoidRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import { isSame } from '../domain/money.ts';
import { heldIn, type Payment, type PaymentCommand, refusalsOf } from '../domain/payment.ts';
import type { Authorization, AuthorizationRequest, Captured, PaymentProvider } from './payment-provider.ts';
import { moneyIn } from './requested.ts';

export type SettleParts = {
  provider: PaymentProvider;
  handle(request: CommandRequest<PaymentCommand>): Promise<CommandResult<Payment>>;
  /** What was asked for an order, as fulfilment's journal has it. */
  requested(orderId: string): Promise<AuthorizationRequest | undefined>;
};

type Asked = Omit<CommandRequest<PaymentCommand>, 'command'>;

/**
 * Takes what is held, or releases it. A consumer beside the one that authorises: a provider that is slow with an
 * authorisation must not hold up its void.
 */
export function settlePayment(parts: SettleParts): Reaction<CaptureRequested | PaymentVoidRequested> {
  return {
    name: 'settle-payment-on-capture-or-void-requested',
    sources: [{ journal: journalOf('fulfilment'), aggregate: 'fulfilment' }],
    begins: 'with-the-first-event',
    types: new EventTypes([CaptureRequestedSchema, PaymentVoidRequestedSchema]),
    async handle(event, { signal }) {
      const asked = { ...causedBy(event, 'payments'), key: event.data.orderId };
      // A request that was answered must not be asked of the provider again: after a refusal it would be a new try.
      const { state, outcome } = await parts.handle({ ...asked, command: { type: 'LookUp' } });
      if (outcome === 'repeated') return;
      if (isVoidRequest(event)) await voidPayment(event.data, state, asked, parts, signal);
      else await capture(event.data as CaptureRequested, state, asked, parts, signal);
    },
  };
}

function isVoidRequest(event: RecordedEvent): event is RecordedEvent<PaymentVoidRequested> {
  return event.data.$typeName === 'causeway.fulfilment.v1.PaymentVoidRequested';
}

async function capture(
  event: CaptureRequested,
  state: Payment,
  asked: Asked,
  { provider, handle }: SettleParts,
  signal: AbortSignal,
): Promise<void> {
  if (state.status === 'Captured') return;
  const { orderId } = event;
  const amount = moneyIn(event.amount);
  const held = heldIn(state);
  let answer: Captured;
  if (held === undefined) answer = { result: 'refused', reason: 'not_authorized' };
  else if (!isSame(held.amount, amount)) answer = { result: 'refused', reason: 'amount_differs' };
  else answer = await provider.capture({ orderId, ...held }, refusalsOf(state).capture, signal);
  const command: PaymentCommand =
    answer.result === 'captured'
      ? { type: 'NoteCapture', orderId }
      : { type: 'NoteCaptureRefusal', orderId, amount, reason: answer.reason };
  await handle({ ...asked, command });
}

async function voidPayment(
  { orderId, customerId }: PaymentVoidRequested,
  state: Payment,
  asked: Asked,
  { provider, handle, requested }: SettleParts,
  signal: AbortSignal,
): Promise<void> {
  if (state.status === 'Voided') return;
  if (state.status === 'Captured') {
    await handle({ ...asked, command: { type: 'NoteVoidRefusal', orderId, reason: 'captured' } });
    return;
  }
  const what = await whatToVoid(orderId, state, requested);
  // Declined, or never asked for: there is nothing that the provider could release.
  if (what !== undefined) {
    const answer = await provider.void(what, refusalsOf(state).void, signal);
    if (answer.result === 'refused') {
      await handle({ ...asked, command: { type: 'NoteVoidRefusal', orderId, reason: answer.reason } });
      return;
    }
    if (answer.released !== undefined && 'customerId' in what) {
      const { amount } = what;
      const { reference } = answer.released;
      const authorization = { orderId, customerId, amount, provider: provider.name, reference };
      // One event makes two here, so the first is not the answer to it. A repeat finds it noted.
      await handle({ ...asked, requestId: '', command: { type: 'NoteAuthorization', ...authorization, late: true } });
    }
  }
  await handle({ ...asked, command: { type: 'NoteVoid', orderId, customerId } });
}

async function whatToVoid(
  orderId: string,
  state: Payment,
  requested: SettleParts['requested'],
): Promise<Authorization | AuthorizationRequest | undefined> {
  if (state.status === 'Declined') return undefined;
  const held = heldIn(state);
  return held === undefined ? requested(orderId) : { orderId, amount: held.amount, reference: held.reference };
}
