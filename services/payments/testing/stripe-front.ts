import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { atTheEnd } from '#kit/testing/servers.ts';
import type { StripeMock } from './stripe-mock.ts';

/** A request as Stripe gets it. */
export type StripeRequest = {
  /** `POST /v1/payment_intents`. */
  what: string;
  parameters: Record<string, string>;
  idempotencyKey: string | undefined;
};

/** What goes wrong with a request. */
export type Fault =
  /** The connection ends, before Stripe has heard of it or after it has done what was asked. */
  | 'cut-before'
  | 'cut-after'
  /** It is done, and no answer comes. */
  | 'silent'
  /** Stripe answers so, before it has done anything or after; what it answers it keeps with the key. */
  | { status: number; error: object; when: 'before' | 'after' };

type Intent = {
  id: string;
  status: string;
  amount: number;
  currency: string;
  metadata: Record<string, string>;
  paymentMethod: string;
  charge: 'none' | 'failed' | 'succeeded';
  lastError: object | null;
  captures: number;
  captureAttempts: number;
};

type Refund = { id: string; payment_intent: string; amount: number; metadata: Record<string, string> };

type Answer = { status: number; body: object };

/** How long Stripe takes over `pm_slow`. */
const SLOW_MS = 300;

/**
 * Stands in front of stripe-mock, which checks that each request is one of Stripe's API and gives the answer's form, but
 * keeps nothing: what an intent's state allows, and what a key was answered before, is told here as Stripe's reference
 * describes it (docs.stripe.com/api/idempotent_requests, /payments/paymentintents/lifecycle).
 */
export class StripeFront {
  readonly key = 'sk_test_123';
  readonly requests: StripeRequest[] = [];
  readonly intents = new Map<string, Intent>();
  readonly refunds: Refund[] = [];
  url = '';
  readonly #mock: StripeMock;
  readonly #answered = new Map<string, { signature: string; answer: Promise<Answer> | Answer }>();
  readonly #faults: { what: RegExp; fault: Fault }[] = [];
  #ids = 0;

  private constructor(mock: StripeMock) {
    this.#mock = mock;
  }

  /** Closed when the test, or its file, ends. */
  static async open(mock: StripeMock): Promise<StripeFront> {
    const front = new StripeFront(mock);
    const server = createServer((incoming, outgoing) => void front.#serve(incoming, outgoing));
    atTheEnd(async () => {
      server.closeAllConnections();
      server.close();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    front.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return front;
  }

  /** What goes wrong with the next request like this. */
  fail(what: RegExp, fault: Fault): void {
    this.#faults.push({ what, fault });
  }

  /** As Stripe does after a day. */
  forgetKeys(): void {
    this.#answered.clear();
  }

  intentsOf(orderId: string): Intent[] {
    return [...this.intents.values()].filter(({ metadata }) => metadata.order_id === orderId);
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of incoming) body += chunk;
    const url = new URL(incoming.url ?? '', 'http://stripe');
    const asked: StripeRequest = {
      what: `${incoming.method} ${url.pathname}`,
      parameters: Object.fromEntries(new URLSearchParams(incoming.method === 'GET' ? url.search : body)),
      idempotencyKey: incoming.headers['idempotency-key'] as string | undefined,
    };
    this.requests.push(asked);
    const index = this.#faults.findIndex(({ what }) => what.test(asked.what));
    const fault = index < 0 ? undefined : this.#faults.splice(index, 1)[0]?.fault;
    if (fault === 'cut-before') return void incoming.socket.destroy();
    if (incoming.headers.authorization !== `Bearer ${this.key}`) {
      return reply(outgoing, refused(401, { type: 'invalid_request_error', message: 'Invalid API Key provided' }));
    }
    const answer = await this.#once(asked, () => this.#answer(incoming, asked, body, fault));
    if (fault === 'cut-after') return void incoming.socket.destroy();
    if (fault === 'silent') return;
    reply(outgoing, answer);
  }

  /** The same key has the same answer, whatever that was; but not while its first request is at work. */
  async #once(asked: StripeRequest, carryOut: () => Promise<Answer>): Promise<Answer> {
    const { idempotencyKey: key, what, parameters } = asked;
    if (key === undefined) return carryOut();
    const signature = JSON.stringify([what, parameters]);
    const before = this.#answered.get(key);
    if (before === undefined) {
      const answer = carryOut();
      this.#answered.set(key, { signature, answer });
      this.#answered.set(key, { signature, answer: await answer });
      return answer;
    }
    if (before.signature !== signature) {
      return refused(400, { type: 'idempotency_error', message: 'the key was used with other parameters' });
    }
    if (before.answer instanceof Promise) {
      return refused(409, { type: 'idempotency_error', code: 'idempotency_key_in_use', message: 'at work' });
    }
    return before.answer;
  }

  async #answer(
    incoming: IncomingMessage,
    asked: StripeRequest,
    body: string,
    fault: Fault | undefined,
  ): Promise<Answer> {
    const failure = typeof fault === 'object' ? refused(fault.status, fault.error) : undefined;
    if (typeof fault === 'object' && fault.when === 'before' && failure !== undefined) return failure;
    const form = await this.#ask(incoming, body);
    if (form.status !== 200) return form;
    const answer = await this.#state(asked, form);
    return failure ?? answer;
  }

  /** What stripe-mock says. */
  #ask({ method, url, headers }: IncomingMessage, body: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#mock.socketPath, method, path: url, headers }, async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
      });
      asked.once('error', reject);
      asked.end(body);
    });
  }

  async #state({ what, parameters }: StripeRequest, form: Answer): Promise<Answer> {
    const [, id = '', act = ''] = /^\w+ \/v1\/payment_intents\/?([^/]*)\/?([^/]*)$/.exec(what) ?? [];
    if (what === 'POST /v1/payment_intents') return this.#shown(this.#created(parameters), form, parameters);
    if (what === 'GET /v1/payment_intents/search') {
      const [, orderId = ''] = /:'(.*)'/.exec(parameters.query ?? '') ?? [];
      const data = this.intentsOf(orderId).map((intent) => this.#shown(intent, form, parameters).body);
      return { status: 200, body: { ...form.body, data, has_more: false } };
    }
    if (what === 'POST /v1/refunds') return this.#refunded(parameters, form);
    if (what === 'GET /v1/refunds') {
      const data = this.refunds.filter(({ payment_intent }) => payment_intent === parameters.payment_intent);
      return { status: 200, body: { ...form.body, data: data.map((refund) => shownRefund(refund)), has_more: false } };
    }
    const intent = this.intents.get(id);
    if (intent === undefined) return refused(404, { type: 'invalid_request_error', code: 'resource_missing' });
    const failure = await this.#moved(intent, act, parameters);
    return failure ?? this.#shown(intent, form, parameters);
  }

  #created(parameters: StripeRequest['parameters']): Intent {
    const intent: Intent = {
      id: `pi_${++this.#ids}`,
      status: 'requires_payment_method',
      amount: Number(parameters.amount),
      currency: parameters.currency ?? '',
      metadata: { order_id: parameters['metadata[order_id]'] ?? '' },
      paymentMethod: '',
      charge: 'none',
      lastError: null,
      captures: 0,
      captureAttempts: 0,
    };
    this.intents.set(intent.id, intent);
    return intent;
  }

  async #moved(intent: Intent, act: string, parameters: StripeRequest['parameters']): Promise<Answer | undefined> {
    if (act === 'confirm') return this.#confirmed(intent, parameters.payment_method ?? '');
    if (act === 'capture') return this.#captured(intent);
    if (act === 'cancel') {
      if (intent.status === 'succeeded' || intent.status === 'canceled') return wrongState(intent);
      if (intent.paymentMethod === 'pm_void_refused' && intent.captureAttempts++ === 0) {
        return refused(400, { type: 'invalid_request_error', code: 'void_refused', message: 'not now' });
      }
      intent.status = 'canceled';
    }
    return undefined;
  }

  async #confirmed(intent: Intent, paymentMethod: string): Promise<Answer | undefined> {
    if (paymentMethod === 'pm_slow') await delay(SLOW_MS);
    if (!['requires_payment_method', 'requires_confirmation'].includes(intent.status)) return wrongState(intent);
    intent.paymentMethod = paymentMethod;
    const declines: Record<string, object> = {
      pm_declined: { code: 'card_declined', decline_code: 'card_declined' },
      pm_insufficient_funds: { code: 'card_declined', decline_code: 'insufficient_funds' },
    };
    const decline = declines[paymentMethod];
    if (decline !== undefined) {
      intent.charge = 'failed';
      intent.lastError = { type: 'card_error', message: 'declined', ...decline };
      return refused(402, { ...intent.lastError, payment_intent: { id: intent.id, status: intent.status } });
    }
    if (!['pm_ok', 'pm_slow', 'pm_capture_refused', 'pm_void_refused'].includes(paymentMethod)) {
      const error = { code: 'resource_missing', param: 'payment_method', message: 'No such PaymentMethod' };
      return refused(400, { type: 'invalid_request_error', ...error });
    }
    intent.charge = 'succeeded';
    intent.status = 'requires_capture';
    return undefined;
  }

  #captured(intent: Intent): Answer | undefined {
    if (intent.status !== 'requires_capture') return wrongState(intent);
    if (intent.paymentMethod === 'pm_capture_refused' && intent.captureAttempts++ === 0) {
      return refused(400, { type: 'invalid_request_error', code: 'capture_refused', message: 'not now' });
    }
    intent.captures++;
    intent.status = 'succeeded';
    return undefined;
  }

  #refunded(parameters: StripeRequest['parameters'], form: Answer): Answer {
    const intent = this.intents.get(parameters.payment_intent ?? '');
    const amount = Number(parameters.amount);
    const before = this.refunds.filter(({ payment_intent }) => payment_intent === intent?.id);
    const left = before.reduce((sum, refund) => sum - refund.amount, intent?.amount ?? 0);
    if (intent?.status !== 'succeeded' || amount > left) {
      return refused(400, { type: 'invalid_request_error', code: 'amount_too_large', message: 'too much' });
    }
    const metadata = { refund_id: parameters['metadata[refund_id]'] ?? '' };
    const refund = { id: `re_${++this.#ids}`, payment_intent: intent.id, amount, metadata };
    this.refunds.push(refund);
    return { status: 200, body: { ...form.body, ...shownRefund(refund) } };
  }

  /** An intent in the form that stripe-mock has for it. */
  #shown(intent: Intent, form: Answer, parameters: StripeRequest['parameters']): Answer {
    const { id, status, amount, currency, metadata, charge, lastError } = intent;
    const isExpanded = parameters['expand[0]'] === 'latest_charge';
    const whole = isExpanded ? { id: `ch_${id}`, object: 'charge', status: charge } : `ch_${id}`;
    const latest = charge === 'none' ? null : whole;
    const said = { id, status, amount, currency, metadata, latest_charge: latest, last_payment_error: lastError };
    return { status: 200, body: { ...form.body, object: 'payment_intent', cancellation_reason: null, ...said } };
  }
}

function shownRefund(refund: Refund): object {
  return { object: 'refund', status: 'succeeded', ...refund };
}

function refused(status: number, error: object): Answer {
  return { status, body: { error: { type: 'api_error', message: 'no', ...error } } };
}

function wrongState({ id, status }: Intent): Answer {
  return refused(400, {
    type: 'invalid_request_error',
    code: 'payment_intent_unexpected_state',
    message: `the intent is ${status}`,
    payment_intent: { id, status },
  });
}

function reply(outgoing: ServerResponse, { status, body }: Answer): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_1' });
  outgoing.end(JSON.stringify(body));
}
