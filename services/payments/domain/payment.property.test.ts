import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PaymentStateSchema } from '#gen/causeway/payments/v1/state_pb.js';
import { paymentAggregate } from '../adapters/payment-aggregate.ts';
import { type Money, minus } from './money.ts';
import { type Payment, type PaymentCommand, type PaymentEvent, payment } from './payment.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const customerId = 'alice';
const provider = 'sandbox';

const money = (units: bigint, nanos: number): Money => ({ currencyCode: 'EUR', units, nanos });
const amount = fc
  .tuple(fc.bigInt({ min: 0n, max: 40n }), fc.integer({ min: 0, max: 999_999_999 }))
  .map(([units, nanos]) => money(units, nanos));
const held = { customerId, amount: money(25n, 500_000_000), provider, reference: 'r-1' };
const refundId = fc.constantFrom('refund-1', 'refund-2', 'refund-3', 'refund-4');
const reason = fc.constant('no');
const id = { orderId: fc.constant(orderId) };

/** By type, so that a command that is new and not in here is an error of the compiler. */
const commandsByType: { [Type in PaymentCommand['type']]: fc.Arbitrary<Extract<PaymentCommand, { type: Type }>> } = {
  LookUp: fc.record({ type: fc.constant('LookUp' as const) }),
  NoteAuthorization: fc.boolean().map((late) => ({ type: 'NoteAuthorization' as const, orderId, ...held, late })),
  NoteDecline: fc.record({
    type: fc.constant('NoteDecline' as const),
    ...id,
    customerId: fc.constant(customerId),
    amount: fc.constant(held.amount),
    provider: fc.constant(provider),
    reason,
  }),
  NoteCapture: fc.record({ type: fc.constant('NoteCapture' as const), ...id }),
  NoteCaptureRefusal: fc.record({ type: fc.constant('NoteCaptureRefusal' as const), ...id, amount, reason }),
  NoteVoid: fc.record({ type: fc.constant('NoteVoid' as const), ...id, customerId: fc.constant(customerId) }),
  NoteVoidRefusal: fc.record({ type: fc.constant('NoteVoidRefusal' as const), ...id, reason }),
  RequestRefund: fc.record({
    type: fc.constant('RequestRefund' as const),
    ...id,
    refundId,
    amount: fc.option(amount, { nil: undefined }),
    reason,
  }),
  NoteRefund: fc.record({ type: fc.constant('NoteRefund' as const), ...id, refundId }),
  NoteRefundRefusal: fc.record({ type: fc.constant('NoteRefundRefusal' as const), ...id, refundId, reason }),
};

/** Money is captured in most runs, so that there are refunds. */
const { NoteAuthorization, NoteCapture, RequestRefund } = commandsByType;
const command = fc.oneof(...Object.values(commandsByType), NoteAuthorization, NoteCapture, RequestRefund);
const commands = fc.array(command, { maxLength: 30 });

function run(list: readonly PaymentCommand[]): { state: Payment; events: PaymentEvent[] } {
  let state = payment.initialState;
  const events: PaymentEvent[] = [];
  for (const each of list) {
    const decided = payment.decide(each, state);
    if (decided === undefined || 'refused' in decided) continue;
    state = payment.evolve(state, decided);
    events.push(decided);
  }
  return { state, events };
}

function sumOf(events: readonly PaymentEvent[], ...types: PaymentEvent['type'][]): bigint {
  return events
    .filter((event) => types.includes(event.type) && 'amount' in event)
    .map((event) => (event as { amount: Money }).amount)
    .reduce((sum, { units, nanos }) => sum + units * 1_000_000_000n + BigInt(nanos), 0n);
}

test('what was authorised is captured or voided, once and whole, and nothing else is', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { state, events } = run(list);
      const settled = sumOf(events, 'PaymentCaptured', 'PaymentVoided');
      const isSettled = state.status === 'Captured' || state.status === 'Voided';

      expect(settled).toBe(isSettled ? sumOf(events, 'PaymentAuthorized') : 0n);
      for (const once of ['PaymentAuthorized', 'PaymentDeclined', 'PaymentCaptured', 'PaymentVoided'] as const) {
        expect(events.filter(({ type }) => type === once).length).toBeLessThanOrEqual(1);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('refunds are never more than what was captured, those that are under way counted', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { state, events } = run(list);
      const refunds = state.status === 'Captured' ? state.refunds.filter(({ status }) => status !== 'Refused') : [];
      const left = minus(held.amount, ...refunds.map((refund) => refund.amount));

      expect(left.units >= 0n && left.nanos >= 0).toBe(true);
      expect(sumOf(events, 'PaymentRefunded')).toBeLessThanOrEqual(sumOf(events, 'PaymentCaptured'));
    }),
    { numRuns: 2_000 },
  );
});

test('refunds are asked for, made and refused in what is tried here', () => {
  const types = new Set(
    fc.sample(commands, { numRuns: 2_000, seed: 1 }).flatMap((list) => run(list).events.map(({ type }) => type)),
  );

  expect([...types].sort()).toEqual(Object.keys(paymentAggregate.events).sort());
});

test('replaying the events gives the state that the commands led to, also after it was stored and read', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const { state, events } = run(list);
      const stored = toBinary(PaymentStateSchema, create(PaymentStateSchema, paymentAggregate.state.encode(state)));

      expect(events.reduce(payment.evolve, payment.initialState)).toEqual(state);
      expect(paymentAggregate.state.decode(fromBinary(PaymentStateSchema, stored))).toEqual(state);
    }),
    { numRuns: 2_000 },
  );
});
