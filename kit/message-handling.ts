import type { Message } from '@bufbuild/protobuf';
import type { JsMsg } from '@nats-io/jetstream';
import { SpanKind } from '@opentelemetry/api';
import { callersFirst } from './callers-first.ts';
import type { Reaction } from './consumer.ts';
import { BEHIND, type ParkingNote } from './dead-letters.ts';
import { BusyError, TransientError } from './errors.ts';
import { Header, type RecordedEvent, readEvent, type StoredMessage } from './event.ts';
import type { Outcome } from './lanes.ts';
import type { Retry } from './member-status.ts';
import { type Parking, UnparkedError } from './parking.ts';
import type { Keys } from './personal-data.ts';
import type { Claim } from './poison.ts';
import type { Attempted } from './replay.ts';
import { type Backoff, backoffMs, verdictOn } from './retry.ts';
import { withCorrelation } from './telemetry/correlation.ts';
import type { Logger } from './telemetry/logging.ts';
import { countParked, recordHandled } from './telemetry/metrics.ts';
import { contextFrom, inSpan } from './telemetry/tracing.ts';

/** A message in the hands of its partition's owner. */
export type Delivery = { message: JsMsg; stored: StoredMessage; partition: number; key: string };

export type HandlingParts = { personalData: Keys; logger: Logger };

export type HandlingOptions = {
  /** Attempts that may fail before a message is parked. */
  maxAttempts: number;
  backoff: Backoff;
  /**
   * After this long the handler's signal aborts. The attempt has failed once the handler ends with an error; one that
   * does not heed its signal is waited for, because its key's next message must not run beside it.
   */
  attemptTimeoutMs: number;
};

/** What is known of the messages only as long as one connection and one ownership last. */
export type Turn = {
  parking: Parking;
  claim: Claim;
  /** Starts no other message of the partition for so long. */
  pause(durationMs: number): void;
};

/** While something is away, its return is tried for with one message at a time. */
const OUTAGE_BACKOFF: Backoff = { minMs: 100, maxMs: 2_000 };

/** The owner stops and can't wait any longer: the message is left to the next owner. */
class AbandonedError extends Error {
  override name = 'AbandonedError';
}

/** What is done with one message of a partition: skipped, handled, tried again later, or parked. */
export class MessageHandling<Event extends Message> {
  readonly #reaction: Reaction<Event>;
  readonly #consumer: string;
  readonly #parts: HandlingParts;
  readonly #options: HandlingOptions;
  readonly #abandoned: AbortSignal;
  /** Failed attempts by sequence: a broken connection doesn't start the count again. */
  readonly #failures = new Map<number, Retry>();
  /** When the attempts that are at work began. */
  readonly #atWork = new Set<{ since: number }>();
  /** Why messages are to be parked, by sequence, as long as it can't be done: they are not handled again for that. */
  readonly #givenUp = new Map<number, ParkingNote>();
  #outage: { error: string; tries: number } | undefined;

  /**
   * @param consumer its name without the partition.
   * @param abandoned aborts when handlers are not waited for any more.
   */
  constructor(
    reaction: Reaction<Event>,
    consumer: string,
    parts: HandlingParts,
    options: HandlingOptions,
    abandoned: AbortSignal,
  ) {
    this.#reaction = reaction;
    this.#consumer = consumer;
    this.#parts = parts;
    this.#options = options;
    this.#abandoned = abandoned;
  }

  /** What the partition waits for, where it does. */
  get outage(): string | undefined {
    return this.#outage?.error;
  }

  /** What has failed and is tried again, or is at it; without what is to be parked. */
  get retrying(): Retry[] {
    return [...this.#failures.values()].filter(({ nextAttemptAt }) => nextAttemptAt > 0);
  }

  /** How long the oldest attempt has been at work, in ms; undefined: none is. */
  get oldestAttemptMs(): number | undefined {
    if (this.#atWork.size === 0) return undefined;
    return performance.now() - Math.min(...[...this.#atWork].map(({ since }) => since));
  }

  /** One attempt to handle a message that was parked. Never throws. */
  async replay(stored: StoredMessage, attempt: number): Promise<Attempted> {
    if (this.isIrrelevant(stored)) return 'handled';
    let event: RecordedEvent<Event> | undefined;
    try {
      event = await this.#read(stored);
      await this.#attempt(event, stored, attempt);
      return 'handled';
    } catch (error) {
      const verdict = verdictOn(error);
      if (error instanceof AbandonedError || verdict.kind === 'unavailable') return { unavailable: messageOf(error) };
      const failed = noteOn(error, event !== undefined, attempt);
      this.#parts.logger.error({ err: error, ...failed, ...this.#words(stored) }, 'failed again, and stays parked');
      return { failed };
    }
  }

  /** One try of one message. Never throws; the message is to be acknowledged when it is finished. */
  async handle(delivery: Delivery, turn: Turn): Promise<Outcome> {
    const { claim } = turn;
    const { sequence } = delivery.stored;
    const givenUp = this.#givenUp.get(sequence);
    if (givenUp !== undefined) return this.#park(delivery, turn, givenUp);
    if (!claim.isSuspect(sequence)) return this.#try(delivery, turn);
    const attempts = claim.kills(sequence);
    if (attempts !== undefined) {
      const error = 'the process that handled it died, each time';
      return this.#park(delivery, turn, { reason: 'KILLED_THE_PROCESS', error, attempts });
    }
    try {
      await claim.starting(sequence);
    } catch (error) {
      return this.#wait(error, turn);
    }
    const outcome = await this.#try(delivery, turn);
    await claim.ended(sequence).catch((error) => {
      this.#parts.logger.warn(
        { err: error, ...this.#words(delivery.stored) },
        'the end of a message could not be noted',
      );
    });
    return outcome;
  }

  async #try(delivery: Delivery, turn: Turn): Promise<Outcome> {
    const { stored, partition, key } = delivery;
    if (this.isIrrelevant(stored)) return 'finished';
    await callersFirst.afterCallers();
    if (turn.parking.isParked(partition, key)) return this.#park(delivery, turn, BEHIND);
    let event: RecordedEvent<Event> | undefined;
    try {
      event = await this.#read(stored);
      await this.#attempt(event, stored, this.#failuresOf(stored) + 1);
    } catch (error) {
      return this.#failed(delivery, turn, error, event !== undefined);
    }
    return this.#finished(delivery);
  }

  /** Types that the reaction does not look at, or that a newer program has added, are none of its business. */
  isIrrelevant({ headers }: StoredMessage): boolean {
    const type = headers.get(Header.type);
    return type !== '' && !this.#reaction.types.knows(type);
  }

  async #read(stored: StoredMessage): Promise<RecordedEvent<Event>> {
    return (await readEvent(stored, this.#reaction.types, this.#parts.personalData)) as RecordedEvent<Event>;
  }

  async #attempt(event: RecordedEvent<Event>, stored: StoredMessage, attempt: number): Promise<void> {
    const attributes = () => ({
      'messaging.system': 'nats',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': event.stream,
      'messaging.destination.partition.id': String(event.partition),
      'messaging.consumer.group.name': this.#consumer,
      'messaging.message.id': event.id,
      'causeway.event.type': event.type,
      'causeway.key': event.key,
      'causeway.attempt': attempt,
    });
    event.attempt = attempt;
    const parent = withCorrelation(
      contextFrom((name) => stored.headers.get(name)),
      event.correlationId,
    );
    const atWork = { since: performance.now() };
    this.#atWork.add(atWork);
    let outcome = 'failed';
    try {
      await inSpan(`process ${this.#consumer}`, { kind: SpanKind.CONSUMER, attributes, parent }, () =>
        this.#withinTime((signal) => this.#reaction.handle(event, { signal, attempt })),
      );
      outcome = 'done';
    } finally {
      this.#atWork.delete(atWork);
      recordHandled(this.#consumer, outcome, 1, performance.now() - atWork.since);
    }
  }

  /** Runs with a signal that aborts when the time for an attempt is over, or the owner can't wait any longer. */
  async #withinTime(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { attemptTimeoutMs } = this.#options;
    const controller = new AbortController();
    const abandon = () => controller.abort(new AbandonedError('the owner of the partition stops'));
    const timer = setTimeout(() => {
      controller.abort(new TransientError(`not finished after ${attemptTimeoutMs} ms`));
    }, attemptTimeoutMs);
    this.#abandoned.addEventListener('abort', abandon, { once: true });
    if (this.#abandoned.aborted) abandon();
    try {
      await run(controller.signal);
    } catch (error) {
      // A handler that gave up because it was told to says so in words of its own.
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.#abandoned.removeEventListener('abort', abandon);
    }
  }

  async #failed(delivery: Delivery, turn: Turn, error: unknown, decoded: boolean): Promise<Outcome> {
    if (error instanceof AbandonedError) return { againAfterMs: 0 };
    if (error instanceof BusyError) return { againAfterMs: error.retryAfterMs };
    const verdict = verdictOn(error);
    if (verdict.kind === 'unavailable') return this.#wait(error, turn);
    this.#outage = undefined;
    const attempts = this.#failuresOf(delivery.stored) + 1;
    const failure = { attempts, error: messageOf(error), ...this.#identity(delivery), nextAttemptAt: 0 };
    this.#failures.set(delivery.stored.sequence, failure);
    if (verdict.kind === 'transient' && attempts < this.#options.maxAttempts) {
      // What is expected to fail now and then is told in a line.
      const what = error instanceof TransientError ? { why: error.message } : { err: error };
      this.#parts.logger.warn({ ...what, attempts, ...this.#words(delivery.stored) }, 'to be tried again');
      const toldMs = error instanceof TransientError ? error.retryAfterMs : 0;
      const againAfterMs = Math.max(toldMs, backoffMs(attempts, this.#options.backoff));
      this.#failures.set(delivery.stored.sequence, { ...failure, nextAttemptAt: Date.now() + againAfterMs });
      return { againAfterMs };
    }
    const note = noteOn(error, decoded, attempts);
    this.#parts.logger.error({ err: error, ...note, ...this.#words(delivery.stored) }, 'parked');
    return this.#park(delivery, turn, note);
  }

  /** Nothing is wrong with the message: the whole partition waits, and this message is the first to be tried again. */
  #wait(error: unknown, turn: Turn): Outcome {
    if (this.#outage === undefined) {
      this.#parts.logger.warn({ err: error, consumer: this.#consumer }, 'waiting until it is there again');
    }
    const tries = (this.#outage?.tries ?? 0) + 1;
    this.#outage = { error: messageOf(error), tries };
    turn.pause(backoffMs(tries, OUTAGE_BACKOFF, () => 0.5 + Math.random() / 2));
    return { againAfterMs: 0 };
  }

  async #park(delivery: Delivery, turn: Turn, note: ParkingNote): Promise<Outcome> {
    try {
      await turn.parking.park(delivery.stored, note);
      countParked(this.#consumer, note.reason);
    } catch (error) {
      if (error instanceof UnparkedError) {
        this.#givenUp.delete(delivery.stored.sequence);
        return { againAfterMs: 0 };
      }
      this.#givenUp.set(delivery.stored.sequence, note);
      return this.#wait(error, turn);
    }
    return this.#finished(delivery);
  }

  #finished({ stored }: Delivery): Outcome {
    this.#outage = undefined;
    this.#failures.delete(stored.sequence);
    this.#givenUp.delete(stored.sequence);
    return 'finished';
  }

  #failuresOf({ sequence }: StoredMessage): number {
    return this.#failures.get(sequence)?.attempts ?? 0;
  }

  #identity({ stored, partition, key }: Delivery): Omit<Retry, 'attempts' | 'error' | 'nextAttemptAt'> {
    const { headers } = stored;
    const eventId = headers.get(Header.id);
    return { consumer: this.#consumer, partition, key, eventId, eventType: headers.get(Header.type) };
  }

  #words({ subject, stream, sequence }: StoredMessage): object {
    return { consumer: this.#consumer, subject, stream, sequence };
  }
}

/** What is said of a message that is given up, or stays so. */
function noteOn(error: unknown, decoded: boolean, attempts: number): ParkingNote {
  const verdict = verdictOn(error);
  const reason = verdict.kind === 'permanent' ? verdict.reason : 'ATTEMPTS_EXHAUSTED';
  return { reason: decoded ? reason : 'CANNOT_DECODE', error: messageOf(error), attempts };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
