import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JsMsg,
  ReplayPolicy,
} from '@nats-io/jetstream';
import type { Collection, Db } from 'mongodb';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import { answered, type Broker } from './broker.ts';
import { queried } from './database.ts';
import type { ParkingNote } from './dead-letters.ts';
import { CallError, invalid, PermanentError, UnavailableError } from './errors.ts';
import { Header, type RecordedEvent, readEvent, type StoredMessage } from './event.ts';
import { storedFromConsumer } from './journal.ts';
import type { Health } from './lifecycle.ts';
import { ParkedKeys } from './parked-keys.ts';
import { allPartitions, parseSubject } from './partitions.ts';
import type { PersonalData } from './personal-data.ts';
import { observedBatch } from './telemetry/batches.ts';
import type { Logger } from './telemetry/logging.ts';
import { countParked, recordDelay } from './telemetry/metrics.ts';
import { type Checkpoint, collectionOf, type Stored, type View } from './view.ts';
import { type Claim, type Refusal, SupersededError, ViewStore } from './view-store.ts';

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
/** A turn that lasted so long was a good one: the next retry comes quickly again. */
const GOOD_TURN_MS = 5_000;
const WATCH_MS = 1_000;
/** Looks after which a process that stands by takes over; the one that follows finds by itself what is amiss before. */
const PATIENCE = 4;
/** The server's error code (nats-server, errors.json) for a consumer that exists with other settings. */
const CONSUMER_DIFFERS = 10_148;
const ON_ITS_WAY_MS = 200;
/** How long a query waits before it asks whether the position it waits for can exist, and how far the view has come. */
const LOOK_MS = 50;
/** The same where another process follows, and nobody tells this one what is shown. */
const STAND_BY_LOOK_MS = 10;
/** How long a query waits at most, whatever its caller's deadline. */
const MAX_WAIT_MS = 10_000;
/** How long a view may be interrupted before a query that waits for it is told to come again. */
const INTERRUPTED_MS = 1_000;

/** One partition of one journal, and how far it has come into the view. */
type Lane = {
  stream: string;
  partition: number;
  consumer: string;
  /** Sequence of the last message that the view shows. */
  position: number;
  /** The consumer's own sequence that the next message must have: another one says that somebody else got messages. */
  next: number;
  messages: ConsumerMessages | undefined;
};

type Delivery = { lane: Lane; message: JsMsg };
type Waiter = { lane: Lane; sequence: number; wake: () => void };

export type ProjectionParts = {
  service: string;
  broker: Broker;
  db: Db;
  personalData: Pick<PersonalData, 'find'>;
  logger: Logger;
};

/** Messages were delivered to somebody else, or got lost on the way. */
class DeliveryGapError extends Error {
  override name = 'DeliveryGapError';
}

/**
 * Keeps a view up to date: pulls events in batches, folds all of a document's events in memory, writes one unordered
 * bulk, then the checkpoints, then acknowledges. A turn begins with taking the view over and resetting each consumer
 * to its checkpoint, so that view and position can't part: where the checkpoints are gone, the view is rebuilt.
 *
 * One process follows at a time. The consumer counts what it delivers from the reset on, so a gap in its count, or
 * another owner in the checkpoint, says that not every message came here: nothing is written, and the turn ends.
 * Another process that finds the view taken over stands by until nothing moves any more.
 */
export class Projection<Document extends object> {
  readonly view: View<Document>;
  /** For queries. */
  readonly collection: Collection<Stored<Document>>;
  readonly #parts: ProjectionParts;
  readonly #name: string;
  /** Tells this process from others in a checkpoint's owner; what stands behind it, its turns. */
  readonly #process = randomUUID();
  readonly #watchMs: number;
  readonly #store: ViewStore<Document>;
  readonly #lanes: Lane[];
  /** The packages of the event types that the view looks at, without their versions. */
  readonly #packages: Set<string>;
  readonly #waiters = new Set<Waiter>();
  #parked: ParkedKeys | undefined;
  #problem: string | undefined = 'not started';
  #interruptedAt = 0;
  #stop: AbortController | undefined;
  #turn: AbortController | undefined;
  #claim: Claim | undefined;
  #running: Promise<void> = Promise.resolve();

  /** @param watchMs how often it is looked whether the checkpoints are still there and the consumers still deliver. */
  constructor(view: View<Document>, parts: ProjectionParts, { watchMs = WATCH_MS }: { watchMs?: number } = {}) {
    this.view = view;
    this.#watchMs = watchMs;
    this.#parts = parts;
    this.#name = `${parts.service}-${collectionOf(view)}`;
    this.#store = new ViewStore(view, parts.db);
    this.collection = parts.db.collection<Stored<Document>>(collectionOf(view));
    this.#packages = new Set(view.types.names().map(packageOf));
    const streams = new Set(view.sources.map(({ journal }) => journal.stream));
    this.#lanes = [...streams].flatMap((stream) =>
      allPartitions.map((partition) => ({
        stream,
        partition,
        consumer: `${this.#name}-${partition}`,
        position: 0,
        next: 1,
        messages: undefined,
      })),
    );
  }

  /** Starts following. Resolves at once; the view is behind until it has caught up. */
  start(): void {
    const stop = new AbortController();
    this.#stop = stop;
    this.#interruptedAt = performance.now();
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

  /** The document of this id. @throws UnavailableError where the database is away. */
  async find(id: string): Promise<Stored<Document> | undefined> {
    const found = await queried(this.collection, () => this.collection.findOne({ _id: id } as object));
    return (found as Stored<Document> | null) ?? undefined;
  }

  /**
   * Waits until the view shows these positions, and is whole.
   * @throws CallError INVALID_ARGUMENT for a position of a journal that the view is not made from, or that does not
   *   exist yet; DEADLINE_EXCEEDED when the signal comes first.
   * @throws UnavailableError where broker or database are away.
   */
  async reached(positions: readonly Position[], signal: AbortSignal): Promise<void> {
    await Promise.all(positions.map((position, index) => this.#reachedOne(position, `at_least[${index}]`, signal)));
  }

  async #reachedOne({ stream, partition, sequence }: Position, field: string, signal: AbortSignal): Promise<void> {
    const lane = this.#lanes.find((each) => each.stream === stream && each.partition === partition);
    if (lane === undefined) {
      throw invalid(field, `${this.view.name} is not made from partition ${partition} of ${stream}`);
    }
    const target = Number(sequence);
    const latest = performance.now() + MAX_WAIT_MS;
    let exists = false;
    // Most positions are a few milliseconds old: to ask about them first would only make them later.
    while (!(await this.#shown(lane, target, signal))) {
      if (signal.aborted || performance.now() > latest) {
        throw new CallError('DEADLINE_EXCEEDED', `${this.view.name} has not come to ${stream} ${target} yet`);
      }
      if (this.#isInterrupted()) throw new UnavailableError(`view ${this.view.name} is interrupted`);
      if (!exists) await this.#mustExist(lane, target, field);
      exists = true;
      if (await this.#hasPassed(lane)) return;
    }
  }

  /** Most interruptions are over before a query has to be told of them. */
  #isInterrupted(): boolean {
    return this.#problem !== undefined && performance.now() - this.#interruptedAt > INTERRUPTED_MS;
  }

  /** Waits a little for the position. What this process has in memory counts only while the view is what it was. */
  async #shown(lane: Lane, target: number, signal: AbortSignal): Promise<boolean> {
    if (lane.position < target) await this.#waitFor(lane, target, signal);
    const checkpoint = await this.#checkpointOf(lane);
    if (checkpoint === undefined) return false;
    // Another process may be the one that follows.
    if ((checkpoint.positions[lane.stream] ?? 0) >= target) return true;
    return lane.position >= target && checkpoint.generation === this.#claim?.generations.get(lane.partition);
  }

  /** Until the position is shown, the signal aborts, or it is time to look. */
  #waitFor(lane: Lane, sequence: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#waiters.delete(waiter);
        resolve();
      };
      const timer = setTimeout(wake, this.#claim === undefined ? STAND_BY_LOOK_MS : LOOK_MS);
      const waiter = { lane, sequence, wake };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted) wake();
    });
  }

  async #checkpointOf({ partition }: Lane): Promise<Checkpoint | undefined> {
    const id = { _id: `checkpoint:${partition}` } as object;
    const checkpoint = (await queried(this.collection, () =>
      this.collection.findOne(id),
    )) as unknown as Checkpoint | null;
    const generation = this.#claim?.generations.get(partition);
    const isLost = checkpoint === null || (generation !== undefined && checkpoint.generation !== generation);
    if (isLost) this.#turn?.abort(new UnavailableError(`${collectionOf(this.view)} was dropped`));
    return checkpoint ?? undefined;
  }

  /** @throws CallError for a position that is in the future, or in another partition. */
  async #mustExist({ stream, partition }: Lane, sequence: number, field: string): Promise<void> {
    const { manager } = this.#parts.broker;
    // No stream comes so far, and the broker can't be asked: what stands for it here is not the number that was given.
    if (!Number.isSafeInteger(sequence)) throw invalid(field, `${stream} has not come to it`);
    const message = await answered(this.#parts.broker, () => manager.streams.getMessage(stream, { seq: sequence }));
    if (message === null) throw invalid(field, `${stream} has not come to ${sequence}`);
    const actual = parseSubject(message.subject)?.partition;
    if (actual !== partition) throw invalid(field, `${stream} ${sequence} is in partition ${actual}, not ${partition}`);
  }

  /** Nothing is left for the lane: the position waited for is of an event that the view does not look at. */
  async #hasPassed(lane: Lane): Promise<boolean> {
    const { manager } = this.#parts.broker;
    const info = await answered(this.#parts.broker, () => manager.consumers.info(lane.stream, lane.consumer)).catch(
      (error) => {
        if (isConsumerMissing(error)) return undefined;
        throw error;
      },
    );
    if (info === undefined || info.num_pending > 0) return false;
    const checkpoint = await this.#checkpointOf(lane);
    return (checkpoint?.positions[lane.stream] ?? 0) >= info.delivered.stream_seq;
  }

  /** One turn after the other. Whatever fails, the next turn starts from the checkpoints. */
  async #keepFollowing(signal: AbortSignal): Promise<void> {
    let wait = RETRY_MIN_MS;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof SupersededError) {
          this.#parts.logger.info({ view: this.view.name }, 'another process follows the view; standing by');
          await this.#standBy(signal);
          continue;
        }
        if (this.#problem === undefined) this.#interruptedAt = performance.now();
        this.#problem = error instanceof Error ? error.message : String(error);
        this.#parts.logger.warn(
          { err: error, view: this.view.name },
          'the view is interrupted, and goes on from its checkpoint',
        );
        if (performance.now() - began > GOOD_TURN_MS) wait = RETRY_MIN_MS;
        // Two that end each other's turns must not come back at the same time, again and again.
        await delay(wait * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
        wait = Math.min(wait * 2, RETRY_MAX_MS);
      } finally {
        this.#claim = undefined;
      }
    }
  }

  /** Until something waits for the view and nobody brings it on. */
  async #standBy(signal: AbortSignal): Promise<void> {
    this.#problem = undefined;
    let before = '';
    let still = 0;
    while (!signal.aborted) {
      await delay(this.#watchMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        const checkpoints = await this.#store.checkpoints();
        const infos = await this.#consumerInfos();
        for (const lane of this.#lanes) {
          lane.position = checkpoints.get(lane.partition)?.positions[lane.stream] ?? 0;
        }
        const now = JSON.stringify([...checkpoints]);
        const isBehind = infos.some((info) => info.num_pending > 0 || info.num_ack_pending > 0);
        still = isBehind && now === before ? still + 1 : 0;
        if (checkpoints.size < allPartitions.length || still === PATIENCE) return;
        before = now;
      } catch {
        // The turn that is begun now says what is wrong.
        return;
      }
    }
  }

  /** Follows until it is stopped or something fails. */
  async #follow(signal: AbortSignal): Promise<void> {
    const turn = new AbortController();
    const end = () => turn.abort();
    signal.addEventListener('abort', end, { once: true });
    const forget = this.#parts.broker.onReconnect(() => turn.abort(new Error('the connection to the broker was lost')));
    const queues: Delivery[][] = Array.from({ length: WORKERS }, () => []);
    const wakes: (() => void)[] = queues.map(() => () => {});
    try {
      const claim = await this.#prepare();
      this.#turn = turn;
      for (const lane of this.#lanes) {
        const worker = lane.partition % WORKERS;
        await this.#pull(lane, turn, (message) => {
          queues[worker]?.push({ lane, message });
          wakes[worker]?.();
        });
      }
      this.#problem = undefined;
      const work = queues.map((queue, worker) =>
        this.#work(queue, claim, turn.signal, (wake) => {
          wakes[worker] = wake;
        }),
      );
      await Promise.all([...work, this.#watch(claim, turn.signal)]).catch((error) => {
        turn.abort(error);
        return Promise.allSettled(work).then(() => Promise.reject(error));
      });
      if (signal.aborted) return;
      // Where another process has taken the view over, whatever ended the turn was its doing.
      await this.#store.checkClaim(claim);
      throw turn.signal.reason;
    } finally {
      signal.removeEventListener('abort', end);
      forget();
      turn.abort();
      this.#turn = undefined;
      await Promise.all(this.#lanes.map((lane) => lane.messages?.close()));
    }
  }

  /** Takes the view over and brings the consumers into line with its checkpoints, before the first pull. */
  async #prepare(): Promise<Claim> {
    if (!this.#parts.broker.connected()) throw new UnavailableError('the broker is away');
    this.#parked = await ParkedKeys.open(this.#parts.broker, this.#name);
    // In this order: whoever finds another owner in a checkpoint has got nothing yet that was delivered after a reset.
    const { claim, checkpoints } = await this.#store.claim(`${this.#process}/${randomUUID()}`);
    for (const lane of this.#lanes) lane.position = checkpoints.get(lane.partition)?.positions[lane.stream] ?? 0;
    this.#claim = claim;
    await Promise.all(
      this.#lanes.map(async (lane) => {
        await this.#ensureConsumer(lane);
        await this.#parts.broker.manager.consumers.reset(lane.stream, lane.consumer, lane.position + 1);
        lane.next = 1;
      }),
    );
    return claim;
  }

  async #ensureConsumer(lane: Lane): Promise<void> {
    const { consumers } = this.#parts.broker.manager;
    const config: Partial<ConsumerConfig> = {
      durable_name: lane.consumer,
      filter_subjects: this.view.sources
        .filter(({ journal }) => journal.stream === lane.stream)
        .map(({ journal, aggregate }) => `${journal.service}.event.${lane.partition}.${aggregate}.*`),
      ack_policy: AckPolicy.All,
      deliver_policy: DeliverPolicy.All,
      replay_policy: ReplayPolicy.Instant,
      max_deliver: -1,
      max_ack_pending: PREFETCH * 4,
      ack_wait: 60_000_000_000,
    };
    const isFresh = await consumers.add(lane.stream, config).then(
      // Whoever followed before has asked for messages, and would get the first ones. A consumer's end is told to it.
      (info) => info.num_waiting === 0,
      (error) => {
        if (!(error instanceof JetStreamApiError) || error.code !== CONSUMER_DIFFERS) throw error;
        // An older program's.
        return false;
      },
    );
    if (isFresh) return;
    // How far the view has come is not the consumer's business, so it can be made anew.
    await consumers.delete(lane.stream, lane.consumer);
    await consumers.add(lane.stream, config);
  }

  async #pull(lane: Lane, turn: AbortController, deliver: (message: JsMsg) => void): Promise<void> {
    const consumer = await this.#parts.broker.js.consumers.get(lane.stream, lane.consumer);
    lane.messages = await consumer.consume({
      max_messages: PREFETCH,
      // Otherwise a consumer that was deleted is waited for without end.
      abort_on_missing_resource: true,
      callback: (message) => {
        if (turn.signal.aborted) return;
        const { deliverySequence } = message.info;
        if (deliverySequence !== lane.next) {
          turn.abort(
            new DeliveryGapError(`${lane.consumer} delivered ${deliverySequence}, and ${lane.next} was to come`),
          );
          return;
        }
        lane.next++;
        deliver(message);
      },
    });
    void lane.messages.closed().then((error) => turn.abort(error ?? new Error(`consumer ${lane.consumer} was closed`)));
  }

  async #work(queue: Delivery[], claim: Claim, signal: AbortSignal, onWake: (wake: () => void) => void): Promise<void> {
    while (!signal.aborted) {
      if (queue.length === 0) await woken(signal, onWake);
      const batch = queue.splice(0, BATCH);
      if (batch.length === 0) continue;
      await this.#handle(batch, claim);
      if (batch.length >= GATHER_FROM && queue.length < BATCH) await delay(GATHER_MS);
    }
  }

  /** A batch from its messages to their acknowledgement: decode, fold and write, raise the checkpoints, acknowledge. */
  async #handle(batch: readonly Delivery[], claim: Claim): Promise<void> {
    const stored = batch.map(({ message }) => storedFromConsumer(message));
    await observedBatch(this.#name, stored, () => this.#handleBatch(batch, stored, claim));
  }

  async #handleBatch(batch: readonly Delivery[], stored: readonly StoredMessage[], claim: Claim): Promise<void> {
    const events = await this.#read(stored);
    await this.#write(events, batch, claim);
    const last = new Map(batch.map(({ lane, message }) => [lane, message]));
    const raised = new Map<number, Record<string, number>>();
    for (const [lane, message] of last) {
      lane.position = Math.max(lane.position, message.seq);
      raised.set(lane.partition, { ...raised.get(lane.partition), [lane.stream]: lane.position });
    }
    for (const waiter of this.#waiters) {
      if (waiter.lane.position >= waiter.sequence) waiter.wake();
    }
    await this.#store.raise(raised, claim);
    for (const message of last.values()) message.ack();
    recordDelay(this.view.name, events);
  }

  /** The events in a batch, without those that were parked or are none of the view's business. */
  async #read(batch: readonly StoredMessage[]): Promise<RecordedEvent[]> {
    const readings = await Promise.all(batch.map((message) => this.#decode(message)));
    const events: RecordedEvent[] = [];
    for (const reading of readings) {
      if (reading === undefined) continue;
      const { message, outcome } = reading;
      const time = outcome instanceof PermanentError ? undefined : outcome.time;
      if (await this.#parked?.isBehind(message, time)) await this.#park(message, BEHIND);
      else if (outcome instanceof PermanentError) {
        await this.#park(message, { reason: 'CANNOT_DECODE', error: outcome.message, attempts: 1 });
      } else events.push(outcome);
    }
    return events;
  }

  async #decode(
    message: StoredMessage,
  ): Promise<{ message: StoredMessage; outcome: RecordedEvent | PermanentError } | undefined> {
    const type = message.headers.get(Header.type);
    // Types that the view does not look at, or that a newer program has added, are none of its business.
    if (!this.view.types.knows(type) && this.#packages.has(packageOf(type))) return undefined;
    try {
      return { message, outcome: await readEvent(message, this.view.types, this.#parts.personalData) };
    } catch (error) {
      if (error instanceof PermanentError) return { message, outcome: error };
      throw error;
    }
  }

  async #write(events: readonly RecordedEvent[], batch: readonly Delivery[], claim: Claim): Promise<void> {
    if (events.length === 0) return;
    await this.#store.write(events, claim, ({ event, error }) => this.#refused(event, error, batch));
  }

  async #refused(event: Refusal['event'], error: unknown, batch: readonly Delivery[]): Promise<void> {
    const delivery = batch.find(({ lane, message }) => lane.stream === event.stream && message.seq === event.sequence);
    if (delivery === undefined) throw new Error(`${event.stream} ${event.sequence} is not in the batch`);
    const reason: ParkingNote =
      error === undefined
        ? BEHIND
        : { reason: 'FAILED', error: error instanceof Error ? error.message : String(error), attempts: 1 };
    await this.#park(storedFromConsumer(delivery.message), reason);
  }

  async #park(message: StoredMessage, note: ParkingNote): Promise<void> {
    const { stream, subject, sequence } = message;
    this.#parts.logger.error({ view: this.view.name, stream, subject, sequence, ...note }, 'parked');
    await this.#parked?.park(message, note);
    countParked(this.#name, note.reason);
  }

  /** Ends the turn where the view was dropped or taken over, though no event comes, and where messages stay away. */
  async #watch(claim: Claim, signal: AbortSignal): Promise<void> {
    let before: number[] = [];
    while (!signal.aborted) {
      await delay(this.#watchMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#store.checkClaim(claim);
      const infos = await this.#consumerInfos();
      const suspect = this.#lanes.find((lane, index) => lane.next === before[index] && isSilent(lane, infos[index]));
      before = this.#lanes.map(({ next }) => next);
      if (suspect === undefined) continue;
      const { next, consumer } = suspect;
      // What the consumer has just delivered may be on its way.
      await delay(ON_ITS_WAY_MS, undefined, { signal }).catch(() => {});
      if (suspect.next === next) throw new DeliveryGapError(`${consumer} has messages, and ${next} never came`);
    }
  }

  #consumerInfos(): Promise<ConsumerInfo[]> {
    const { broker } = this.#parts;
    return Promise.all(
      this.#lanes.map(({ stream, consumer }) =>
        answered(broker, () => broker.manager.consumers.info(stream, consumer)),
      ),
    );
  }
}

const BEHIND: ParkingNote = { reason: 'BEHIND_A_PARKED_MESSAGE', error: '', attempts: 0 };

/** Whether the consumer has delivered what did not come here, or delivers nothing although it could. */
function isSilent({ next }: Lane, info: ConsumerInfo | undefined): boolean {
  if (info === undefined) return false;
  return info.delivered.consumer_seq >= next || (info.num_pending > 0 && info.num_ack_pending === 0);
}

function isConsumerMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound;
}

/** The package of a message type, without its version: `causeway.orders` of `causeway.orders.v1.OrderPlaced`. */
function packageOf(type: string): string {
  return type
    .split('.')
    .slice(0, -1)
    .filter((part, index, all) => index < all.length - 1 || !/^v\d/.test(part))
    .join('.');
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
