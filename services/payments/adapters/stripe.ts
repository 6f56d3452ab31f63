import Stripe from 'stripe';
import { PermanentError, TransientError, UnavailableError } from '#kit/errors.ts';
import type { Money } from '../domain/money.ts';
import type {
  Authorization,
  AuthorizationRequest,
  Authorized,
  Captured,
  PaymentProvider,
  Refunded,
  Voided,
} from '../reactions/payment-provider.ts';
import { minorUnits } from './minor-units.ts';

type Intent = Stripe.PaymentIntent;

/** A silent Stripe is given up before the attempt that asked is. */
const AUTHORIZE_TIMEOUT_MS = 20_000;
const SETTLE_TIMEOUT_MS = 8_000;
const SEARCHED = 10;
const LISTED = 100;
const CONFLICT = 409;

/** Whether a change of an intent is still to be made. */
const isUnconfirmed = ({ status, last_payment_error }: Intent) =>
  status === 'requires_confirmation' || (status === 'requires_payment_method' && !last_payment_error);
const isUncaptured = ({ status }: Intent) => status === 'requires_capture';
const isUncanceled = ({ status }: Intent) => status !== 'canceled' && status !== 'succeeded';

/**
 * Payments by Stripe. An order has one payment intent, made under a key of the order; its own state sees to it that it
 * is authorised once, captured once, and not after it was cancelled (docs/decisions/0014).
 */
export class StripeProvider implements PaymentProvider {
  readonly name = 'stripe';
  readonly #stripe: Stripe;

  /** @param apiBase another address than Stripe's own: its protocol, host and port. */
  constructor({ apiKey, apiBase }: { apiKey: string; apiBase?: string | undefined }) {
    this.#stripe = new Stripe(apiKey, {
      // The reaction's own retries have backoff, and heed what the error says.
      maxNetworkRetries: 0,
      telemetry: false,
      ...(apiBase === undefined ? {} : addressIn(apiBase)),
    });
  }

  async authorize(request: AuthorizationRequest, signal: AbortSignal): Promise<Authorized> {
    const amount = minorUnits(request.amount);
    if (amount === undefined) return { result: 'declined', reason: 'amount_not_payable' };
    return asked(signal, async () => {
      try {
        const { id } = await this.#intentOf(request, amount, AUTHORIZE_TIMEOUT_MS);
        return await this.#confirmed(id, request);
      } catch (error) {
        const reason = declineIn(error);
        if (reason === undefined) throw error;
        return { result: 'declined', reason };
      }
    });
  }

  async capture(
    { orderId, amount, reference }: Authorization,
    attempt: number,
    signal: AbortSignal,
  ): Promise<Captured> {
    return asked(signal, async () => {
      try {
        const intent = await this.#moved(reference, `capture-${orderId}-${attempt}`, isUncaptured, (options) =>
          this.#stripe.paymentIntents.capture(
            reference,
            { amount_to_capture: minorUnits(amount) ?? 0 },
            { ...options, timeout: SETTLE_TIMEOUT_MS },
          ),
        );
        if (intent.status === 'succeeded') return { result: 'captured' };
        if (intent.status === 'canceled')
          return { result: 'refused', reason: intent.cancellation_reason ?? 'canceled' };
        throw new TransientError(`Stripe has not captured ${reference}, which is ${intent.status}`);
      } catch (error) {
        return refusalIn(error);
      }
    });
  }

  async void(what: Authorization | AuthorizationRequest, attempt: number, signal: AbortSignal): Promise<Voided> {
    return asked(signal, async () => {
      const ids = 'reference' in what ? [what.reference] : await this.#intentsOf(what);
      let released: { reference: string } | undefined;
      for (const id of ids) {
        const answer = await this.#canceled(id, attempt);
        if (answer.result === 'refused') return answer;
        released ??= answer.released;
      }
      return { result: 'voided', released };
    });
  }

  async refund(
    { orderId, reference }: Authorization,
    { refundId, amount }: { refundId: string; amount: Money },
    signal: AbortSignal,
  ): Promise<Refunded> {
    const minor = minorUnits(amount);
    if (minor === undefined) return { result: 'refused', reason: 'amount_not_payable' };
    return asked(signal, async () => {
      // Stripe forgets keys after a day, and its refunds never.
      const options = { timeout: SETTLE_TIMEOUT_MS };
      const { data } = await this.#stripe.refunds.list({ payment_intent: reference, limit: LISTED }, options);
      const before = data.find(({ metadata }) => metadata?.refund_id === refundId);
      if (before !== undefined) return refundIn(before);
      try {
        const metadata = { order_id: orderId, refund_id: refundId };
        const made = await this.#stripe.refunds.create(
          { payment_intent: reference, amount: minor, metadata },
          { ...options, idempotencyKey: `refund-${refundId}` },
        );
        return refundIn(made);
      } catch (error) {
        return refusalIn(error);
      }
    });
  }

  /** The order's intent; no money moves by making one. The parameters of a key are always the same. */
  async #intentOf({ orderId, amount }: AuthorizationRequest, minor: number, timeout: number): Promise<Intent> {
    return this.#stripe.paymentIntents.create(
      {
        amount: minor,
        currency: amount.currencyCode.toLowerCase(),
        capture_method: 'manual',
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        metadata: { order_id: orderId },
      },
      { idempotencyKey: `create-${orderId}`, timeout },
    );
  }

  async #confirmed(id: string, { orderId, paymentMethod }: AuthorizationRequest): Promise<Authorized> {
    const intent = await this.#moved(id, `confirm-${orderId}`, isUnconfirmed, (options) =>
      this.#stripe.paymentIntents.confirm(
        id,
        // Nobody is there whom a bank could ask.
        { payment_method: paymentMethod, off_session: true, error_on_requires_action: true },
        { ...options, timeout: AUTHORIZE_TIMEOUT_MS },
      ),
    );
    const latest = intent.status === 'processing' ? await this.#retrieved(id) : intent;
    switch (latest.status) {
      case 'requires_capture':
      case 'succeeded':
        return { result: 'authorized', reference: id };
      case 'canceled':
        return { result: 'voided' };
      case 'requires_action':
        return { result: 'declined', reason: 'authentication_required' };
      case 'requires_payment_method':
        if (latest.last_payment_error) return { result: 'declined', reason: wordOf(latest.last_payment_error) };
    }
    throw new TransientError(`Stripe has not decided on ${id}, which is ${latest.status}`);
  }

  /** Every intent of an order: the one of its key, made now where there is none, and those that Stripe has forgotten the key of. */
  async #intentsOf(request: AuthorizationRequest): Promise<string[]> {
    const amount = minorUnits(request.amount);
    if (amount === undefined) return [];
    const { orderId } = request;
    const query = `metadata['order_id']:'${orderId}'`;
    const found = await this.#stripe.paymentIntents.search({ query, limit: SEARCHED }, { timeout: SETTLE_TIMEOUT_MS });
    const older = found.data.filter(({ metadata }) => metadata.order_id === orderId).map(({ id }) => id);
    try {
      const { id } = await this.#intentOf(request, amount, SETTLE_TIMEOUT_MS);
      return [...new Set([id, ...older])];
    } catch (error) {
      // Such an amount was never taken by Stripe, and never is.
      if (declineIn(error) === undefined) throw error;
      return older;
    }
  }

  async #canceled(id: string, attempt: number): Promise<Voided> {
    try {
      const expand = ['latest_charge'];
      const intent = await this.#moved(id, `void-${id}-${attempt}`, isUncanceled, (options) =>
        this.#stripe.paymentIntents.cancel(id, { expand }, { ...options, timeout: SETTLE_TIMEOUT_MS }),
      );
      if (intent.status === 'succeeded') return { result: 'refused', reason: 'captured' };
      if (intent.status !== 'canceled') throw new TransientError(`Stripe has not cancelled ${id}: ${intent.status}`);
      const charge = intent.latest_charge;
      const wasAuthorized = charge !== null && typeof charge === 'object' && charge.status === 'succeeded';
      return { result: 'voided', released: wasAuthorized ? { reference: id } : undefined };
    } catch (error) {
      return refusalIn(error);
    }
  }

  /**
   * A change of an intent, asked for under a key. Where that fails the intent itself says what became of it; Stripe would
   * answer the key with the same failure for a day, so what is still to be made is asked for under a new one, which the
   * SDK makes up. The intent's state keeps that from counting twice.
   */
  async #moved(
    id: string,
    idempotencyKey: string,
    isOpen: (intent: Intent) => boolean,
    change: (options: Stripe.RequestOptions) => Promise<Intent>,
  ): Promise<Intent> {
    try {
      return await change({ idempotencyKey });
    } catch (error) {
      if (isWrongState(error)) return this.#retrieved(id);
      if (!isFailure(error)) throw error;
      const intent = await this.#retrieved(id);
      return isOpen(intent) ? change({}) : intent;
    }
  }

  async #retrieved(id: string): Promise<Intent> {
    const expand = ['latest_charge'];
    return this.#stripe.paymentIntents.retrieve(id, { expand }, { timeout: SETTLE_TIMEOUT_MS });
  }
}

function addressIn(apiBase: string): Pick<Stripe.StripeConfig, 'host' | 'port' | 'protocol'> {
  const { protocol, hostname, port } = new URL(apiBase);
  const isSecure = protocol === 'https:';
  return { protocol: isSecure ? 'https' : 'http', host: hostname, port: port || (isSecure ? '443' : '80') };
}

/** What is asked of Stripe, until the signal aborts: the SDK knows no signals, and ends by its own time limit. */
async function asked<Answer>(signal: AbortSignal, ask: () => Promise<Answer>): Promise<Answer> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([ask(), aborted]);
  } catch (error) {
    throw translated(error);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** An error of the SDK as consumers know errors. What Stripe says of a payment method is not kept: logs show it. */
function translated(error: unknown): unknown {
  if (!(error instanceof Stripe.errors.StripeError)) return error;
  const words = `${error.type} ${error.code ?? ''} (status ${error.statusCode}, request ${error.requestId})`;
  if (error instanceof Stripe.errors.StripeConnectionError) {
    return isTimeout(error)
      ? new TransientError('Stripe did not answer in time')
      : new UnavailableError('Stripe is away');
  }
  if (
    error instanceof Stripe.errors.StripeAuthenticationError ||
    error instanceof Stripe.errors.StripePermissionError
  ) {
    return new UnavailableError(`Stripe does not accept STRIPE_API_KEY: ${words}`);
  }
  if (error instanceof Stripe.errors.StripeRateLimitError || error instanceof Stripe.errors.StripeAPIError) {
    return new TransientError(`Stripe failed: ${words}`);
  }
  return new PermanentError(`Stripe does not understand what was asked: ${words}`);
}

function isTimeout({ detail }: Stripe.errors.StripeConnectionError): boolean {
  return typeof detail === 'object' && detail !== null && 'code' in detail && detail.code === 'ETIMEDOUT';
}

/** An answer that says nothing of what became of the request. Under a key that is at work it has not begun. */
function isFailure(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeAPIError && error.statusCode !== CONFLICT;
}

function isWrongState(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeInvalidRequestError && error.code === 'payment_intent_unexpected_state';
}

/** Why the customer's payment is not taken, where that is what an error says. */
function declineIn(error: unknown): string | undefined {
  if (error instanceof Stripe.errors.StripeCardError) return wordOf(error);
  const isOfCustomer =
    error instanceof Stripe.errors.StripeInvalidRequestError &&
    (error.param === 'payment_method' || error.param === 'amount' || error.param === 'currency');
  return isOfCustomer ? wordOf(error) : undefined;
}

/** @throws the error where it is no refusal. */
function refusalIn(error: unknown): { result: 'refused'; reason: string } {
  const isRefusal =
    error instanceof Stripe.errors.StripeCardError ||
    (error instanceof Stripe.errors.StripeInvalidRequestError && error.code !== undefined);
  if (!isRefusal) throw error;
  return { result: 'refused', reason: wordOf(error) };
}

function wordOf({ decline_code, code }: { decline_code?: string | undefined; code?: string | undefined }): string {
  return decline_code ?? code ?? 'refused';
}

/** Stripe takes a refund on, and pays it out later. */
function refundIn({ status, failure_reason }: Stripe.Refund): Refunded {
  return status === 'failed' || status === 'canceled'
    ? { result: 'refused', reason: failure_reason ?? status }
    : { result: 'refunded' };
}
