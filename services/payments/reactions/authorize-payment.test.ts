import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { type PaymentRequested, PaymentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import type { CommandResult } from '#kit/decider.ts';
import type { RecordedEvent } from '#kit/event.ts';
import type { Payment } from '../domain/payment.ts';
import { authorizePayment } from './authorize-payment.ts';
import type { PaymentProvider } from './payment-provider.ts';

const HOUR_MS = 60 * 60 * 1_000;
const held = {
  customerId: 'alice',
  amount: { currencyCode: 'EUR', units: 1n, nanos: 0 },
  provider: 'p',
  reference: 'r',
};
const refusals = { capture: 0, void: 1 };

/** How often the provider is asked in one attempt. */
async function asked({
  nowMs = 0,
  deadlineMs,
  attempt = 1,
  state = { status: 'None' },
}: {
  /** Since the payment was asked for. */
  nowMs?: number;
  deadlineMs?: number;
  attempt?: number;
  state?: Payment;
}): Promise<number> {
  let times = 0;
  const provider = {
    name: 'test',
    authorize: async () => {
      times++;
      return { result: 'voided' };
    },
  } as unknown as PaymentProvider;
  const reaction = authorizePayment({
    provider,
    handle: async () => ({ state, outcome: 'unchanged' }) as CommandResult<Payment>,
    clock: () => new Date(nowMs),
  });
  const deadline = deadlineMs === undefined ? {} : { deadline: timestampFromDate(new Date(deadlineMs)) };
  const data = create(PaymentRequestedSchema, { orderId: 'order-1', ...deadline });
  const event = { id: 'event-1', correlationId: '', time: new Date(0), data } as RecordedEvent<PaymentRequested>;
  await reaction.handle(event, { signal: new AbortController().signal, attempt });
  return times;
}

test('a payment is asked for until its deadline', async () => {
  expect(await asked({ nowMs: 1_000, deadlineMs: 1_000 })).toBe(1);
  expect(await asked({ nowMs: 1_001, deadlineMs: 1_000 })).toBe(0);
});

test('a payment is not asked for once the provider may have forgotten it, whatever its deadline', async () => {
  expect(await asked({ nowMs: 23 * HOUR_MS, deadlineMs: 48 * HOUR_MS })).toBe(1);
  expect(await asked({ nowMs: 23 * HOUR_MS + 1, deadlineMs: 48 * HOUR_MS })).toBe(0);
  expect(await asked({ nowMs: 23 * HOUR_MS + 1 })).toBe(0);
});

test.each<[Payment, number]>([
  [{ status: 'None' }, 1],
  [{ status: 'Voided' }, 0],
  [{ status: 'Declined' }, 0],
  [{ status: 'Authorized', held, refusals }, 0],
  [{ status: 'VoidRefused', held, refusals }, 0],
  // What an earlier attempt has left at the provider is not known yet.
  [{ status: 'VoidRefused', held: undefined, refusals }, 1],
])(
  'a payment that was asked for before is asked for again only where nothing is known: $status',
  async (state, times) => {
    expect(await asked({ attempt: 2, state })).toBe(times);
  },
);
