import { setTimeout as delay } from 'node:timers/promises';
import { type Collection, type Db, type Filter, MongoServerError, type UpdateFilter } from 'mongodb';
import { Batches } from '#kit/batches.ts';
import { TransientError } from '#kit/errors.ts';
import { isMore, type Money, minus } from '../domain/money.ts';
import type {
  Authorization,
  AuthorizationRequest,
  Authorized,
  Captured,
  PaymentProvider,
  Refunded,
  Voided,
} from '../reactions/payment-provider.ts';

/** What the sandbox knows of an order. It plays an outside system: nobody else of the platform looks at it. */
export type SandboxPayment = {
  _id: string;
  status: 'pending' | 'authorized' | 'declined' | 'voided' | 'captured';
  paymentMethod: string;
  amount: StoredMoney;
  startedAt: Date;
  /** How often the authorisation was asked for. */
  tries: number;
  /** How often money was taken. */
  charges: number;
  /** Whether a void released something. */
  released: boolean;
  refunds: { refundId: string; amount: StoredMoney }[];
};

type StoredMoney = { currencyCode: string; units: string; nanos: number };

type Conduct = {
  declines?: string;
  /** It answers so long after it was first asked. */
  isSlow?: boolean;
  failsFirst?: number;
  neverAnswers?: boolean;
};

/** Payment methods, as test cards are elsewhere. Any other is declined. */
const methods: Partial<Record<string, Conduct>> = {
  pm_ok: {},
  pm_declined: { declines: 'card_declined' },
  pm_insufficient_funds: { declines: 'insufficient_funds' },
  pm_slow: { isSlow: true },
  pm_flaky: { failsFirst: 2 },
  pm_never: { neverAnswers: true },
  pm_capture_refused: {},
  pm_void_refused: {},
};

const UNKNOWN_METHOD: Conduct = { declines: 'unknown_payment_method' };

/** Whose first capture or void is refused; what an operator tries again works. */
const CAPTURE_REFUSED = 'pm_capture_refused';
const VOID_REFUSED = 'pm_void_refused';

const SLOW_MS = 20_000;
const DUPLICATE_KEY = 11_000;
/** Others that change the same order at the same moment are few: its authorisation and its void. */
const MAX_RACES = 10;

type Opening = Omit<SandboxPayment, 'tries'>;
type Capture = { _id: string; attempt: number };

const batches = { maxItems: 256, keyOf: ({ _id }: { _id: string }) => _id };

/** Another change came between a look and the change that was based on it. */
class LostRaceError extends Error {}

/** The provider that everybody can try: no money moves, and what it does hangs on the payment method alone. */
export class Sandbox implements PaymentProvider {
  readonly name = 'sandbox';
  readonly #payments: Collection<SandboxPayment>;
  readonly #slowMs: number;
  readonly #openings = new Batches<Opening, SandboxPayment>((openings) => this.#open(openings), batches);
  readonly #captures = new Batches<Capture, SandboxPayment['status'] | undefined>(
    (each) => this.#capture(each),
    batches,
  );

  /** @param db keeps what it has promised, also when it is restarted. */
  constructor(db: Db, { slowMs = SLOW_MS }: { slowMs?: number } = {}) {
    this.#payments = db.collection<SandboxPayment>('sandbox_payments');
    this.#slowMs = slowMs;
  }

  async authorize(request: AuthorizationRequest, signal: AbortSignal): Promise<Authorized> {
    const conduct = methods[request.paymentMethod] ?? UNKNOWN_METHOD;
    const payment = await this.#opened(request, conduct);
    if (payment.status !== 'pending') return authorizationIn(payment, conduct);
    if (conduct.neverAnswers) await wait(undefined, signal);
    if (payment.tries <= (conduct.failsFirst ?? 0)) throw new TransientError('the sandbox has failed');
    if (conduct.isSlow) await wait(payment.startedAt.getTime() + this.#slowMs - Date.now(), signal);
    const filter = { _id: request.orderId, status: 'pending' } as const;
    const finished = await this.#change(filter, { $set: { status: 'authorized' } });
    return authorizationIn(finished ?? (await this.#found(request.orderId)), conduct);
  }

  #opened({ orderId, paymentMethod, amount }: AuthorizationRequest, conduct: Conduct): Promise<SandboxPayment> {
    const isPending = conduct.isSlow || conduct.neverAnswers || conduct.failsFirst !== undefined;
    const answered = conduct.declines === undefined ? 'authorized' : 'declined';
    const status: SandboxPayment['status'] = isPending ? 'pending' : answered;
    return this.#openings.add({ _id: orderId, ...fresh(), status, paymentMethod, amount: stored(amount) });
  }

  /** What is asked for at the same time is one write; what is there already is looked at, and is the answer. */
  async #open(openings: readonly Opening[]): Promise<SandboxPayment[]> {
    const writes = openings.map(({ _id, ...insert }) => ({
      updateOne: { filter: { _id }, update: { $setOnInsert: insert, $inc: { tries: 1 } }, upsert: true },
    }));
    const { upsertedIds } = await this.#payments.bulkWrite(writes, { ordered: false });
    const others = await this.#look(openings.filter((_, index) => !(index in upsertedIds)));
    return openings.map((opening) => others.get(opening._id) ?? { ...opening, tries: 1 });
  }

  async capture({ orderId }: Authorization, attempt: number): Promise<Captured> {
    const status = await this.#captures.add({ _id: orderId, attempt });
    if (status === 'captured') return { result: 'captured' };
    return { result: 'refused', reason: status === 'authorized' ? 'capture_refused' : 'not_authorized' };
  }

  async #capture(captures: readonly Capture[]): Promise<(SandboxPayment['status'] | undefined)[]> {
    const writes = captures.map(({ _id, attempt }) => ({
      updateOne: {
        filter: { _id, status: 'authorized' as const, ...unlessRefused(CAPTURE_REFUSED, attempt) },
        update: { $set: { status: 'captured' as const }, $inc: { charges: 1 } },
      },
    }));
    const { matchedCount } = await this.#payments.bulkWrite(writes, { ordered: false });
    if (matchedCount === captures.length) return captures.map(() => 'captured');
    const found = await this.#look(captures);
    return captures.map(({ _id }) => found.get(_id)?.status);
  }

  async #look(asked: readonly { _id: string }[]): Promise<Map<string, SandboxPayment>> {
    if (asked.length === 0) return new Map();
    const found = await this.#payments.find({ _id: { $in: asked.map(({ _id }) => _id) } }).toArray();
    return new Map(found.map((payment) => [payment._id, payment]));
  }

  async void(what: Authorization | AuthorizationRequest, attempt: number): Promise<Voided> {
    const { orderId } = what;
    return this.#racing(async () => {
      const held = { _id: orderId, status: 'authorized', ...unlessRefused(VOID_REFUSED, attempt) } as const;
      const released = await this.#change(held, { $set: { status: 'voided', released: true } });
      if (released !== undefined) return voidIn(released);
      // From now on nothing is authorised, whether it was asked for already or not.
      const open: Filter<SandboxPayment> = { _id: orderId, status: { $in: ['pending', 'declined'] } };
      const { released: _, ...rest } = fresh();
      const insert = { ...rest, paymentMethod: '', amount: stored(what.amount), tries: 0 };
      const closed = await this.#change(
        open,
        { $set: { status: 'voided', released: false }, $setOnInsert: insert },
        true,
      );
      const payment = closed ?? (await this.#found(orderId));
      const isRefused = payment.paymentMethod === VOID_REFUSED && attempt === 0;
      if (payment.status === 'authorized' && !isRefused) throw new LostRaceError();
      return voidIn(payment);
    });
  }

  async refund(
    { orderId }: Authorization,
    { refundId, amount }: { refundId: string; amount: Money },
  ): Promise<Refunded> {
    return this.#racing(async () => {
      const payment = await this.#payments.findOne({ _id: orderId });
      if (payment?.status !== 'captured') return { result: 'refused', reason: 'not_captured' };
      const { refunds } = payment;
      if (refunds.some((refund) => refund.refundId === refundId)) return { result: 'refunded' };
      const left = minus(read(payment.amount), ...refunds.map((refund) => read(refund.amount)));
      if (isMore(amount, left)) return { result: 'refused', reason: 'amount_too_large' };
      const filter = { _id: orderId, refunds: { $size: refunds.length } };
      const done = await this.#change(filter, { $push: { refunds: { refundId, amount: stored(amount) } } });
      if (done === undefined) throw new LostRaceError();
      return { result: 'refunded' };
    });
  }

  /** The order after the change; undefined where the filter does not fit what is there. */
  async #change(
    filter: Filter<SandboxPayment>,
    change: UpdateFilter<SandboxPayment>,
    upsert = false,
  ): Promise<SandboxPayment | undefined> {
    try {
      const options = { upsert, returnDocument: 'after' } as const;
      return (await this.#payments.findOneAndUpdate(filter, change, options)) ?? undefined;
    } catch (error) {
      // What was to be inserted is there, and the filter does not fit it.
      if (error instanceof MongoServerError && error.code === DUPLICATE_KEY) return undefined;
      throw error;
    }
  }

  async #found(orderId: string): Promise<SandboxPayment> {
    const payment = await this.#payments.findOne({ _id: orderId });
    if (payment === null) throw new TransientError(`the sandbox has forgotten order ${orderId}`);
    return payment;
  }

  async #racing<Answer>(step: () => Promise<Answer>): Promise<Answer> {
    for (let race = 0; race < MAX_RACES; race++) {
      try {
        return await step();
      } catch (error) {
        if (!(error instanceof LostRaceError)) throw error;
      }
    }
    throw new TransientError('too many changed the same order');
  }
}

function fresh() {
  return { startedAt: new Date(), charges: 0, released: false, refunds: [] };
}

function unlessRefused(paymentMethod: string, attempt: number): Filter<SandboxPayment> {
  return attempt === 0 ? { paymentMethod: { $ne: paymentMethod } } : {};
}

function authorizationIn(payment: SandboxPayment, { declines }: Conduct): Authorized {
  switch (payment.status) {
    case 'authorized':
    case 'captured':
      return { result: 'authorized', reference: referenceOf(payment) };
    case 'voided':
      return { result: 'voided' };
    default:
      return { result: 'declined', reason: declines ?? 'declined' };
  }
}

function voidIn(payment: SandboxPayment): Voided {
  if (payment.status !== 'voided') {
    return { result: 'refused', reason: payment.status === 'captured' ? 'captured' : 'void_refused' };
  }
  return { result: 'voided', released: payment.released ? { reference: referenceOf(payment) } : undefined };
}

function referenceOf({ _id }: SandboxPayment): string {
  return `sandbox_${_id}`;
}

function stored({ currencyCode, units, nanos }: Money): StoredMoney {
  return { currencyCode, units: String(units), nanos };
}

function read({ currencyCode, units, nanos }: StoredMoney): Money {
  return { currencyCode, units: BigInt(units), nanos };
}

/** Until so long is over, or for ever. @throws what the signal says. */
async function wait(durationMs: number | undefined, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (durationMs !== undefined) {
    await delay(Math.max(0, durationMs), undefined, { signal }).catch(() => signal.throwIfAborted());
    return;
  }
  await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
