import { setTimeout as delay } from 'node:timers/promises';
import type { JsMsg } from '@nats-io/jetstream';
import { callersFirst } from './callers-first.ts';
import { BEHIND, type ParkingNote } from './dead-letters.ts';
import { PermanentError } from './errors.ts';
import { Header, type RecordedEvent, readEventAtBest, type StoredMessage } from './event.ts';
import { storedFromConsumer } from './journal.ts';
import type { ParkedKeys } from './parked-keys.ts';
import { type Keys, noKeys } from './personal-data.ts';
import type { Attempted } from './replay.ts';
import { verdictOn } from './retry.ts';
import { observedBatch } from './telemetry/batches.ts';
import type { Logger } from './telemetry/logging.ts';
import { countParked, recordDelay } from './telemetry/metrics.ts';
import type { View } from './view.ts';
import { type Claim, ClaimLostError, type Refusal, type ViewStore } from './view-store.ts';

/** Events folded and written at a time. */
const BATCH = 500;
/** Batches under way at once: while one is written, the next is decoded. */
const WORKERS = 2;
/** Under load a worker waits this long for more, so that it writes few large batches rather than many small ones. */
const GATHER_MS = 10;
const GATHER_FROM = 4;
/** Where callers crowd the process, they see things a little later, and get more of it. */
const GATHER_IN_A_CROWD_MS = 50;

/** One journal of one partition, and how far it has come into the view. */
export type Lane = {
  readonly stream: string;
  readonly partition: number;
  readonly consumer: string;
  /** Sequence of the last message that the view shows. */
  position: number;
};

/** The time of one owner with a partition: from its claim to whatever ends it. */
export type Turn = {
  readonly partition: number;
  readonly claim: Claim;
  readonly parked: ParkedKeys;
  readonly ended: AbortSignal;
  /** What was delivered in it and is not at work yet is left to the next one. */
  end(reason: unknown): void;
};

export type Delivery = { turn: Turn; lane: Lane; message: JsMsg };

type Taken = Delivery & { stored: StoredMessage };

/** What a message says: an event, or why it can't be read. */
type Outcome = RecordedEvent | PermanentError;

type Reading = Taken & { outcome: Outcome };

export type ViewWriterParts = {
  personalData: Keys;
  logger: Logger;
  /** Whether readers see the documents. Where they do not yet, callers come first, and nobody waits. Left out: they do. */
  isShown?: () => boolean;
};

/**
 * Brings what was delivered into a view, batch by batch: decodes, folds and writes, raises the checkpoints,
 * acknowledges. The partitions of a process share batches, because a round trip to the database costs the same for
 * one event as for hundreds; one partition's messages are never in two batches at a time.
 */
export class ViewWriter<Document extends object> {
  readonly #view: View<Document>;
  readonly #consumer: string;
  readonly #store: ViewStore<Document>;
  readonly #parts: ViewWriterParts;
  readonly #onShown: (lane: Lane) => void;
  /** The packages of the event types that the view looks at, without their versions. */
  readonly #packages: Set<string>;
  readonly #workers: Worker[];

  /**
   * @param consumer its name without the partition.
   * @param onShown called with each lane that has come further.
   */
  constructor(
    view: View<Document>,
    consumer: string,
    store: ViewStore<Document>,
    parts: ViewWriterParts,
    onShown: (lane: Lane) => void,
  ) {
    this.#view = view;
    this.#consumer = consumer;
    this.#store = store;
    this.#parts = parts;
    this.#onShown = onShown;
    this.#packages = new Set(view.types.names().map(packageOf));
    this.#workers = Array.from({ length: WORKERS }, () => new Worker((batch) => this.#handle(batch), this.#isShown));
  }

  /** A view that can't remove what is personal gets nothing of it. */
  get #keys(): Keys {
    return this.#view.erased === undefined ? noKeys : this.#parts.personalData;
  }

  get #isShown(): () => boolean {
    return this.#parts.isShown ?? (() => true);
  }

  /** Takes a message on, to be written behind those that came before it. */
  add(delivery: Delivery): void {
    this.#workers[delivery.turn.partition % WORKERS]?.add(delivery);
  }

  /** Runs a task between two batches, with nothing of the partition at work. */
  between<Result>(partition: number, task: () => Promise<Result>): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#workers[partition % WORKERS]?.between(() => task().then(resolve, reject));
    return promise;
  }

  /** Applies a message that was parked, though events of other keys that came after it have been. Never throws. */
  async applyLate(stored: StoredMessage, attempts: number, { partition, claim, end }: Turn): Promise<Attempted> {
    let refused: Refusal | undefined;
    try {
      const outcome = await this.#outcome(stored);
      if (outcome === undefined) return 'handled';
      if (outcome instanceof PermanentError) return { failed: noteOn('CANNOT_DECODE', outcome, attempts) };
      const refuse = async (refusal: Refusal) => {
        refused ??= refusal;
      };
      await this.#store.write([outcome], new Map([[partition, claim]]), refuse, { areLate: true });
      await this.#store.eraseAgain([outcome]);
    } catch (error) {
      if (error instanceof ClaimLostError) end(error);
      if (error instanceof ClaimLostError || verdictOn(error).kind === 'unavailable') {
        return { unavailable: messageOf(error) };
      }
      return { failed: noteOn('FAILED', error, attempts) };
    }
    return refused === undefined ? 'handled' : { failed: noteOn('FAILED', refused.error, attempts) };
  }

  /** Resolves when nothing of a partition is at work any more; its turn has to be over. */
  async settled(partition: number): Promise<void> {
    await this.#workers[partition % WORKERS]?.atWork;
  }

  /** What fails ends the turns whose fault it may be; the batch is made again without them. */
  async #handle(batch: readonly Delivery[]): Promise<void> {
    for (;;) {
      const live = batch.filter(({ turn }) => !turn.ended.aborted);
      if (live.length === 0) return;
      try {
        await this.#write(live);
        return;
      } catch (error) {
        for (const { turn } of live) {
          if (!(error instanceof ClaimLostError) || error.partition === turn.partition) turn.end(error);
        }
      }
    }
  }

  async #write(batch: readonly Delivery[]): Promise<void> {
    const taken = batch.map((delivery) => ({ ...delivery, stored: storedFromConsumer(delivery.message) }));
    const messages = taken.map(({ stored }) => stored);
    await observedBatch(this.#consumer, messages, async () => {
      const readings = await this.#read(taken);
      const events = await this.#withoutParked(readings);
      const claims = new Map(batch.map(({ turn }) => [turn.partition, turn.claim]));
      await this.#store.write(events, claims, (refusal) => this.#refused(refusal, readings));
      const last = new Map(batch.map(({ lane, message }) => [lane, message]));
      const raised = new Map<number, Record<string, number>>();
      for (const [lane, { seq }] of last) {
        lane.position = seq;
        raised.set(lane.partition, { ...raised.get(lane.partition), [lane.stream]: seq });
        this.#onShown(lane);
      }
      await Promise.all([this.#store.raise(raised, claims), this.#store.eraseAgain(events)]);
      for (const message of last.values()) message.ack();
      if (this.#isShown()) recordDelay(this.#view.name, events);
    });
  }

  /** What the messages of a batch say, without those that are none of the view's business. */
  async #read(batch: readonly Taken[]): Promise<Reading[]> {
    const outcomes = batch.map(({ stored }) => this.#outcome(stored));
    // Waited for only where a key has to be fetched.
    const isWaiting = outcomes.some((outcome) => outcome instanceof Promise);
    const known = isWaiting ? await Promise.all(outcomes) : (outcomes as (Outcome | undefined)[]);
    return batch.flatMap((taken, index) => {
      const outcome = known[index];
      return outcome === undefined ? [] : [{ ...taken, outcome }];
    });
  }

  #outcome(message: StoredMessage): Promise<Outcome> | Outcome | undefined {
    const type = message.headers.get(Header.type);
    // Types that the view does not look at, or that a newer program has added, are none of its business.
    if (!this.#view.types.knows(type) && this.#packages.has(packageOf(type))) return undefined;
    try {
      const event = readEventAtBest(message, this.#view.types, this.#keys);
      return event instanceof Promise ? event.catch(permanent) : event;
    } catch (error) {
      return permanent(error);
    }
  }

  /** The events of a batch. What can't be read is parked, and what comes behind a parked message of its key. */
  async #withoutParked(readings: readonly Reading[]): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = [];
    for (const reading of readings) {
      const { outcome, stored, turn } = reading;
      const time = outcome instanceof PermanentError ? undefined : outcome.time;
      if (!turn.parked.isEmpty && (await turn.parked.isBehind(stored, time))) await this.#park(reading, BEHIND);
      else if (outcome instanceof PermanentError) {
        await this.#park(reading, { reason: 'CANNOT_DECODE', error: outcome.message, attempts: 1 });
      } else events.push(outcome);
    }
    return events;
  }

  async #refused({ event, error }: Refusal, readings: readonly Reading[]): Promise<void> {
    const reading = readings.find(({ outcome }) => outcome === event);
    if (reading === undefined) throw new Error(`${event.stream} ${event.sequence} is not in the batch`);
    const message = error instanceof Error ? error.message : String(error);
    await this.#park(reading, error === undefined ? BEHIND : { reason: 'FAILED', error: message, attempts: 1 });
  }

  async #park({ turn, stored }: Reading, note: ParkingNote): Promise<void> {
    const { stream, subject, sequence } = stored;
    this.#parts.logger.error({ view: this.#view.name, stream, subject, sequence, ...note }, 'parked');
    await turn.parked.park(stored, note);
    countParked(this.#consumer, note.reason);
  }
}

/** Handles what comes in batches, one after the other. */
class Worker {
  readonly #handle: (batch: readonly Delivery[]) => Promise<void>;
  readonly #isShown: () => boolean;
  #queue: Delivery[] = [];
  readonly #tasks: (() => Promise<void>)[] = [];
  #isRunning = false;
  /** The batch or task that is at work, or was last. */
  atWork: Promise<void> = Promise.resolve();

  /** @param handle never rejects. */
  constructor(handle: (batch: readonly Delivery[]) => Promise<void>, isShown: () => boolean) {
    this.#handle = handle;
    this.#isShown = isShown;
  }

  add(delivery: Delivery): void {
    this.#queue.push(delivery);
    if (!this.#isRunning) void this.#run();
  }

  /** @param task never rejects. */
  between(task: () => Promise<void>): void {
    this.#tasks.push(task);
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // What came in with the first message goes with it.
    await undefined;
    while (this.#queue.length > 0 || this.#tasks.length > 0) {
      const task = this.#tasks.shift();
      if (task !== undefined) {
        this.atWork = task();
        await this.atWork;
      }
      if (this.#queue.length === 0) continue;
      const batch = this.#queue.splice(0, BATCH);
      this.atWork = this.#handle(batch);
      await this.atWork;
      if (batch.length >= GATHER_FROM && this.#queue.length < BATCH) {
        await delay(callersFirst.areCrowding ? GATHER_IN_A_CROWD_MS : GATHER_MS);
      } else if (callersFirst.areCrowding && !this.#isShown()) await delay(GATHER_IN_A_CROWD_MS);
    }
    this.#isRunning = false;
  }
}

function noteOn(reason: ParkingNote['reason'], error: unknown, attempts: number): ParkingNote {
  return { reason, error: messageOf(error), attempts };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function permanent(error: unknown): PermanentError {
  if (error instanceof PermanentError) return error;
  throw error;
}

/** The package of a message type, without its version: `causeway.orders` of `causeway.orders.v1.OrderPlaced`. */
function packageOf(type: string): string {
  return type
    .split('.')
    .slice(0, -1)
    .filter((part, index, all) => index < all.length - 1 || !/^v\d/.test(part))
    .join('.');
}
