import type { Message } from '@bufbuild/protobuf';
import type { Db } from 'mongodb';
import type { Broker } from './broker.ts';
import { PermanentError, UnavailableError } from './errors.ts';
import { Header, type RecordedEvent, readEvent, type StoredMessage } from './event.ts';
import { Journal } from './journal.ts';
import { subjectOf } from './partitions.ts';
import type { PersonalData } from './personal-data.ts';
import type { Logger } from './telemetry/logging.ts';
import { type Checkpoint, checkpointIds, collectionOf, type Stored, type View } from './view.ts';

export type ReplicaParts = { broker: Broker; db: Db; personalData: PersonalData; logger: Logger };

/** How long a look-up waits for an event that is known to stand in the journal. */
const CATCH_UP_MS = 1_500;

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
  #reading: AsyncGenerator<StoredMessage> | undefined;

  constructor(view: View<Document, Event>, parts: ReplicaParts) {
    const [source, ...others] = view.sources;
    if (source === undefined || others.length > 0) throw new Error(`${view.name}: a replica follows one source`);
    this.#view = view;
    this.#parts = parts;
    this.#aggregate = source.aggregate;
    this.#journal = new Journal(source.journal, parts.broker);
  }

  /** Loads what there is and follows from there. */
  async start(): Promise<void> {
    const from = await this.#load().catch((error) => {
      this.#parts.logger.warn(
        { err: error, view: this.#view.name },
        'the view can not be loaded; reading the journal from its start',
      );
      return 0;
    });
    this.#reading = this.#journal.read(`${this.#journal.declaration.service}.event.*.${this.#aggregate}.*`, from + 1);
    this.#follow(this.#reading).catch((error) => {
      this.#parts.logger.error({ err: error, view: this.#view.name }, 'the view is not followed any more');
    });
  }

  async stop(): Promise<void> {
    // A generator that waits for its next message returns only after it; nobody has to wait for that.
    void this.#reading?.return(undefined);
  }

  /**
   * The document of a key. One that is missing is looked for in the journal, on its leader, before it is said not to exist.
   * @throws UnavailableError when it exists and could not be read in time.
   */
  async get(key: string): Promise<Document | undefined> {
    const known = this.#documents.get(key);
    if (known !== undefined) return known.document;
    const last = await this.#journal.lastOnLeader(subjectOf(this.#journal.declaration.service, this.#aggregate, key));
    if (last === undefined) return undefined;
    return this.#appears(key);
  }

  async #appears(key: string): Promise<Document | undefined> {
    const signal = AbortSignal.timeout(CATCH_UP_MS);
    while (!signal.aborted) {
      const known = this.#documents.get(key);
      if (known !== undefined) return known.document;
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

  async #load(): Promise<number> {
    const collection = this.#parts.db.collection<Stored<Document> & Checkpoint>(collectionOf(this.#view));
    const ids = checkpointIds();
    const found = (await collection.find({}).toArray()) as unknown as (Stored<Document> & Checkpoint)[];
    const checkpoints = found.filter(({ _id }) => ids.includes(_id));
    for (const document of found) {
      if (ids.includes(document._id)) continue;
      this.#documents.set(document._id, { document, sequence: document.applied[this.#journal.stream] ?? 0 });
    }
    if (checkpoints.length < ids.length) return 0;
    return Math.min(...checkpoints.map(({ positions }) => positions[this.#journal.stream] ?? 0));
  }

  async #follow(messages: AsyncIterable<StoredMessage>): Promise<void> {
    for await (const message of messages) {
      await this.#apply(message);
      for (const wake of this.#waiters) wake();
    }
  }

  async #apply(message: StoredMessage): Promise<void> {
    if (!this.#view.types.knows(message.headers.get(Header.type))) return;
    try {
      const event = (await readEvent(message, this.#view.types, this.#parts.personalData)) as RecordedEvent<Event>;
      const known = this.#documents.get(event.key);
      if (known !== undefined && known.sequence >= event.sequence) return;
      const document = this.#view.project(known?.document, event);
      if (document !== undefined) this.#documents.set(event.key, { document, sequence: event.sequence });
    } catch (error) {
      if (!(error instanceof PermanentError)) throw error;
      this.#parts.logger.error(
        { err: error, view: this.#view.name, sequence: message.sequence },
        'left out: it can not be decoded',
      );
    }
  }
}
