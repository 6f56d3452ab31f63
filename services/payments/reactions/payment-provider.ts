import type { Money } from '../domain/money.ts';

/** What is asked to be authorised: once per order, whatever it is asked how often. */
export type AuthorizationRequest = {
  orderId: string;
  customerId: string;
  amount: Money;
  /** As the provider names it; never a card's number. */
  paymentMethod: string;
};

/** What the provider holds for an order. */
export type Authorization = {
  orderId: string;
  amount: Money;
  /** The provider's own name for it. */
  reference: string;
};

export type Authorized =
  | { result: 'authorized'; reference: string }
  /** @param reason the provider's word. */
  | { result: 'declined'; reason: string }
  /** It was voided before, and nothing is authorised any more. */
  | { result: 'voided' };

/** @param reason the provider's word. */
type Refused = { result: 'refused'; reason: string };

export type Captured = { result: 'captured' } | Refused;

export type Voided =
  /** @param released what had been authorised, and is not any more; undefined: nothing had been. */
  { result: 'voided'; released: { reference: string } | undefined } | Refused;

export type Refunded = { result: 'refunded' } | Refused;

/**
 * Who takes the money. What it says is data; each of its answers may be lost, so that everything may be asked again: the
 * same request has the same answer and no second effect, at least for a day (docs/decisions/0014).
 *
 * All throw TransientError where the provider answers with a failure or too late, UnavailableError where it is away, and
 * PermanentError for what it will never understand. They end when the signal aborts.
 */
export type PaymentProvider = {
  /** As events and people call it. */
  readonly name: string;

  /** Has the provider hold the amount. Nothing is charged yet. At most once for an order. */
  authorize(request: AuthorizationRequest, signal: AbortSignal): Promise<Authorized>;

  /**
   * Takes the whole amount that is held. At most once for an order.
   * @param attempt the provider's refusals so far: an attempt after a refusal is a new request.
   */
  capture(authorization: Authorization, attempt: number, signal: AbortSignal): Promise<Captured>;

  /**
   * Releases what is held for an order, and sees to it that nothing is authorised for it afterwards.
   * @param what a request, where it is not known what became of it.
   * @param attempt as for capture.
   */
  void(what: Authorization | AuthorizationRequest, attempt: number, signal: AbortSignal): Promise<Voided>;

  /** Gives back some of what was captured. Once for each refund id. */
  refund(
    authorization: Authorization,
    refund: { refundId: string; amount: Money },
    signal: AbortSignal,
  ): Promise<Refunded>;
};
