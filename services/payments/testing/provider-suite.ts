import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Authorization, AuthorizationRequest, PaymentProvider, Voided } from '../reactions/payment-provider.ts';

/** What has become of an order's money at the provider. */
type Account = { isHeld: boolean; charges: number; refunds: number };

/** A provider under test. */
export type TestedProvider = {
  provider: PaymentProvider;
  /** Another process that asks the same provider. */
  restarted(): PaymentProvider;
  account(orderId: string): Promise<Account>;
};

const euros = (units: bigint) => ({ currencyCode: 'EUR', units, nanos: 500_000_000 });

/** The provider's answer does not come, or what it would be is not waited for. */
const never = new AbortController().signal;

function aRequest(paymentMethod = 'pm_ok'): AuthorizationRequest {
  return { orderId: randomUUID(), customerId: 'alice', amount: euros(25n), paymentMethod };
}

/** What every adapter of a provider keeps to. Payment methods are called as in the sandbox. */
export function describeProvider(name: string, open: () => TestedProvider): void {
  async function held(paymentMethod = 'pm_ok'): Promise<Authorization> {
    const request = aRequest(paymentMethod);
    const answer = await open().provider.authorize(request, never);
    if (answer.result !== 'authorized') throw new Error(`the provider has ${answer.result}`);
    return { ...request, reference: answer.reference };
  }

  const account = (orderId: string) => open().account(orderId);

  describe(`${name}: an authorisation`, () => {
    test('holds the amount, and charges nothing', async () => {
      const { orderId, reference } = await held();

      expect(reference).not.toBe('');
      expect(await account(orderId)).toEqual({ isHeld: true, charges: 0, refunds: 0 });
    });

    test('that is asked for again has the same answer, also after a restart', async () => {
      const request = aRequest();
      const first = await open().provider.authorize(request, never);

      expect(await open().provider.authorize(request, never)).toEqual(first);
      expect(await open().restarted().authorize(request, never)).toEqual(first);
    });

    test('of different orders are different ones', async () => {
      const [one, other] = [await held(), await held()];

      expect(one.reference).not.toBe(other.reference);
    });

    test.each([
      ['pm_declined', 'card_declined'],
      ['pm_insufficient_funds', 'insufficient_funds'],
    ])('with %s is declined in the provider’s word, every time', async (paymentMethod, reason) => {
      const request = aRequest(paymentMethod);

      expect(await open().provider.authorize(request, never)).toEqual({ result: 'declined', reason });
      expect(await open().restarted().authorize(request, never)).toEqual({ result: 'declined', reason });
      expect(await account(request.orderId)).toMatchObject({ isHeld: false });
    });

    test('with a method that is unknown is declined', async () => {
      expect(await open().provider.authorize(aRequest('pm_unheard_of'), never)).toMatchObject({ result: 'declined' });
    });

    test('that is given up and tried again is the same one', async () => {
      const request = aRequest('pm_slow');
      const impatient = AbortSignal.timeout(50);

      await expect(open().provider.authorize(request, impatient)).rejects.toMatchObject({ name: 'TimeoutError' });
      await expect
        .poll(() => open().restarted().authorize(request, never).catch(String))
        .toMatchObject({ result: 'authorized' });
      expect(await account(request.orderId)).toMatchObject({ isHeld: true });
    });
  });

  describe(`${name}: a capture`, () => {
    test('takes the money once, asked for again and by many at once', async () => {
      const authorization = await held();
      const { provider, restarted } = open();

      expect(await provider.capture(authorization, 0, never)).toEqual({ result: 'captured' });
      const again = await Promise.all([provider, restarted()].map((each) => each.capture(authorization, 0, never)));

      expect(again).toEqual([{ result: 'captured' }, { result: 'captured' }]);
      expect(await account(authorization.orderId)).toEqual({ isHeld: false, charges: 1, refunds: 0 });
    });

    test('that was done already is done for an attempt of another number too', async () => {
      const authorization = await held();
      await open().provider.capture(authorization, 0, never);

      expect(await open().provider.capture(authorization, 1, never)).toEqual({ result: 'captured' });
      expect(await account(authorization.orderId)).toMatchObject({ charges: 1 });
    });

    test('that was refused is refused again, and another attempt may work', async () => {
      const authorization = await held('pm_capture_refused');
      const refused = { result: 'refused', reason: 'capture_refused' };

      expect(await open().provider.capture(authorization, 0, never)).toEqual(refused);
      expect(await open().restarted().capture(authorization, 0, never)).toEqual(refused);
      expect(await open().provider.capture(authorization, 1, never)).toEqual({ result: 'captured' });
    });

    test('after a void is refused', async () => {
      const authorization = await held();
      await open().provider.void(authorization, 0, never);

      expect(await open().provider.capture(authorization, 0, never)).toMatchObject({ result: 'refused' });
      expect(await account(authorization.orderId)).toEqual({ isHeld: false, charges: 0, refunds: 0 });
    });
  });

  describe(`${name}: a void`, () => {
    test('releases what is held, and says so every time', async () => {
      const authorization = await held();
      const released = { result: 'voided', released: { reference: authorization.reference } };

      expect(await open().provider.void(authorization, 0, never)).toEqual(released);
      expect(await open().restarted().void(authorization, 0, never)).toEqual(released);
      expect(await account(authorization.orderId)).toMatchObject({ isHeld: false });
    });

    test('finds what is held by the request alone', async () => {
      const request = aRequest();
      const answer = await open().provider.authorize(request, never);
      const reference = answer.result === 'authorized' ? answer.reference : '';
      const released = { result: 'voided', released: { reference } };

      expect(await open().restarted().void(request, 0, never)).toEqual(released);
      expect(await open().restarted().void(request, 0, never)).toEqual(released);
      expect(await account(request.orderId)).toMatchObject({ isHeld: false });
    });

    test('before the authorisation releases nothing, and nothing is authorised afterwards', async () => {
      const request = aRequest();

      expect(await open().provider.void(request, 0, never)).toEqual({ result: 'voided', released: undefined });
      expect(await open().provider.authorize(request, never)).toEqual({ result: 'voided' });
      expect(await open().restarted().void(request, 0, never)).toEqual({ result: 'voided', released: undefined });
      expect(await account(request.orderId)).toMatchObject({ isHeld: false });
    });

    test('of what was declined releases nothing', async () => {
      const request = aRequest('pm_declined');
      await open().provider.authorize(request, never);

      expect(await open().provider.void(request, 0, never)).toEqual({ result: 'voided', released: undefined });
    });

    test('while the authorisation is under way leaves nothing held, whoever is first', async () => {
      const request = aRequest('pm_slow');
      const { provider } = open();
      const authorizing = provider.authorize(request, never).catch(() => undefined);
      const voided = await settled(() => provider.void(request, 0, never));
      const answer = await authorizing;

      expect(voided.result).toBe('voided');
      expect(await account(request.orderId)).toMatchObject({ isHeld: false, charges: 0 });
      if (answer?.result === 'authorized') expect(voided).toMatchObject({ released: { reference: answer.reference } });
    });

    test('of what was captured is refused', async () => {
      const authorization = await held();
      await open().provider.capture(authorization, 0, never);

      expect(await open().provider.void(authorization, 0, never)).toEqual({ result: 'refused', reason: 'captured' });
      expect(await account(authorization.orderId)).toMatchObject({ charges: 1 });
    });

    test('that was refused is refused again, and another attempt may work', async () => {
      const authorization = await held('pm_void_refused');
      const refused = { result: 'refused', reason: 'void_refused' };

      expect(await open().provider.void(authorization, 0, never)).toEqual(refused);
      expect(await open().restarted().void(authorization, 0, never)).toEqual(refused);
      expect(await open().provider.void(authorization, 1, never)).toMatchObject({ result: 'voided' });
    });
  });

  describe(`${name}: a refund`, () => {
    test('is made once for each id', async () => {
      const authorization = await held();
      const { provider, restarted } = open();
      await provider.capture(authorization, 0, never);
      const refund = { refundId: randomUUID(), amount: euros(10n) };

      expect(await provider.refund(authorization, refund, never)).toEqual({ result: 'refunded' });
      expect(await restarted().refund(authorization, refund, never)).toEqual({ result: 'refunded' });
      expect(await account(authorization.orderId)).toMatchObject({ refunds: 1 });
    });

    test('of more than what is left is refused', async () => {
      const authorization = await held();
      await open().provider.capture(authorization, 0, never);
      const refund = (units: bigint) =>
        open().provider.refund(authorization, { refundId: randomUUID(), amount: euros(units) }, never);

      expect(await refund(20n)).toEqual({ result: 'refunded' });
      expect(await refund(5n)).toMatchObject({ result: 'refused' });
      expect(await account(authorization.orderId)).toMatchObject({ refunds: 1 });
    });

    test('of what was not captured is refused', async () => {
      const authorization = await held();
      const refund = { refundId: randomUUID(), amount: euros(1n) };

      expect(await open().provider.refund(authorization, refund, never)).toMatchObject({ result: 'refused' });
    });
  });
}

/** The answer once there is one: what is at work may have to be asked for again. */
async function settled(ask: () => Promise<Voided>): Promise<Voided> {
  let answer: Voided | undefined;
  await expect
    .poll(async () => {
      answer = await ask().catch(() => undefined);
      return answer;
    })
    .toBeDefined();
  return answer as Voided;
}
