import { create, type Message } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CaptureRequestedSchema,
  PaymentRequestedSchema,
  PaymentVoidRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import type { RecordedEvent } from '#kit/event.ts';
import { type Payment, type PaymentCommand, type PaymentEvent, payment } from '../domain/payment.ts';
import { authorizePayment } from './authorize-payment.ts';
import type { PaymentProvider } from './payment-provider.ts';
import { requestIn } from './requested.ts';
import { settlePayment } from './settle-payment.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const amount = { currencyCode: 'EUR', units: 25n, nanos: 0 };
const never = new AbortController().signal;

/** The process that was at work ends here. Whatever it has done is done; the message comes again. */
class Crash extends Error {}

/** Between any two steps others may go on, and the process may end. */
type Step = (what: string) => Promise<void>;

/** What is journaled of the payment, as the command handler keeps it. */
class Journal {
  state: Payment = payment.initialState;
  readonly events: PaymentEvent[] = [];
  readonly #handled = new Set<string>();

  async handle({ command, requestId }: CommandRequest<PaymentCommand>, step: Step) {
    await step(`before ${command.type}`);
    let outcome: CommandResult<Payment>['outcome'] = 'unchanged';
    if (this.#handled.has(requestId)) outcome = 'repeated';
    else {
      const decided = payment.decide(command, this.state);
      if (decided !== undefined && 'refused' in decided) throw new Error(decided.reason);
      if (decided !== undefined) {
        this.state = payment.evolve(this.state, decided);
        this.events.push(decided);
        if (requestId !== '') this.#handled.add(requestId);
        outcome = 'done';
      }
    }
    const state = this.state;
    await step(`after ${command.type}`);
    return { state, outcome } as CommandResult<Payment>;
  }
}

/** A provider that keeps its contract. */
class Bank {
  status: 'none' | 'held' | 'declined' | 'voided' | 'captured' = 'none';
  authorizations = 0;
  charges = 0;
  released = false;
  readonly #declines: boolean;
  readonly #refusals: { capture: number; void: number };

  constructor(declines: boolean, refusals: { capture: number; void: number }) {
    this.#declines = declines;
    this.#refusals = refusals;
  }

  provider(step: Step): PaymentProvider {
    const asked = async <Answer>(what: string, answer: () => Answer): Promise<Answer> => {
      await step(`before ${what}`);
      const said = answer();
      await step(`after ${what}`);
      return said;
    };
    const reference = 'r-1';
    return {
      name: 'bank',
      authorize: () =>
        asked('authorize', () => {
          if (this.status === 'none') {
            this.status = this.#declines ? 'declined' : 'held';
            if (this.status === 'held') this.authorizations++;
          }
          if (this.status === 'declined') return { result: 'declined', reason: 'card_declined' };
          return this.status === 'voided' ? { result: 'voided' } : { result: 'authorized', reference };
        }),
      capture: (_, attempt) =>
        asked('capture', () => {
          if (this.status === 'captured') return { result: 'captured' };
          if (this.status !== 'held' || attempt < this.#refusals.capture) return { result: 'refused', reason: 'no' };
          this.status = 'captured';
          this.charges++;
          return { result: 'captured' };
        }),
      void: (_, attempt) =>
        asked('void', () => {
          if (this.status === 'captured' || attempt < this.#refusals.void) return { result: 'refused', reason: 'no' };
          if (this.status !== 'voided') this.released = this.status === 'held';
          this.status = 'voided';
          return { result: 'voided', released: this.released ? { reference } : undefined };
        }),
      refund: async () => ({ result: 'refused', reason: 'no' }),
    };
  }
}

function event<Data extends Message>(id: string, data: Data): RecordedEvent<Data> {
  return { id, correlationId: '', time: new Date(0), data } as RecordedEvent<Data>;
}

const requested = create(PaymentRequestedSchema, { orderId, customerId: 'alice', amount, paymentMethod: 'pm' });
const voids = [1, 2, 3].map((number) =>
  event(`void-${number}`, create(PaymentVoidRequestedSchema, { orderId, customerId: 'alice', reason: 'X' })),
);
const captures = [1, 2, 3].map((number) =>
  event(`capture-${number}`, create(CaptureRequestedSchema, { orderId, amount })),
);

type World = { bank: Bank; journal: Journal };

type Scenario = {
  scheduler: fc.Scheduler;
  /** Which steps, counted over all, are the last of their process. */
  crashes: number[];
  declines: boolean;
  refusals: number;
};

const scheduler = fc.scheduler();
const crashes = fc.uniqueArray(fc.nat(40), { maxLength: 6 });
const refusals = fc.nat(2);
/** How often it is asked for: after a refusal by an operator again. */
const asks = fc.integer({ min: 1, max: 3 });

/** Two consumers, as they are in production: an event comes again until it was handled, and once more after that. */
async function play(
  { scheduler, crashes, declines, refusals }: Scenario,
  settling: readonly RecordedEvent[],
  later: boolean,
) {
  const world: World = { bank: new Bank(declines, { capture: refusals, void: refusals }), journal: new Journal() };
  let steps = 0;
  const step: Step = async (what) => {
    const isLast = crashes.includes(steps++);
    await scheduler.schedule(Promise.resolve(), what);
    if (isLast) throw new Crash(what);
  };
  const parts = {
    provider: world.bank.provider(step),
    handle: (request: CommandRequest<PaymentCommand>) => world.journal.handle(request, step),
    requested: async () => requestIn(requested),
    clock: () => new Date(0),
  };
  const deliver = async (reaction: Reaction, each: RecordedEvent) => {
    for (let attempt = 1; ; attempt++) {
      try {
        await reaction.handle(each, { signal: never, attempt });
        await step('acknowledged');
        return;
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      }
    }
  };
  const authorizing = deliver(authorizePayment(parts) as Reaction, event('requested', requested));
  const settle = async () => {
    if (later) await authorizing;
    for (const each of settling) await deliver(settlePayment(parts) as Reaction, each);
    // The first of them once more, as a new owner of the partition may give it.
    if (settling[0] !== undefined) await deliver(settlePayment(parts) as Reaction, settling[0]);
  };
  const redeliver = async () => {
    await authorizing;
    await deliver(authorizePayment(parts) as Reaction, event('requested', requested));
  };
  await scheduler.waitFor(Promise.all([authorizing, settle(), redeliver()]));
  return world;
}

function countOf({ journal }: World, type: PaymentEvent['type']): number {
  return journal.events.filter((each) => each.type === type).length;
}

test('a void leaves nothing held, and a refused void is said, whatever crashes where and whoever is first', async () => {
  await fc.assert(
    fc.asyncProperty(
      scheduler,
      crashes,
      refusals,
      asks,
      fc.boolean(),
      async (scheduler, crashes, refusals, asks, later) => {
        const each = { scheduler, crashes, declines: false, refusals };
        const world = await play(each, voids.slice(0, asks), later);
        const { bank, journal } = world;
        const isVoided = asks > refusals;

        expect(bank.status).toBe(isVoided ? 'voided' : 'held');
        expect(journal.state.status).toBe(isVoided ? 'Voided' : 'VoidRefused');
        expect(countOf(world, 'PaymentAuthorized')).toBe(bank.released || !isVoided ? 1 : 0);
        const voided = journal.events.find(({ type }) => type === 'PaymentVoided');
        if (isVoided) expect(voided).toMatchObject({ amount: { units: bank.released ? 25n : 0n } });
        expect(countOf(world, 'PaymentVoided')).toBe(isVoided ? 1 : 0);
        expect(countOf(world, 'PaymentVoidRefused')).toBe(Math.min(asks, refusals));
        expect([bank.charges, bank.authorizations > 1]).toEqual([0, false]);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('a void of what is declined settles it, whatever crashes where and whoever is first', async () => {
  await fc.assert(
    fc.asyncProperty(scheduler, crashes, fc.boolean(), async (scheduler, crashes, later) => {
      const world = await play({ scheduler, crashes, declines: true, refusals: 0 }, voids.slice(0, 1), later);

      expect(world.journal.state).toEqual({ status: 'Voided' });
      expect(countOf(world, 'PaymentAuthorized')).toBe(0);
      expect(countOf(world, 'PaymentVoided')).toBe(1);
    }),
    { numRuns: 500 },
  );
});

test('a capture takes the money once and says so, whatever crashes where', async () => {
  await fc.assert(
    fc.asyncProperty(scheduler, crashes, refusals, asks, async (scheduler, crashes, refusals, asks) => {
      const each = { scheduler, crashes, declines: false, refusals };
      const world = await play(each, captures.slice(0, asks), true);
      const { bank, journal } = world;
      const isCaptured = asks > refusals;

      expect(bank.charges).toBe(isCaptured ? 1 : 0);
      expect(journal.state.status).toBe(isCaptured ? 'Captured' : 'CaptureRefused');
      expect(countOf(world, 'PaymentCaptured')).toBe(isCaptured ? 1 : 0);
      expect(countOf(world, 'PaymentCaptureRefused')).toBe(Math.min(asks, refusals));
    }),
    { numRuns: 1_000 },
  );
});

test('a payment of which nothing else is asked is what the provider says, whatever crashes where', async () => {
  await fc.assert(
    fc.asyncProperty(scheduler, crashes, fc.boolean(), async (scheduler, crashes, declines) => {
      const each = { scheduler, crashes, declines, refusals: 0 };
      const { bank, journal } = await play(each, [], true);

      expect(journal.events.map(({ type }) => type)).toEqual([declines ? 'PaymentDeclined' : 'PaymentAuthorized']);
      expect(bank.authorizations).toBe(declines ? 0 : 1);
    }),
    { numRuns: 500 },
  );
});
