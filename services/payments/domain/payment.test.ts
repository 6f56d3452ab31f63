import { describe, expect, test } from 'vitest';
import { given, type Then } from '#kit/testing/given.ts';
import { type Payment, type PaymentEvent, payment } from './payment.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const customerId = 'alice';
const euros = (units: bigint, nanos = 0) => ({ currencyCode: 'EUR', units, nanos });
const amount = euros(25n, 500_000_000);
const nothing = { currencyCode: '', units: 0n, nanos: 0 };
const held = { customerId, amount, provider: 'sandbox', reference: 'r-1' };

const authorized: PaymentEvent = { type: 'PaymentAuthorized', orderId, ...held, late: false };
const late: PaymentEvent = { ...authorized, late: true };
const declined: PaymentEvent = {
  type: 'PaymentDeclined',
  orderId,
  customerId,
  amount,
  provider: 'sandbox',
  reason: 'card_declined',
};
const captured: PaymentEvent = { type: 'PaymentCaptured', orderId, amount };
const captureRefused: PaymentEvent = { type: 'PaymentCaptureRefused', orderId, amount, reason: 'expired' };
const voided: PaymentEvent = { type: 'PaymentVoided', orderId, customerId, amount };
const voidedNothing: PaymentEvent = { ...voided, amount: nothing };
const voidRefused: PaymentEvent = { type: 'PaymentVoidRefused', orderId, reason: 'captured' };

/** How a payment comes to each of its states; a refused void may know of an authorisation or not. */
const histories: Record<Payment['status'] | 'VoidRefusedBlind', PaymentEvent[]> = {
  None: [],
  Declined: [declined],
  Authorized: [authorized],
  CaptureRefused: [authorized, captureRefused],
  VoidRefused: [authorized, voidRefused],
  VoidRefusedBlind: [voidRefused],
  Captured: [authorized, captured],
  Voided: [authorized, voided],
};

type Answer = (then: Then<PaymentEvent>) => void;
const event =
  (expected: PaymentEvent): Answer =>
  (then) =>
    then.thenEvent(expected);
const known: Answer = (then) => then.thenNothing();
const notCaptured: Answer = (then) => then.thenRefused('FAILED_PRECONDITION', 'PAYMENT_NOT_CAPTURED');
const refundRequested = { type: 'PaymentRefundRequested', orderId, refundId: 'refund-1', amount, reason: 'x' } as const;

describe.each([
  {
    what: 'an authorisation is noted where nothing else is known, and as late where a void was asked for',
    command: { type: 'NoteAuthorization', orderId, ...held, late: false } as const,
    answers: {
      None: event(authorized),
      Declined: known,
      Authorized: known,
      CaptureRefused: known,
      VoidRefused: known,
      VoidRefusedBlind: event(late),
      Captured: known,
      Voided: known,
    },
  },
  {
    what: 'a decline is noted where nothing else is known',
    command: { ...declined, type: 'NoteDecline' } as const,
    answers: {
      None: event(declined),
      Declined: known,
      Authorized: known,
      CaptureRefused: known,
      VoidRefused: known,
      VoidRefusedBlind: known,
      Captured: known,
      Voided: known,
    },
  },
  {
    what: 'a capture is noted of what is held',
    command: { type: 'NoteCapture', orderId } as const,
    answers: {
      None: known,
      Declined: known,
      Authorized: event(captured),
      CaptureRefused: event(captured),
      VoidRefused: event(captured),
      VoidRefusedBlind: known,
      Captured: known,
      Voided: known,
    },
  },
  {
    what: 'a refused capture is noted unless the money was taken',
    command: { type: 'NoteCaptureRefusal', orderId, amount, reason: 'expired' } as const,
    answers: {
      None: event(captureRefused),
      Declined: event(captureRefused),
      Authorized: event(captureRefused),
      CaptureRefused: event(captureRefused),
      VoidRefused: event(captureRefused),
      VoidRefusedBlind: event(captureRefused),
      Captured: known,
      Voided: event(captureRefused),
    },
  },
  {
    what: 'a void is noted with what was held',
    command: { type: 'NoteVoid', orderId, customerId } as const,
    answers: {
      None: event(voidedNothing),
      Declined: event(voidedNothing),
      Authorized: event(voided),
      CaptureRefused: event(voided),
      VoidRefused: event(voided),
      VoidRefusedBlind: event(voidedNothing),
      Captured: known,
      Voided: known,
    },
  },
  {
    what: 'a refused void is noted unless it was voided',
    command: { type: 'NoteVoidRefusal', orderId, reason: 'captured' } as const,
    answers: {
      None: event(voidRefused),
      Declined: event(voidRefused),
      Authorized: event(voidRefused),
      CaptureRefused: event(voidRefused),
      VoidRefused: event(voidRefused),
      VoidRefusedBlind: event(voidRefused),
      Captured: event(voidRefused),
      Voided: known,
    },
  },
  {
    what: 'a refund is taken on where money was taken',
    command: { type: 'RequestRefund', orderId, refundId: 'refund-1', amount: undefined, reason: 'x' } as const,
    answers: {
      None: (then: Then<PaymentEvent>) => then.thenRefused('NOT_FOUND', 'PAYMENT_UNKNOWN'),
      Declined: notCaptured,
      Authorized: notCaptured,
      CaptureRefused: notCaptured,
      VoidRefused: notCaptured,
      VoidRefusedBlind: notCaptured,
      Captured: event(refundRequested),
      Voided: notCaptured,
    },
  },
  {
    what: 'a refund that nobody has asked for is not noted',
    command: { type: 'NoteRefund', orderId, refundId: 'refund-1' } as const,
    answers: Object.fromEntries(Object.keys(histories).map((status) => [status, known])),
  },
  {
    what: 'a look changes nothing',
    command: { type: 'LookUp' } as const,
    answers: Object.fromEntries(Object.keys(histories).map((status) => [status, known])),
  },
])('$what', ({ command, answers }) => {
  test.each(Object.entries(answers))('where it is %s', (status, answer) => {
    (answer as Answer)(given(payment, ...histories[status as keyof typeof histories]).when(command));
  });
});

test('what was settled stays so, whatever is refused afterwards', () => {
  for (const settled of [histories.Captured, histories.Voided]) {
    const state = settled.reduce(payment.evolve, payment.initialState);
    for (const each of [captureRefused, voidRefused]) expect(payment.evolve(state, each)).toBe(state);
  }
});

test('refusals are counted, because an attempt after a refusal is another request to the provider', () => {
  const state = [authorized, captureRefused, captureRefused, voidRefused].reduce(payment.evolve, payment.initialState);

  expect(state).toEqual({ status: 'VoidRefused', held, refusals: { capture: 2, void: 1 } });
});

describe('a refund', () => {
  const refund = (refundId: string, units: bigint): PaymentEvent => ({
    ...refundRequested,
    refundId,
    amount: euros(units),
  });
  const ask = (changes: { amount?: typeof amount | undefined; refundId?: string } = {}) =>
    ({ type: 'RequestRefund', orderId, refundId: 'refund-9', amount: undefined, reason: 'x', ...changes }) as const;

  test('without an amount gives back all that is left, pending refunds counted', () => {
    given(payment, authorized, captured, refund('refund-1', 10n), refund('refund-2', 3n))
      .when(ask())
      .thenEvent({ ...refundRequested, refundId: 'refund-9', amount: euros(12n, 500_000_000) });
  });

  test('that was refused by the provider is left to be refunded', () => {
    const refused: PaymentEvent = {
      type: 'PaymentRefundRefused',
      orderId,
      refundId: 'refund-1',
      amount: euros(25n),
      reason: 'no',
    };

    given(payment, authorized, captured, refund('refund-1', 25n), refused)
      .when(ask())
      .thenEvent({ ...refundRequested, refundId: 'refund-9' });
  });

  test('of more than what is left is refused', () => {
    given(payment, authorized, captured, refund('refund-1', 10n))
      .when(ask({ amount: euros(15n, 500_000_001) }))
      .thenRefused('INVALID_ARGUMENT', 'AMOUNT_TOO_LARGE');
  });

  test('in another currency is refused', () => {
    given(payment, authorized, captured)
      .when(ask({ amount: { ...euros(1n), currencyCode: 'USD' } }))
      .thenRefused('INVALID_ARGUMENT', 'OTHER_CURRENCY');
  });

  test('where nothing is left is refused', () => {
    given(payment, authorized, captured, { ...refundRequested, refundId: 'refund-1' })
      .when(ask())
      .thenRefused('FAILED_PRECONDITION', 'REFUNDED_ALREADY');
  });

  test('of the same id is one', () => {
    given(payment, authorized, captured, refund('refund-1', 10n))
      .when(ask({ refundId: 'refund-1' }))
      .thenNothing();
  });

  test('beyond the hundredth is refused: they would not fit beside an event', () => {
    const many = Array.from({ length: 100 }, (_, number) => refund(`refund-${number}`, 0n));

    given(payment, authorized, captured, ...many)
      .when(ask({ refundId: 'refund-100' }))
      .thenRefused('FAILED_PRECONDITION', 'TOO_MANY_REFUNDS');
  });

  test('is made or refused once', () => {
    const asked: PaymentEvent = { ...refundRequested, refundId: 'refund-1' };
    const refunded: PaymentEvent = { type: 'PaymentRefunded', orderId, customerId, refundId: 'refund-1', amount };
    const note = { type: 'NoteRefund', orderId, refundId: 'refund-1' } as const;

    given(payment, authorized, captured, asked).when(note).thenEvent(refunded);
    given(payment, authorized, captured, asked, refunded).when(note).thenNothing();
    given(payment, authorized, captured, asked, refunded)
      .when({ ...note, type: 'NoteRefundRefusal', reason: 'no' })
      .thenNothing();
    given(payment, authorized, captured, asked)
      .when({ ...note, type: 'NoteRefundRefusal', reason: 'no' })
      .thenEvent({ type: 'PaymentRefundRefused', orderId, refundId: 'refund-1', amount, reason: 'no' });
  });
});
