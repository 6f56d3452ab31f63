import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Payment,
  PaymentService,
  PaymentStatus,
  RefundStatus,
} from '#gen/causeway/payments/v1/payments_service_pb.js';
import { type CallError, TransientError, UnavailableError } from '#kit/errors.ts';
import type { Service } from '#kit/lifecycle.ts';
import type { Caller } from '#kit/rpc/call.ts';
import type { PaymentProvider } from './reactions/payment-provider.ts';
import { Desk } from './testing/desk.ts';
import { StripeFront } from './testing/stripe-front.ts';
import { startStripeMock } from './testing/stripe-mock.ts';

const euros = (units: bigint, nanos = 0) => ({ currencyCode: 'EUR', units, nanos });
const alice: Caller = { subject: 'alice', role: 'customer' };
const operator: Caller = { subject: 'olga', role: 'operator' };

let desk: Desk;
let service: Service;

/** The sandbox, but for what a test wants to be otherwise. */
function sandboxBut(changes: (sandbox: PaymentProvider) => Partial<PaymentProvider>): PaymentProvider {
  const sandbox: PaymentProvider = desk.sandbox;
  return {
    name: sandbox.name,
    authorize: (...words) => sandbox.authorize(...words),
    capture: (...words) => sandbox.capture(...words),
    void: (...words) => sandbox.void(...words),
    refund: (...words) => sandbox.refund(...words),
    ...changes(sandbox),
  };
}

async function call<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  caller: Caller,
  request: MessageInitShape<Input>,
): Promise<MessageShape<Output>> {
  const said = {
    caller,
    authorization: '',
    correlationId: randomUUID(),
    signal: AbortSignal.timeout(10_000),
    deadline: undefined,
  };
  const answer = await service.doors[0]?.messages.unary(method, create(method.input, request), said);
  return answer as MessageShape<Output>;
}

const get = async (orderId: string, caller: Caller = operator): Promise<Payment | undefined> =>
  (await call(PaymentService.method.getPayment, caller, { orderId })).payment;

type Refund = MessageInitShape<typeof PaymentService.method.refundPayment.input>;
const refund = (fields: Refund, caller: Caller = operator) =>
  call(PaymentService.method.refundPayment, caller, { reason: 'broken', ...fields } as Refund);

async function captured(): Promise<string> {
  const orderId = await desk.request();
  await expect.poll(() => desk.story(orderId)).toBe('Authorized');
  await desk.requestCapture(orderId);
  await expect.poll(() => desk.story(orderId)).toBe('Authorized Captured');
  return orderId;
}

beforeAll(async () => {
  desk = await Desk.open();
});

describe('with the sandbox', () => {
  beforeAll(async () => {
    service = await desk.start();
  });

  test('a payment that is asked for is authorised, and taken when that is asked for', async () => {
    const orderId = await captured();

    expect(await desk.atSandbox(orderId)).toMatchObject({ status: 'captured', charges: 1 });
    const [authorized] = await desk.events(orderId);
    expect(authorized).toMatchObject({
      actor: 'payments',
      correlationId: `correlation of ${orderId}`,
      data: { customerId: 'alice', provider: 'sandbox', late: false },
    });
  });

  test.each([
    ['pm_ok', 'Authorized'],
    ['pm_slow', 'Authorized'],
    ['pm_flaky', 'Authorized'],
    ['pm_declined', 'Declined'],
    ['pm_insufficient_funds', 'Declined'],
    ['pm_unheard_of', 'Declined'],
  ])('a payment with %s is %s', async (paymentMethod, story) => {
    const orderId = await desk.request({ paymentMethod });

    await expect.poll(() => desk.story(orderId)).toBe(story);
  });

  test('what comes of a request that took several attempts says how many', async () => {
    const [flaky, fine] = [await desk.request({ paymentMethod: 'pm_flaky' }), await desk.request()];
    for (const orderId of [flaky, fine]) await expect.poll(() => desk.story(orderId)).toBe('Authorized');

    const attempts = async (orderId: string) => (await desk.events(orderId)).map((event) => event.attempts);
    expect(await attempts(flaky)).toEqual([3]);
    expect(await attempts(fine)).toEqual([0]);
  });

  test('what is authorised is released when that is asked for', async () => {
    const orderId = await desk.request();
    await expect.poll(() => desk.story(orderId)).toBe('Authorized');
    await desk.requestVoid(orderId);

    await expect.poll(() => desk.story(orderId)).toBe('Authorized Voided');
    expect(await desk.atSandbox(orderId)).toMatchObject({ status: 'voided', charges: 0 });
  });

  test('a provider that never answers holds up neither the void nor anybody else', async () => {
    const orderId = await desk.request({ paymentMethod: 'pm_never' });
    await desk.requestVoid(orderId);

    await expect.poll(() => desk.story(orderId)).toBe('Voided');
    const [voided] = await desk.events(orderId);
    expect(voided).toMatchObject({ data: { amount: { units: 0n, nanos: 0 } } });
    expect(await desk.parked(orderId)).toEqual([]);
  });

  test('after its deadline a payment is not asked for any more', async () => {
    const deadline = timestampFromDate(new Date(Date.now() - 1));
    const orderId = await desk.request({ deadline });
    await desk.requestVoid(orderId);

    await expect.poll(() => desk.story(orderId)).toBe('Voided');
    expect(await desk.atSandbox(orderId)).toMatchObject({ tries: 0 });
  });

  test('a capture that is refused is said, and tried again when it is asked for again', async () => {
    const orderId = await desk.request({ paymentMethod: 'pm_capture_refused' });
    await expect.poll(() => desk.story(orderId)).toBe('Authorized');
    await desk.requestCapture(orderId);
    await expect.poll(() => desk.story(orderId)).toBe('Authorized CaptureRefused');
    expect(await get(orderId)).toMatchObject({ status: PaymentStatus.REFUSED, reason: 'capture_refused' });
    await desk.requestCapture(orderId);

    await expect.poll(() => desk.story(orderId)).toBe('Authorized CaptureRefused Captured');
    expect(await desk.atSandbox(orderId)).toMatchObject({ charges: 1 });
  });

  test('a void that is refused is said, and tried again when it is asked for again', async () => {
    const orderId = await desk.request({ paymentMethod: 'pm_void_refused' });
    await expect.poll(() => desk.story(orderId)).toBe('Authorized');
    await desk.requestVoid(orderId);
    await expect.poll(() => desk.story(orderId)).toBe('Authorized VoidRefused');
    await desk.requestVoid(orderId);

    await expect.poll(() => desk.story(orderId)).toBe('Authorized VoidRefused Voided');
  });

  test('another amount than what is authorised is not taken', async () => {
    const orderId = await desk.request();
    await expect.poll(() => desk.story(orderId)).toBe('Authorized');
    await desk.requestCapture(orderId, { amount: euros(26n) });

    await expect.poll(() => desk.story(orderId)).toBe('Authorized CaptureRefused');
    expect(await desk.atSandbox(orderId)).toMatchObject({ charges: 0 });
  });

  describe('the door', () => {
    test('shows a payment to its customer and to operators, and to nobody else', async () => {
      const orderId = await captured();
      await expect.poll(() => get(orderId).catch(() => undefined)).toMatchObject({ status: PaymentStatus.CAPTURED });

      const amount = euros(25n, 500_000_000);
      const shown = { orderId, customerId: 'alice', authorized: amount, captured: amount, version: 2n };
      expect(await get(orderId, alice)).toMatchObject(shown);
      const other = get(orderId, { subject: 'bert', role: 'customer' });
      await expect(other).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(get(randomUUID())).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test('takes refunds: some, then all that is left, and then no more', async () => {
      const orderId = await captured();
      const first = await refund({ orderId, amount: euros(10n), requestId: randomUUID() });
      const rest = await refund({ orderId });

      await expect.poll(() => desk.story(orderId)).toMatch(/ Refunded.* Refunded/);
      const atLeast = rest.position === undefined ? [] : [rest.position];
      await call(PaymentService.method.getPayment, operator, { orderId, atLeast });
      await expect.poll(() => get(orderId)).toMatchObject({ refunded: euros(25n, 500_000_000) });
      const shown = await get(orderId);
      expect(shown?.refunds).toMatchObject([
        { refundId: first.refundId, amount: euros(10n), status: RefundStatus.REFUNDED, reason: 'broken' },
        { refundId: rest.refundId, amount: euros(15n, 500_000_000), status: RefundStatus.REFUNDED },
      ]);
      await expect(refund({ orderId })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect((await desk.atSandbox(orderId))?.refunds).toHaveLength(2);
    });

    test('answers the same refund the same, and makes it once', async () => {
      const orderId = await captured();
      const request = { orderId, amount: euros(10n), requestId: randomUUID() };
      const first = await refund(request);
      await expect.poll(() => desk.story(orderId)).toBe('Authorized Captured RefundRequested Refunded');
      const again = await refund(request);

      expect(again).toMatchObject({ refundId: first.refundId, version: first.version });
      expect(await desk.story(orderId)).toBe('Authorized Captured RefundRequested Refunded');
    });

    test('refuses a request id that was used for something else', async () => {
      const [orderId, otherOrderId] = [await captured(), await captured()];
      const request = { orderId, amount: euros(10n), requestId: randomUUID() };
      await refund(request);

      const differs = { code: 'ALREADY_EXISTS' };
      await expect(refund({ ...request, amount: euros(11n) })).rejects.toMatchObject(differs);
      await expect(refund({ ...request, orderId: otherOrderId })).rejects.toMatchObject(differs);
    });

    test('refuses refunds that can not be', async () => {
      const orderId = await desk.request();
      await expect.poll(() => desk.story(orderId)).toBe('Authorized');
      const paid = await captured();

      const codeOf = async (fields: Refund, caller = operator) =>
        refund(fields, caller).then(
          () => 'OK',
          (error) => (error as CallError).code,
        );
      expect(await codeOf({ orderId })).toBe('FAILED_PRECONDITION');
      expect(await codeOf({ orderId: randomUUID(), requestId: randomUUID() })).toBe('NOT_FOUND');
      expect(await codeOf({ orderId: randomUUID() })).toBe('NOT_FOUND');
      expect(await codeOf({ orderId: paid, amount: euros(26n) })).toBe('INVALID_ARGUMENT');
      expect(await codeOf({ orderId: paid, amount: { currencyCode: 'USD', units: 1n, nanos: 0 } })).toBe(
        'INVALID_ARGUMENT',
      );
      expect(await codeOf({ orderId: paid, amount: euros(0n) })).toBe('INVALID_ARGUMENT');
      expect(await codeOf({ orderId: paid }, alice)).toBe('PERMISSION_DENIED');
    });
  });
});

describe('where answers are lost', () => {
  test('an authorisation that nobody knows of is found by its void, and noted as late before it is released', async () => {
    const losing = sandboxBut((sandbox) => ({
      async authorize(...words) {
        await sandbox.authorize(...words);
        throw new TransientError('the answer is lost');
      },
    }));
    await desk.start(losing);
    const orderId = await desk.request();
    await expect.poll(() => desk.atSandbox(orderId)).toMatchObject({ status: 'authorized' });
    await desk.requestVoid(orderId);

    await expect.poll(() => desk.story(orderId)).toBe('Authorized Voided');
    const [late, voided] = await desk.events(orderId);
    expect(late).toMatchObject({ data: { late: true, reference: `sandbox_${orderId}` } });
    expect(voided).toMatchObject({ data: { amount: { units: 25n } } });
    expect(await desk.atSandbox(orderId)).toMatchObject({ status: 'voided' });
  });

  test('a process that ends before it has noted the answer has it from the provider again', async () => {
    const losing = sandboxBut((sandbox) => ({
      async authorize(...words) {
        await sandbox.authorize(...words);
        throw new TransientError('the answer is lost');
      },
    }));
    await desk.start(losing);
    const orderId = await desk.request();
    await expect.poll(() => desk.atSandbox(orderId)).toMatchObject({ status: 'authorized' });
    await desk.start();

    await expect.poll(() => desk.story(orderId)).toBe('Authorized');
    const [authorized] = await desk.events(orderId);
    expect(authorized).toMatchObject({ data: { late: false } });
  });

  test('everything that comes a second time changes nothing, at the provider neither', async () => {
    service = await desk.start();
    const orderId = await captured();
    const voided = await desk.request();
    await expect.poll(() => desk.story(voided)).toBe('Authorized');
    await desk.requestVoid(voided);
    await expect.poll(() => desk.story(voided)).toBe('Authorized Voided');
    await refund({ orderId, amount: euros(1n) });
    await expect.poll(() => desk.story(orderId)).toBe('Authorized Captured RefundRequested Refunded');
    await desk.forget();
    service = await desk.start();
    const last = await captured();

    expect(last).toBeTruthy();
    await expect.poll(() => desk.pending()).toBe(0);
    expect(await desk.story(orderId)).toBe('Authorized Captured RefundRequested Refunded');
    expect(await desk.story(voided)).toBe('Authorized Voided');
    expect(await desk.atSandbox(orderId)).toMatchObject({ charges: 1, refunds: [{}] });
    expect(await desk.parked(orderId)).toEqual([]);
  });

  test('a provider that authorises what it was told to void is told again', async () => {
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    let voids = 0;
    const forgetful = sandboxBut((sandbox) => ({
      async authorize({ orderId }) {
        await answered;
        return { result: 'authorized', reference: `late_${orderId}` };
      },
      async void(...words) {
        voids++;
        return sandbox.void(...words);
      },
    }));
    await desk.start(forgetful);
    const orderId = await desk.request();
    await desk.requestVoid(orderId);
    await expect.poll(() => desk.story(orderId)).toBe('Voided');
    resolve();

    await expect.poll(() => voids).toBe(2);
    expect(await desk.story(orderId)).toBe('Voided');
  });
});

test('a provider that is away is waited for, and nothing is parked', async () => {
  let tries = 0;
  let isAway = true;
  await desk.start(
    sandboxBut((sandbox) => ({
      async authorize(...words) {
        tries++;
        if (isAway) throw new UnavailableError('the provider is away');
        return sandbox.authorize(...words);
      },
    })),
  );
  const orderId = await desk.request();
  await expect.poll(() => tries).toBeGreaterThan(2);
  isAway = false;

  await expect.poll(() => desk.story(orderId)).toBe('Authorized');
  expect(await desk.parked(orderId)).toEqual([]);
});

test('where a key for Stripe is set, payments go through Stripe, and its silence holds up no void', async () => {
  const front = await StripeFront.open(await startStripeMock());
  await desk.start({ stripeApiKey: front.key, stripeApiBase: front.url });
  const orderId = await captured();
  front.fail(/confirm$/, 'silent');
  const silent = await desk.request();
  await expect.poll(() => front.intentsOf(silent)).toMatchObject([{ status: 'requires_capture' }]);
  await desk.requestVoid(silent);

  await expect.poll(() => desk.story(silent)).toBe('Authorized Voided');
  expect(front.intentsOf(silent)).toMatchObject([{ status: 'canceled' }]);
  expect(front.intentsOf(orderId)).toMatchObject([{ captures: 1 }]);
  const [authorized] = await desk.events(orderId);
  expect(authorized).toMatchObject({ data: { provider: 'stripe', reference: front.intentsOf(orderId)[0]?.id } });
});
