import { setTimeout as delay } from 'node:timers/promises';
import type { Message } from '@bufbuild/protobuf';
import type { Db } from 'mongodb';
import type { Broker } from './broker.ts';
import { queried } from './database.ts';
import { UnavailableError } from './errors.ts';
import { Header, type RecordedEvent, readEvent, type StoredMessage } from './event.ts';
import { Journal } from './journal.ts';
import type { Health } from './lifecycle.ts';
import { isOutage } from './outages.ts';
import { subjectOf } from './partitions.ts';
import { type Keys, noKeys } from './personal-data.ts';
import { messagesBetween } from './stream-window.ts';
import type { Logger } from './telemetry/logging.ts';
import { type Checkpoint, checkpointIds, collectionOf, type EventSource, type Stored, type View } from './view.ts';

export type ReplicaParts = {
  broker: Broker;
  db: Db;
  personalData: Keys;
  logger: Logger;
};

/** How long a look-up waits for an event that is known to stand in the journal. */
const CATCH_UP_MS = 1_500;
const LOOK_MS = 1_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;

/**
 * A small view that every process holds in memory too, so that a command needs no database. It begins with what the
 * database has of the view, where that can be had, and then follows the journal by itself.
 */
export class Replica<Document extends object, Event extends Message = Message> {
  readonly #view: View<Document, Event>;
  readonly #parts: ReplicaParts;
  readonly #journal: Journal;
  readonly #aggregate: string;
  readonly #documents = new Map<string, { document: Document; sequence: number }>();
  readonly #waiters = new Set<() => void>();
  #asking: Promise<number> | undefined;
  /** Sequence of the last message that was read. */
  #position = 0;
  #look = () => {};
  /** Whether everything was read that stood in the journal when following began. */
  #isCurrent = false;
  #problem: string | undefined = 'not started';
  #stop: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(view: View<Document, Event>, parts: ReplicaParts) {
    const [source, ...others] = view.sources;
    if (source === undefined || others.length > 0) throw new Error(`${view.name}: a replica follows one source`);
    if (view.erased !== undefined) throw new Error(`${view.name}: a replica can't forget, and holds no personal data`);
    this.#view = view;
    this.#parts = parts;
    this.#aggregate = source.aggregate;
    this.#journal = new Journal(source.journal, parts.broker);
  }

  /** Loads what there is; follows from there, whatever happens, until it is stopped. */
  async start(): Promise<void> {
    this.#position = await this.#load().catch((error) => {
      this.#parts.logger.warn(
        { err: error, view: this.#view.name },
        'the view can not be loaded; reading the journal from its start',
      );
      return 0;
    });
    const stop = new AbortController();
    this.#stop = stop;
    this.#running = this.#keepFollowing(stop.signal);
  }

  /** Follows no longer. */
  async stop(): Promise<void> {
    this.#stop?.abort();
    await this.#running;
  }

  /** What it follows. */
  describe(): EventSource {
    return { journal: this.#journal.declaration, aggregate: this.#aggregate };
  }

  health(): Health {
    return this.#problem === undefined
      ? { ready: true, reasons: [] }
      : { ready: false, reasons: [`${this.#view.name} in memory: ${this.#problem}`] };
  }

  /**
   * The document of a key. One that is missing is looked for in the journal, on its leader, before it is said not to exist.
   * @throws UnavailableError when it exists and could not be read in time; after a start also while what happened
   *   before has not been read: what is known of the key may be long out of date.
   */
  async get(key: string): Promise<Document | undefined> {
    if (!this.#isCurrent) await this.#until(() => this.#isCurrent);
    const known = this.#documents.get(key);
    if (known !== undefined) return known.document;
    const last = await this.#journal.lastOnLeader(subjectOf(this.#journal.declaration.service, this.#aggregate, key));
    if (last === undefined) return undefined;
    await this.#until(() => this.#documents.has(key));
    return this.#documents.get(key)?.document;
  }

  /**
   * Every document by its key, as new as the journal is when this is called.
   * @throws UnavailableError when the journal has more than could be read in time.
   */
  async all(): Promise<Map<string, Document>> {
    const sequence = await this.#lastSequence();
    await this.#until(() => this.#isCurrent && this.#position >= sequence);
    return new Map([...this.#documents].map(([key, { document }]) => [key, document]));
  }

  /** Where the aggregate's last event stands. Who asks in the same turn of the event loop shares the answer. */
  #lastSequence(): Promise<number> {
    this.#asking ??= new Promise((resolve) => setImmediate(resolve)).then(async () => {
      this.#asking = undefined;
      const last = await this.#journal.lastOnLeader(this.#subjects);
      return last?.sequence ?? 0;
    });
    return this.#asking;
  }

  get #subjects(): string {
    return `${this.#journal.declaration.service}.event.*.${this.#aggregate}.*`;
  }

  async #until(isSo: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(CATCH_UP_MS);
    if (!isSo()) this.#look();
    while (!signal.aborted) {
      if (isSo()) return;
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#waiters.delete(done);
          resolve();
        };
        this.#waiters.add(done);
        signal.addEventListener('abort', done, { once: true });
      });
    }
    throw new UnavailableError(`${this.#view.name} has not caught up with its journal`);
  }

  /** What the database has of the view; resolves with the sequence up to which that is all there is. */
  async #load(): Promise<number> {
    const { stream } = this.#journal;
    const collection = this.#parts.db.collection<{ _id: string }>(collectionOf(this.#view));
    const ids = checkpointIds();
    // In this order: the documents are then never older than the checkpoints say.
    const checkpoints = (await queried(collection, () =>
      collection.find({ _id: { $in: ids } }).toArray(),
    )) as unknown as Checkpoint[];
    const documents = await queried(collection, () => collection.find({ _id: { $nin: ids } }).toArray());
    const generations = new Set(checkpoints.map(({ generation }) => generation));
    for (const document of documents as unknown as Stored<Document>[]) {
      if (!generations.has(document.generation)) continue;
      this.#documents.set(document._id, { document, sequence: document.applied[stream] ?? 0 });
    }
    return checkpoints.length < ids.length
      ? 0
      : Math.min(...checkpoints.map(({ positions }) => positions[stream] ?? 0));
  }

  async #keepFollowing(signal: AbortSignal): Promise<void> {
    let wait = RETRY_MIN_MS;
    while (!signal.aborted) {
      const before = this.#position;
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#problem = error instanceof Error ? error.message : String(error);
        this.#parts.logger.warn(
          { err: error, view: this.#view.name },
          'the view in memory is interrupted, and goes on',
        );
        if (this.#position > before) wait = RETRY_MIN_MS;
        await delay(wait, undefined, { signal }).catch(() => {});
        wait = Math.min(wait * 2, RETRY_MAX_MS);
      }
    }
  }

  /**
   * Reads what the journal has, and again whenever it says that it has stored something, until it is stopped or something
   * fails. What is said live may get lost, so it is looked for now and then as well.
   */
  async #follow(signal: AbortSignal): Promise<void> {
    const { connection } = this.#parts.broker;
    const subscription = connection.subscribe(`live.${this.#subjects}`, { callback: () => this.#look() });
    this.#problem = 'catching up';
    try {
      while (!signal.aborted) {
        const looked = this.#nextLook(signal);
        await this.#read(signal);
        if (!signal.aborted) this.#caughtUp();
        await looked;
      }
    } finally {
      if (!subscription.isClosed()) subscription.unsubscribe();
    }
  }

  /** Everything from its position on, up to what its leader has now. */
  async #read(signal: AbortSignal): Promise<void> {
    const { stream } = this.#journal;
    const last = (await this.#journal.lastOnLeader(this.#subjects))?.sequence ?? 0;
    const range = { from: this.#position + 1, to: last, subject: this.#subjects };
    for await (const message of messagesBetween(this.#parts.broker, stream, range)) {
      if (signal.aborted) return;
      await this.#apply(message);
      this.#position = message.sequence;
      for (const wake of this.#waiters) wake();
    }
    this.#position = Math.max(this.#position, last);
  }

  /** Until somebody wants it to look, or it is time to. */
  #nextLook(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => resolve();
    const timer = setTimeout(look, LOOK_MS);
    signal.addEventListener('abort', look, { once: true });
    this.#look = look;
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', look);
    });
  }

  #caughtUp(): void {
    this.#isCurrent = true;
    this.#problem = undefined;
    for (const wake of this.#waiters) wake();
  }

  async #apply(message: StoredMessage): Promise<void> {
    if (!this.#view.types.knows(message.headers.get(Header.type))) return;
    try {
      const event = (await readEvent(message, this.#view.types, noKeys)) as RecordedEvent<Event>;
      const known = this.#documents.get(event.key);
      if (known !== undefined && known.sequence >= event.sequence) return;
      const document = this.#view.project(known?.document, event);
      if (document !== undefined) this.#documents.set(event.key, { document, sequence: event.sequence });
    } catch (error) {
      if (isOutage(error)) throw error;
      this.#parts.logger.error(
        { err: error, view: this.#view.name, sequence: message.sequence },
        'left out: it can not be read',
      );
    }
  }
}
