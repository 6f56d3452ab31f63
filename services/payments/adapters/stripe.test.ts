import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PermanentError, TransientError, UnavailableError } from '#kit/errors.ts';
import type { Authorization, AuthorizationRequest } from '../reactions/payment-provider.ts';
import { describeProvider } from '../testing/provider-suite.ts';
import { StripeFront } from '../testing/stripe-front.ts';
import { startStripeMock } from '../testing/stripe-mock.ts';
import { StripeProvider } from './stripe.ts';

let front: StripeFront;

beforeAll(async () => {
  front = await StripeFront.open(await startStripeMock());
});

const stripe = () => new StripeProvider({ apiKey: front.key, apiBase: front.url });

describeProvider('Stripe', () => ({
  provider: stripe(),
  restarted: stripe,
  account: async (orderId) => {
    const intents = front.intentsOf(orderId);
    return {
      isHeld: intents.some(({ status }) => status === 'requires_capture'),
      charges: intents.reduce((sum, { captures }) => sum + captures, 0),
      refunds: front.refunds.filter(({ payment_intent }) => intents.some(({ id }) => id === payment_intent)).length,
    };
  },
}));

const never = new AbortController().signal;
const failure = { status: 500, error: { type: 'api_error' } } as const;

function aRequest(fields: Partial<AuthorizationRequest> = {}): AuthorizationRequest {
  const amount = { currencyCode: 'EUR', units: 25n, nanos: 500_000_000 };
  return { orderId: randomUUID(), customerId: 'alice', amount, paymentMethod: 'pm_ok', ...fields };
}

async function held(fields: Partial<AuthorizationRequest> = {}): Promise<Authorization> {
  const request = aRequest(fields);
  const answer = await stripe().authorize(request, never);
  if (answer.result !== 'authorized') throw new Error(`Stripe has ${answer.result}`);
  front.requests.length = 0;
  return { ...request, reference: answer.reference };
}

beforeEach(() => {
  front.requests.length = 0;
});

describe('what Stripe is asked', () => {
  test('an authorisation makes an intent under the order’s key, and confirms it under another', async () => {
    const request = aRequest();
    await stripe().authorize(request, never);

    const { orderId } = request;
    expect(front.requests).toEqual([
      {
        what: 'POST /v1/payment_intents',
        idempotencyKey: `create-${orderId}`,
        parameters: {
          amount: '2550',
          currency: 'eur',
          capture_method: 'manual',
          'automatic_payment_methods[enabled]': 'true',
          'automatic_payment_methods[allow_redirects]': 'never',
          'metadata[order_id]': orderId,
        },
      },
      {
        what: expect.stringMatching(/^POST .*\/pi_\d+\/confirm$/),
        idempotencyKey: `confirm-${orderId}`,
        parameters: { payment_method: 'pm_ok', off_session: 'true', error_on_requires_action: 'true' },
      },
    ]);
  });

  test('a capture takes the whole amount, each attempt under a key of its own', async () => {
    const authorization = await held({ paymentMethod: 'pm_capture_refused' });
    await stripe().capture(authorization, 0, never);
    await stripe().capture(authorization, 1, never);

    const what = `POST /v1/payment_intents/${authorization.reference}/capture`;
    const parameters = { amount_to_capture: '2550' };
    expect(front.requests).toEqual([
      { what, parameters, idempotencyKey: `capture-${authorization.orderId}-0` },
      { what, parameters, idempotencyKey: `capture-${authorization.orderId}-1` },
    ]);
  });

  test('a refund is looked for before it is made, because Stripe forgets keys after a day', async () => {
    const authorization = await held();
    await stripe().capture(authorization, 0, never);
    const refund = { refundId: randomUUID(), amount: { currencyCode: 'EUR', units: 1n, nanos: 0 } };
    await stripe().refund(authorization, refund, never);
    front.forgetKeys();
    await stripe().refund(authorization, refund, never);

    const made = front.requests.filter(({ what }) => what === 'POST /v1/refunds');
    expect(made).toMatchObject([
      {
        idempotencyKey: `refund-${refund.refundId}`,
        parameters: { payment_intent: authorization.reference, amount: '100', 'metadata[refund_id]': refund.refundId },
      },
    ]);
  });

  test('a void by the request alone finds an intent of which Stripe has forgotten the key', async () => {
    const request = aRequest();
    await stripe().authorize(request, never);
    front.forgetKeys();

    expect(await stripe().void(request, 0, never)).toMatchObject({ result: 'voided', released: {} });
    expect(front.intentsOf(request.orderId).map(({ status }) => status)).toEqual(['canceled', 'canceled']);
  });

  test.each([
    ['1.000000001 EUR', { currencyCode: 'EUR', units: 1n, nanos: 1 }],
    ['1.005 EUR', { currencyCode: 'EUR', units: 1n, nanos: 5_000_000 }],
    ['1.5 JPY', { currencyCode: 'JPY', units: 1n, nanos: 500_000_000 }],
    ['10 million EUR', { currencyCode: 'EUR', units: 10_000_000n, nanos: 0 }],
  ])('an amount that it can not count is declined unasked: %s', async (_, amount) => {
    expect(await stripe().authorize(aRequest({ amount }), never)).toEqual({
      result: 'declined',
      reason: 'amount_not_payable',
    });
    expect(await stripe().void(aRequest({ amount }), 0, never)).toEqual({ result: 'voided', released: undefined });
    expect(front.requests.filter(({ what }) => what.startsWith('POST'))).toEqual([]);
  });
});

describe('what goes wrong with Stripe', () => {
  const kinds = { TransientError, UnavailableError, PermanentError };
  test.each([
    ['a refused connection', 'UnavailableError', 'away'],
    ['a rate limit', 'TransientError', { status: 429, error: { type: 'invalid_request_error' } }],
    ['a failure', 'TransientError', failure],
    ['a key that is at work', 'TransientError', { status: 409, error: { type: 'idempotency_error' } }],
    ['a key that was used otherwise', 'PermanentError', { status: 400, error: { type: 'idempotency_error' } }],
    ['a request it does not understand', 'PermanentError', { status: 400, error: { type: 'invalid_request_error' } }],
    ['no permission', 'UnavailableError', { status: 403, error: { type: 'invalid_request_error' } }],
  ] as const)('%s is a %s', async (_, kind, fault) => {
    if (fault !== 'away') front.fail(/payment_intents$/, { ...fault, when: 'before' });
    const apiBase = fault === 'away' ? 'http://127.0.0.1:1' : front.url;
    const provider = new StripeProvider({ apiKey: front.key, apiBase });

    await expect(provider.authorize(aRequest(), never)).rejects.toBeInstanceOf(kinds[kind]);
  });

  test('a key that it does not accept is an outage, which names the setting and not the key', async () => {
    const provider = new StripeProvider({ apiKey: 'sk_test_wrong', apiBase: front.url });
    const error = await provider.authorize(aRequest(), never).catch((thrown) => thrown);

    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.message).toContain('STRIPE_API_KEY');
    expect(JSON.stringify([error, error.message, error.cause])).not.toContain('sk_test_wrong');
  });

  test('it is asked once: the reaction is who tries again', async () => {
    front.fail(/payment_intents$/, { ...failure, when: 'before' });
    await expect(stripe().authorize(aRequest(), never)).rejects.toBeInstanceOf(TransientError);

    expect(front.requests).toHaveLength(1);
  });

  test.each([
    ['pm_ok', { result: 'authorized' }],
    ['pm_declined', { result: 'declined', reason: 'card_declined' }],
  ])(
    'a failure after %s was confirmed is not taken for the answer: the intent says it',
    async (paymentMethod, answer) => {
      const request = aRequest({ paymentMethod });
      front.fail(/confirm$/, { ...failure, when: 'after' });

      expect(await stripe().authorize(request, never)).toMatchObject(answer);
      expect(front.requests.filter(({ what }) => what.endsWith('confirm'))).toHaveLength(1);
    },
  );

  test('a failure before anything was confirmed is kept with the key: it is asked for again under a new one', async () => {
    const request = aRequest();
    front.fail(/confirm$/, { ...failure, when: 'before' });

    expect(await stripe().authorize(request, never)).toMatchObject({ result: 'authorized' });
    const confirmed = front.requests.filter(({ what }) => what.endsWith('confirm'));
    expect(confirmed.map(({ idempotencyKey }) => idempotencyKey)).toEqual([
      `confirm-${request.orderId}`,
      expect.not.stringContaining(request.orderId),
    ]);
  });

  test('a confirmation that is still at work is waited for, and no second one is sent after it', async () => {
    front.fail(/confirm$/, { status: 409, error: { type: 'idempotency_error' }, when: 'before' });

    await expect(stripe().authorize(aRequest(), never)).rejects.toBeInstanceOf(TransientError);
    expect(front.requests.filter(({ what }) => what.endsWith('confirm'))).toHaveLength(1);
  });

  test.each(['before', 'after'] as const)('a failure %s a capture neither loses nor doubles it', async (when) => {
    const authorization = await held();
    front.fail(/capture$/, { ...failure, when });

    expect(await stripe().capture(authorization, 0, never)).toEqual({ result: 'captured' });
    expect(front.intents.get(authorization.reference)).toMatchObject({ captures: 1 });
  });

  test.each(['before', 'after'] as const)('a failure %s a void leaves nothing held', async (when) => {
    const authorization = await held();
    front.fail(/cancel$/, { ...failure, when });

    expect(await stripe().void(authorization, 0, never)).toMatchObject({ result: 'voided', released: {} });
    expect(front.intents.get(authorization.reference)).toMatchObject({ status: 'canceled' });
  });

  test.each(['cut-before', 'cut-after'] as const)('a connection that is %s has no second effect', async (fault) => {
    const request = aRequest();
    front.fail(/payment_intents$/, fault);
    front.fail(/confirm$/, fault);
    front.fail(/capture$/, fault);
    const asked = async <Answer>(ask: () => Promise<Answer>) => ask().catch(() => ask());

    const answer = await asked(() => asked(() => stripe().authorize(request, never)));
    expect(answer).toMatchObject({ result: 'authorized' });
    const reference = answer.result === 'authorized' ? answer.reference : '';
    expect(await asked(() => stripe().capture({ ...request, reference }, 0, never))).toEqual({ result: 'captured' });
    expect(front.intentsOf(request.orderId)).toMatchObject([{ captures: 1 }]);
  });

  test('an answer that does not come is not waited for longer than the attempt lasts', async () => {
    const request = aRequest();
    front.fail(/confirm$/, 'silent');

    const impatient = AbortSignal.timeout(200);
    await expect(stripe().authorize(request, impatient)).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(await stripe().authorize(request, never)).toMatchObject({ result: 'authorized' });
    expect(front.intentsOf(request.orderId)).toHaveLength(1);
  });
});
