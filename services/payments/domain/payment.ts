import type { Decider, Refusal } from '#kit/decider.ts';
import { isMore, isNothing, type Money, minus } from './money.ts';

/** What the provider holds for us, and has not given to us yet. */
export type Held = { customerId: string; amount: Money; provider: string; reference: string };

/** How often the provider refused what was asked: the next try is another request to it. */
export type Refusals = { capture: number; void: number };

export type Refund = { refundId: string; amount: Money; status: 'Requested' | 'Refunded' | 'Refused' };

export type Payment =
  | { status: 'None' }
  | { status: 'Declined' }
  | { status: 'Authorized' | 'CaptureRefused'; held: Held; refusals: Refusals }
  /** Nothing is held where it is not known what became of the request. */
  | { status: 'VoidRefused'; held: Held | undefined; refusals: Refusals }
  | { status: 'Captured'; held: Held; refunds: Refund[] }
  | { status: 'Voided' };

export type PaymentEvent =
  | ({ type: 'PaymentAuthorized'; orderId: string; late: boolean } & Held)
  | {
      type: 'PaymentDeclined';
      orderId: string;
      customerId: string;
      amount: Money;
      provider: string;
      reason: string;
    }
  | { type: 'PaymentCaptured'; orderId: string; amount: Money }
  | { type: 'PaymentCaptureRefused'; orderId: string; amount: Money; reason: string }
  | { type: 'PaymentVoided'; orderId: string; customerId: string; amount: Money }
  | { type: 'PaymentVoidRefused'; orderId: string; reason: string }
  | { type: 'PaymentRefundRequested'; orderId: string; refundId: string; amount: Money; reason: string }
  | { type: 'PaymentRefunded'; orderId: string; customerId: string; refundId: string; amount: Money }
  | { type: 'PaymentRefundRefused'; orderId: string; refundId: string; amount: Money; reason: string };

type NoteAuthorization = { type: 'NoteAuthorization'; orderId: string; late: boolean } & Held;

/** An operator gives back some of what was captured; without an amount, all that is left. */
type RequestRefund = {
  type: 'RequestRefund';
  orderId: string;
  refundId: string;
  amount: Money | undefined;
  reason: string;
};

/** What the provider answered is noted: it can't be refused, only be known already. */
export type PaymentCommand =
  | NoteAuthorization
  | {
      type: 'NoteDecline';
      orderId: string;
      customerId: string;
      amount: Money;
      provider: string;
      reason: string;
    }
  | { type: 'NoteCapture'; orderId: string }
  | { type: 'NoteCaptureRefusal'; orderId: string; amount: Money; reason: string }
  | { type: 'NoteVoid'; orderId: string; customerId: string }
  | { type: 'NoteVoidRefusal'; orderId: string; reason: string }
  | RequestRefund
  | { type: 'NoteRefund'; orderId: string; refundId: string }
  | { type: 'NoteRefundRefusal'; orderId: string; refundId: string; reason: string }
  /** Changes nothing: asks how it stands, and whether the same request was carried out before. */
  | { type: 'LookUp' };

/** Its state has to fit into a header. */
const MAX_REFUNDS = 100;

export const payment: Decider<PaymentCommand, Payment, PaymentEvent> = {
  initialState: { status: 'None' },

  decide(command, state) {
    switch (command.type) {
      case 'LookUp':
        return undefined;
      case 'NoteAuthorization':
        return noteAuthorization(command, state);
      case 'NoteDecline': {
        const { type: _, ...said } = command;
        return state.status === 'None' ? { type: 'PaymentDeclined', ...said } : undefined;
      }
      case 'NoteCapture': {
        const held = heldIn(state);
        return held && { type: 'PaymentCaptured', orderId: command.orderId, amount: held.amount };
      }
      case 'NoteCaptureRefusal': {
        const { type: _, ...said } = command;
        return state.status === 'Captured' ? undefined : { type: 'PaymentCaptureRefused', ...said };
      }
      case 'NoteVoid':
        return noteVoid(command, state);
      case 'NoteVoidRefusal': {
        const { type: _, ...said } = command;
        return state.status === 'Voided' ? undefined : { type: 'PaymentVoidRefused', ...said };
      }
      case 'RequestRefund':
        return requestRefund(command, state);
      case 'NoteRefund':
      case 'NoteRefundRefusal':
        return noteRefund(command, state);
      default:
        return command satisfies never;
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'PaymentAuthorized':
        return authorized(event, state);
      case 'PaymentDeclined':
        return state.status === 'None' ? { status: 'Declined' } : state;
      case 'PaymentCaptured': {
        const held = heldIn(state);
        return held === undefined ? state : { status: 'Captured', held, refunds: [] };
      }
      case 'PaymentCaptureRefused': {
        const held = heldIn(state);
        if (held === undefined) return state;
        const refusals = refusalsOf(state);
        return { status: 'CaptureRefused', held, refusals: { ...refusals, capture: refusals.capture + 1 } };
      }
      case 'PaymentVoided':
        return state.status === 'Captured' ? state : { status: 'Voided' };
      case 'PaymentVoidRefused': {
        if (state.status === 'Captured' || state.status === 'Voided') return state;
        const refusals = refusalsOf(state);
        return { status: 'VoidRefused', held: heldIn(state), refusals: { ...refusals, void: refusals.void + 1 } };
      }
      case 'PaymentRefundRequested':
        if (state.status !== 'Captured') return state;
        return {
          ...state,
          refunds: [...state.refunds, { refundId: event.refundId, amount: event.amount, status: 'Requested' }],
        };
      case 'PaymentRefunded':
        return withRefund(state, event.refundId, 'Refunded');
      case 'PaymentRefundRefused':
        return withRefund(state, event.refundId, 'Refused');
      default:
        return event satisfies never;
    }
  },
};

/** Whether it is not known yet what the provider says to the request. */
export function isUndecided(state: Payment): boolean {
  return state.status === 'None' || (state.status === 'VoidRefused' && state.held === undefined);
}

/** What can be captured or voided now. */
export function heldIn(state: Payment): Held | undefined {
  switch (state.status) {
    case 'Authorized':
    case 'CaptureRefused':
    case 'VoidRefused':
      return state.held;
    default:
      return undefined;
  }
}

export function refusalsOf(state: Payment): Refusals {
  return 'refusals' in state ? state.refusals : { capture: 0, void: 0 };
}

/** What is authorised while a void is asked for and refused is late, whoever noticed it. */
function noteAuthorization(command: NoteAuthorization, state: Payment): PaymentEvent | undefined {
  const { type: _, ...said } = command;
  if (!isUndecided(state)) return undefined;
  return { type: 'PaymentAuthorized', ...said, late: said.late || state.status !== 'None' };
}

function authorized(
  { customerId, amount, provider, reference }: Extract<PaymentEvent, { type: 'PaymentAuthorized' }>,
  state: Payment,
): Payment {
  const held = { customerId, amount, provider, reference };
  if (state.status === 'VoidRefused' && state.held === undefined) return { ...state, held };
  return state.status === 'None' ? { status: 'Authorized', held, refusals: refusalsOf(state) } : state;
}

function noteVoid(
  { orderId, customerId }: { orderId: string; customerId: string },
  state: Payment,
): PaymentEvent | undefined {
  if (state.status === 'Captured' || state.status === 'Voided') return undefined;
  const amount = heldIn(state)?.amount ?? { currencyCode: '', units: 0n, nanos: 0 };
  return { type: 'PaymentVoided', orderId, customerId, amount };
}

function requestRefund(command: RequestRefund, state: Payment): PaymentEvent | Refusal | undefined {
  const { orderId, refundId, reason } = command;
  if (state.status === 'None') return unknown(orderId);
  if (state.status !== 'Captured') return nothingToRefund(orderId, 'PAYMENT_NOT_CAPTURED', 'nothing was captured');
  if (state.refunds.some((refund) => refund.refundId === refundId)) return undefined;
  const left = leftToRefund(state);
  if (isNothing(left)) return nothingToRefund(orderId, 'REFUNDED_ALREADY', 'nothing is left to refund');
  if (state.refunds.length >= MAX_REFUNDS) {
    return nothingToRefund(orderId, 'TOO_MANY_REFUNDS', `there were ${MAX_REFUNDS} refunds already`);
  }
  const amount = command.amount ?? left;
  if (amount.currencyCode !== left.currencyCode) {
    return wrongAmount('OTHER_CURRENCY', `order ${orderId} was paid in ${left.currencyCode}`);
  }
  if (isMore(amount, left)) return wrongAmount('AMOUNT_TOO_LARGE', 'more than what is left to refund');
  return { type: 'PaymentRefundRequested', orderId, refundId, amount, reason };
}

/** What was captured, without what was given back or is about to be. */
function leftToRefund({ held, refunds }: Extract<Payment, { status: 'Captured' }>): Money {
  const taken = refunds.filter(({ status }) => status !== 'Refused').map(({ amount }) => amount);
  return minus(held.amount, ...taken);
}

function noteRefund(
  command: Extract<PaymentCommand, { type: 'NoteRefund' | 'NoteRefundRefusal' }>,
  state: Payment,
): PaymentEvent | undefined {
  if (state.status !== 'Captured') return undefined;
  const { orderId, refundId } = command;
  const refund = state.refunds.find((each) => each.refundId === refundId);
  if (refund?.status !== 'Requested') return undefined;
  const { amount } = refund;
  return command.type === 'NoteRefund'
    ? { type: 'PaymentRefunded', orderId, customerId: state.held.customerId, refundId, amount }
    : { type: 'PaymentRefundRefused', orderId, refundId, amount, reason: command.reason };
}

function withRefund(state: Payment, refundId: string, status: Refund['status']): Payment {
  if (state.status !== 'Captured') return state;
  const refunds = state.refunds.map((refund) => (refund.refundId === refundId ? { ...refund, status } : refund));
  return { ...state, refunds };
}

function unknown(orderId: string): Refusal {
  return { refused: 'NOT_FOUND', reason: 'PAYMENT_UNKNOWN', message: `there is no payment of order ${orderId}` };
}

function nothingToRefund(orderId: string, reason: string, why: string): Refusal {
  return { refused: 'FAILED_PRECONDITION', reason, message: `order ${orderId}: ${why}` };
}

function wrongAmount(reason: string, message: string): Refusal {
  return { refused: 'INVALID_ARGUMENT', reason, message, field: 'amount' };
}
