import { setTimeout as delay } from 'node:timers/promises';
import { AckPolicy, type ConsumerMessages, DeliverPolicy, type JsMsg, ReplayPolicy } from '@nats-io/jetstream';
import { type AnyBulkWriteOperation, type Collection, type Db, MongoBulkWriteError } from 'mongodb';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import type { Broker } from './broker.ts';
import { Parking } from './dead-letters.ts';
import { CallError, invalid, PermanentError, UnavailableError } from './errors.ts';
import { Header, type RecordedEvent, readEvent, type StoredMessage } from './event.ts';
import { Journal, storedFromConsumer } from './journal.ts';
import type { Health } from './lifecycle.ts';
import { allPartitions, parseSubject } from './partitions.ts';
import type { PersonalData } from './personal-data.ts';
import type { Logger } from './telemetry/logging.ts';
import { type Checkpoint, checkpointId, checkpointIds, collectionOf, type Stored, type View } from './view.ts';

/** Events folded and written at a time. */
const BATCH = 500;
/** Prefetched per consumer; small, because what is fetched has to be handled by this owner. */
const PREFETCH = 500;
/** Batches under way at once: while one is written, the next is decoded. */
const WORKERS = 2;
/** Under load a worker waits this long for more, so that it writes few large batches rather than many small ones. */
const GATHER_MS = 10;
const GATHER_FROM = 4;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
/** How often an idle view looks whether its checkpoints are still there. */
const PRESENCE_CHECK_MS = 2_000;
/** How long a query waits before it asks whether the position it waits for can exist. */
const FUTURE_CHECK_MS = 100;

/** How long a query waits at most, whatever its caller's deadline. */
const MAX_WAIT_MS = 10_000;

const DUPLICATE_KEY = 11_000;

/** How far one partition of one journal has come into the view. */
type Lane = {
  stream: string;
  partition: number;
  consumer: string;
  /** Sequence of the last message that the view shows. */
  position: number;
  messages: ConsumerMessages | undefined;
};

type Delivery = { lane: Lane; message: JsMsg };
type Waiter = { lane: Lane; sequence: number; resolve: () => void };

export type ProjectionParts = {
  service: string;
  broker: Broker;
  db: Db;
  personalData: PersonalData;
  logger: Logger;
};

/**
 * Keeps a view up to date: pulls events in batches, folds all of a document's events in memory, writes one unordered
 * bulk, then the checkpoints, then acknowledges. At start each consumer is reset to its checkpoint, so that view and
 * position can't part: where the checkpoints are gone, the view is rebuilt.
 */
export class Projection<Document extends object> {
  readonly view: View<Document>;
  readonly collection: Collection<Stored<Document>>;
  readonly #parts: ProjectionParts;
  readonly #lanes: Lane[];
  readonly #journals: Map<string, Journal>;
  readonly #waiters = new Set<Waiter>();
  #parking: Parking | undefined;
  #problem: string | undefined = 'not started';
  #stop: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(view: View<Document>, parts: ProjectionParts) {
    this.view = view;
    this.#parts = parts;
    this.collection = parts.db.collection<Stored<Document>>(collectionOf(view));
    const declarations = new Map(view.sources.map(({ journal }) => [journal.stream, journal]));
    this.#journals = new Map(
      [...declarations].map(([stream, journal]) => [stream, new Journal(journal, parts.broker)]),
    );
    this.#lanes = [...declarations.keys()].flatMap((stream) =>
      allPartitions.map((partition) => ({
        stream,
        partition,
        consumer: this.#consumerName(partition),
        position: 0,
        messages: undefined,
      })),
    );
  }

  /** Starts following. Resolves at once; the view is behind until it has caught up. */
  start(): void {
    const stop = new AbortController();
    this.#stop = stop;
    this.#running = this.#keepFollowing(stop.signal);
  }

  /** Finishes the batches at work, then stops. */
  async stop(): Promise<void> {
    this.#stop?.abort();
    await this.#running;
  }

  health(): Health {
    return this.#problem === undefined
      ? { ready: true, reasons: [] }
      : { ready: false, reasons: [`view ${this.view.name}: ${this.#problem}`] };
  }

  /** How far each partition of each journal has come into the view. */
  positions(): { stream: string; partition: number; sequence: number }[] {
    return this.#lanes.map(({ stream, partition, position }) => ({ stream, partition, sequence: position }));
  }

  /** The document of this id. */
  async find(id: string): Promise<Stored<Document> | undefined> {
    return ((await this.collection.findOne({ _id: id } as object)) as Stored<Document> | null) ?? undefined;
  }

  /**
   * Waits until the view shows these positions.
   * @throws CallError INVALID_ARGUMENT for a position of a journal that the view is not made from, or that does not
   *   exist yet; DEADLINE_EXCEEDED when the signal comes first.
   */
  async reached(positions: readonly Position[], signal: AbortSignal): Promise<void> {
    await Promise.all(positions.map((position, index) => this.#reachedOne(position, `at_least[${index}]`, signal)));
  }

  async #reachedOne({ stream, partition, sequence }: Position, field: string, signal: AbortSignal): Promise<void> {
    const lane = this.#lanes.find((each) => each.stream === stream && each.partition === partition);
    if (lane === undefined)
      throw invalid(field, `${this.view.name} is not made from partition ${partition} of ${stream}`);
    const target = Number(sequence);
    if (lane.position >= target) return;
    const latest = performance.now() + MAX_WAIT_MS;
    const waiter = this.#wait(lane, target);
    try {
      while (lane.position < target) {
        // Most positions are a few milliseconds old: to ask the broker about them first would only make them later.
        await Promise.race([waiter.shown, delay(FUTURE_CHECK_MS)]);
        if (lane.position >= target) return;
        if (signal.aborted || performance.now() > latest)
          throw new CallError('DEADLINE_EXCEEDED', `${this.view.name} has not come to ${stream} ${target} yet`);
        if (this.#problem !== undefined) throw new UnavailableError(`view ${this.view.name} is interrupted`);
        const last = await this.#journal(lane).lastSequence();
        if (target > last) throw invalid(field, `${stream} has come to ${last} only`);
        if (await this.#hasPassed(lane)) return;
      }
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  #wait(lane: Lane, sequence: number): Waiter & { shown: Promise<void> } {
    const { promise: shown, resolve } = Promise.withResolvers<void>();
    const waiter = { lane, sequence, resolve, shown };
    this.#waiters.add(waiter);
    return waiter;
  }

  /** Nothing is left for the lane: the position waited for is of an event that the view does not look at. */
  async #hasPassed(lane: Lane): Promise<boolean> {
    const info = await this.#parts.broker.manager.consumers.info(lane.stream, lane.consumer);
    return info.num_pending === 0 && lane.position >= info.delivered.stream_seq;
  }

  #journal({ stream }: Lane): Journal {
    const journal = this.#journals.get(stream);
    if (journal === undefined) throw new Error(`no journal ${stream}`);
    return journal;
  }

  #consumerName(partition: number): string {
    return `${this.#parts.service}-${collectionOf(this.view)}-${partition}`;
  }

  async #keepFollowing(signal: AbortSignal): Promise<void> {
    let wait = RETRY_MIN_MS;
    while (!signal.aborted) {
      try {
        await this.#follow(signal, () => {
          this.#problem = undefined;
          wait = RETRY_MIN_MS;
        });
      } catch (error) {
        if (signal.aborted) return;
        this.#problem = error instanceof Error ? error.message : String(error);
        this.#parts.logger.warn(
          { err: error, view: this.view.name },
          'the view is interrupted, and goes on from its checkpoint',
        );
        await delay(wait, undefined, { signal }).catch(() => {});
        wait = Math.min(wait * 2, RETRY_MAX_MS);
      }
    }
  }

  /** Follows until it is stopped or something fails. Whatever fails, the next turn starts from the checkpoints. */
  async #follow(signal: AbortSignal, started: () => void): Promise<void> {
    const turn = new AbortController();
    const end = () => turn.abort();
    signal.addEventListener('abort', end, { once: true });
    const forget = this.#parts.broker.onReconnect(() => turn.abort(new Error('the connection to the broker was lost')));
    const queues: Delivery[][] = Array.from({ length: WORKERS }, () => []);
    const wakes: (() => void)[] = queues.map(() => () => {});
    try {
      await this.#prepare();
      for (const lane of this.#lanes) {
        const worker = lane.partition % WORKERS;
        await this.#pull(lane, turn, (message) => {
          queues[worker]?.push({ lane, message });
          wakes[worker]?.();
        });
      }
      started();
      const work = queues.map((queue, worker) =>
        this.#work(queue, turn.signal, (wake) => {
          wakes[worker] = wake;
        }),
      );
      await Promise.all([...work, this.#watchCheckpoints(turn.signal)]).catch((error) => {
        turn.abort(error);
        return Promise.allSettled(work).then(() => Promise.reject(error));
      });
      if (!signal.aborted) throw turn.signal.reason;
    } finally {
      signal.removeEventListener('abort', end);
      forget();
      turn.abort();
      await Promise.all(this.#lanes.map((lane) => lane.messages?.close()));
    }
  }

  /** Brings checkpoints, indexes and consumers into line before the first pull. */
  async #prepare(): Promise<void> {
    this.#parking = await Parking.open(this.#parts.broker, `${this.#parts.service}-${collectionOf(this.view)}`);
    await this.collection.createIndexes([
      { key: { _id: 1, revision: 1 } },
      { key: { partition: 1 } },
      ...(this.view.indexes ?? []),
    ]);
    const checkpoints = await readCheckpoints(this.collection);
    for (const partition of allPartitions) {
      if (!checkpoints.has(partition)) await this.#beginAnew(partition);
    }
    for (const lane of this.#lanes) {
      lane.position = checkpoints.get(lane.partition)?.[lane.stream] ?? 0;
      await this.#ensureConsumer(lane);
      await this.#parts.broker.manager.consumers.reset(lane.stream, lane.consumer, lane.position + 1);
    }
  }

  /** Without a checkpoint nothing is known of the partition's documents: they are made again from the first event. */
  async #beginAnew(partition: number): Promise<void> {
    await this.collection.deleteMany({ partition } as object);
    await checkpointsOf(this.collection).updateOne(
      { _id: checkpointId(partition) },
      { $setOnInsert: { positions: {} } },
      { upsert: true },
    );
  }

  async #ensureConsumer(lane: Lane): Promise<void> {
    const subjects = this.view.sources
      .filter(({ journal }) => journal.stream === lane.stream)
      .map(({ journal, aggregate }) => `${journal.service}.event.${lane.partition}.${aggregate}.*`);
    await this.#parts.broker.manager.consumers.add(lane.stream, {
      durable_name: lane.consumer,
      filter_subjects: subjects,
      ack_policy: AckPolicy.All,
      deliver_policy: DeliverPolicy.All,
      replay_policy: ReplayPolicy.Instant,
      max_deliver: -1,
      max_ack_pending: PREFETCH * 4,
      ack_wait: 60_000_000_000,
    });
  }

  async #pull(lane: Lane, turn: AbortController, deliver: (message: JsMsg) => void): Promise<void> {
    const consumer = await this.#parts.broker.js.consumers.get(lane.stream, lane.consumer);
    const messages = await consumer.consume({ max_messages: PREFETCH, callback: deliver });
    lane.messages = messages;
    void messages.closed().then((error) => turn.abort(error ?? new Error(`consumer ${lane.consumer} was closed`)));
  }

  async #work(queue: Delivery[], signal: AbortSignal, onWake: (wake: () => void) => void): Promise<void> {
    while (!signal.aborted) {
      if (queue.length === 0) await woken(signal, onWake);
      const batch = queue.splice(0, BATCH);
      if (batch.length === 0) continue;
      await this.#handle(batch);
      if (batch.length >= GATHER_FROM && queue.length < BATCH) await delay(GATHER_MS);
    }
  }

  async #handle(batch: readonly Delivery[]): Promise<void> {
    const events: RecordedEvent[] = [];
    for (const { message } of batch) {
      const event = await this.#read(storedFromConsumer(message));
      if (event !== undefined) events.push(event);
    }
    await this.#write(events);
    const last = new Map(batch.map(({ lane, message }) => [lane, message]));
    for (const [lane, message] of last) lane.position = message.seq;
    for (const waiter of this.#waiters) {
      if (waiter.lane.position >= waiter.sequence) waiter.resolve();
    }
    await this.#raiseCheckpoints([...last.keys()]);
    for (const message of last.values()) message.ack();
  }

  /** The event in a message; undefined where it has been parked. */
  async #read(message: StoredMessage): Promise<RecordedEvent | undefined> {
    const { key, partition } = parseSubject(message.subject) ?? { key: 'unknown', partition: 0 };
    if (this.#parking?.isParked(partition, key)) {
      await this.#parking.park(message, { reason: 'BEHIND_A_PARKED_MESSAGE', error: '', attempts: 0 });
      return undefined;
    }
    // Types that the view does not look at, or that a newer program has added, are none of its business.
    const type = message.headers.get(Header.type);
    if (type !== '' && !this.view.types.knows(type)) return undefined;
    try {
      return await readEvent(message, this.view.types, this.#parts.personalData);
    } catch (error) {
      if (!(error instanceof PermanentError)) throw error;
      this.#parts.logger.error(
        { err: error, view: this.view.name, subject: message.subject, sequence: message.sequence },
        'parked',
      );
      await this.#parking?.park(message, { reason: 'CANNOT_DECODE', error: error.message, attempts: 1 });
      return undefined;
    }
  }

  /** Writes until nothing of the batch is left: what others wrote meanwhile is read and folded again. */
  async #write(events: readonly RecordedEvent[]): Promise<void> {
    const byDocument = Map.groupBy(events, (event) => this.view.documentId?.(event) ?? event.key);
    let left = [...byDocument.keys()];
    // The first version of a key that makes a document of its own can be written without looking for it first.
    let known = new Map<string, Stored<Document>>();
    let unread = left.filter((id) => this.#mayExist(id, byDocument.get(id) ?? []));
    while (left.length > 0) {
      known = new Map([...known, ...(await this.#find(unread))]);
      const operations = left.flatMap((id) => {
        const operation = this.#fold(id, known.get(id), byDocument.get(id) ?? []);
        return operation === undefined ? [] : [{ id, operation }];
      });
      left = await this.#bulk(operations);
      for (const id of left) known.delete(id);
      unread = left;
    }
  }

  #mayExist(id: string, events: readonly RecordedEvent[]): boolean {
    const first = events[0];
    return first === undefined || first.version > 1 || first.key !== id || this.#journals.size > 1;
  }

  async #find(ids: readonly string[]): Promise<Map<string, Stored<Document>>> {
    if (ids.length === 0) return new Map();
    const found = await this.collection.find({ _id: { $in: ids } } as object).toArray();
    return new Map(found.map((document) => [document._id as string, document as Stored<Document>]));
  }

  #fold(
    id: string,
    stored: Stored<Document> | undefined,
    events: readonly RecordedEvent[],
  ): AnyBulkWriteOperation<Stored<Document>> | undefined {
    const applied: Record<string, number> = { ...stored?.applied };
    let document: Document | undefined = stored;
    for (const event of events) {
      if (event.sequence <= (applied[event.stream] ?? 0)) continue;
      document = this.view.project(document, event);
      applied[event.stream] = event.sequence;
    }
    if (document === undefined || document === stored) return undefined;
    const revision = (stored?.revision ?? 0) + 1;
    const replacement = { ...document, _id: id, applied, revision, partition: events[0]?.partition ?? 0 };
    return (
      stored === undefined
        ? { insertOne: { document: replacement } }
        : { replaceOne: { filter: { _id: id, revision: stored.revision }, replacement } }
    ) as AnyBulkWriteOperation<Stored<Document>>;
  }

  /** Writes one unordered bulk; answers which documents somebody else has changed meanwhile. */
  async #bulk(
    operations: readonly { id: string; operation: AnyBulkWriteOperation<Stored<Document>> }[],
  ): Promise<string[]> {
    if (operations.length === 0) return [];
    const replaced = operations.filter(({ operation }) => 'replaceOne' in operation);
    try {
      const result = await this.collection.bulkWrite(
        operations.map(({ operation }) => operation),
        { ordered: false },
      );
      return result.matchedCount === replaced.length ? [] : replaced.map(({ id }) => id);
    } catch (error) {
      if (!(error instanceof MongoBulkWriteError)) throw error;
      const failures = [error.writeErrors].flat();
      if (failures.some(({ code }) => code !== DUPLICATE_KEY)) throw error;
      const taken = failures.flatMap(({ index }) => operations[index]?.id ?? []);
      return error.result.matchedCount === replaced.length ? taken : [...taken, ...replaced.map(({ id }) => id)];
    }
  }

  async #raiseCheckpoints(lanes: readonly Lane[]): Promise<void> {
    const { matchedCount } = await checkpointsOf(this.collection).bulkWrite(
      lanes.map(({ partition, stream, position }) => ({
        updateOne: {
          filter: { _id: checkpointId(partition) },
          update: { $max: { [`positions.${stream}`]: position } },
        },
      })),
    );
    if (matchedCount !== lanes.length) throw new ViewLostError(`${collectionOf(this.view)} has lost its checkpoints`);
  }

  /** A view that was dropped by hand comes back although nothing happens to any aggregate. */
  async #watchCheckpoints(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(PRESENCE_CHECK_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const checkpoints = await readCheckpoints(this.collection);
      if (checkpoints.size < allPartitions.length) {
        throw new ViewLostError(`${collectionOf(this.view)} has lost its checkpoints`);
      }
    }
  }
}

/** Somebody dropped the view while it was followed. It rebuilds itself. */
class ViewLostError extends Error {
  override name = 'ViewLostError';
}

function checkpointsOf<Document extends object>(collection: Collection<Stored<Document>>): Collection<Checkpoint> {
  return collection as unknown as Collection<Checkpoint>;
}

async function readCheckpoints<Document extends object>(
  collection: Collection<Stored<Document>>,
): Promise<Map<number, Record<string, number>>> {
  const found = await checkpointsOf(collection)
    .find({ _id: { $in: checkpointIds() } })
    .toArray();
  return new Map(found.map(({ _id, positions }) => [Number(_id.split(':')[1]), positions]));
}

/** Resolves when it is woken or the signal aborts. */
function woken(signal: AbortSignal, onWake: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      signal.removeEventListener('abort', wake);
      onWake(() => {});
      resolve();
    };
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', wake, { once: true });
    onWake(wake);
  });
}
