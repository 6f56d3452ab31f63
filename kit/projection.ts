import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { Db } from 'mongodb';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import { answered, type Broker } from './broker.ts';
import { queried } from './database.ts';
import { CallError, invalid, UnavailableError } from './errors.ts';
import type { Health } from './lifecycle.ts';
import { OwnedPartitions } from './owned-partitions.ts';
import { allPartitions, parseSubject } from './partitions.ts';
import { type ConsumerDescription, describedConsumer } from './service-descriptions.ts';
import { type Checkpoint, checkpointId, collectionOf, type View } from './view.ts';
import { ViewPartition } from './view-partition.ts';
import { type ViewReader, viewReader } from './view-reader.ts';
import { ViewLostError, ViewStore } from './view-store.ts';
import { type Lane, ViewWriter, type ViewWriterParts } from './view-writer.ts';

const WATCH_MS = 1_000;
/** How long a query waits before it asks whether the position it waits for can exist, and how far the view has come. */
const LOOK_MS = 50;
/** Where another process follows, nobody tells this one what is shown: it looks soon, and less often with time. */
const FIRST_LOOK_MS = 4;
/** How long a query waits at most, whatever its caller's deadline. */
const MAX_WAIT_MS = 10_000;
/** How long a view may be interrupted before a query that waits for it is told to come again. */
const INTERRUPTED_MS = 1_000;

type Place = { stream: string; partition: number };
type Waiter = Place & { sequence: number; wake: () => void };

export type ProjectionParts = ViewWriterParts & { service: string; broker: Broker; db: Db };

/**
 * A view, kept up to date on the partitions that this process owns, and for queries of all of them. Two owners of a
 * partition for a moment do no harm: each write is fenced.
 */
export class Projection<Document extends object> {
  /** `<service>-<collection>`: what its consumers, dead letters and telemetry call it. */
  readonly name: string;
  readonly view: View<Document>;
  readonly #broker: Broker;
  readonly #reader: ViewReader<Document>;
  readonly #streams: Set<string>;
  readonly #owned: OwnedPartitions<ViewPartition<Document>>;
  readonly #waiters = new Set<Waiter>();

  /** @param watchMs how often it is looked whether the checkpoints are still there and the consumers still deliver. */
  constructor(view: View<Document>, parts: ProjectionParts, { watchMs = WATCH_MS }: { watchMs?: number } = {}) {
    const { service, broker, db, logger } = parts;
    const consumer = `${service}-${collectionOf(view)}`;
    this.name = consumer;
    this.view = view;
    this.#reader = viewReader(db, collectionOf(view));
    this.#broker = broker;
    this.#streams = new Set(view.sources.map(({ journal }) => journal.stream));
    const store = new ViewStore(view, db);
    const writer = new ViewWriter(view, consumer, store, parts, (lane) => this.#wake(lane));
    const partitionParts = { view, consumer, broker, logger, store, writer, watchMs };
    this.#owned = new OwnedPartitions((partition) => new ViewPartition(partition, partitionParts));
  }

  /**
   * Follows exactly these partitions from now on. New ones are behind until they have caught up; resolves when those
   * that are given up have finished the batch they had at work.
   */
  async own(partitions: readonly number[]): Promise<void> {
    await this.#owned.own(partitions);
  }

  /** Finishes the batches at work, then stops. */
  async stop(): Promise<void> {
    await this.own([]);
  }

  describe(): ConsumerDescription {
    return describedConsumer(this.name, 'projection', this.view);
  }

  health(): Health {
    const problems = new Set(this.#owned.all().flatMap(({ problem }) => problem ?? []));
    return {
      ready: problems.size === 0,
      reasons: [...problems].map((problem) => `view ${this.view.name}: ${problem}`),
    };
  }

  /** How far each partition of each journal has come into the view; of those that this process owns. */
  positions(): { stream: string; partition: number; sequence: number }[] {
    return this.#owned
      .all()
      .flatMap(({ lanes }) =>
        lanes.map(({ stream, partition, position }) => ({ stream, partition, sequence: position })),
      );
  }

  /**
   * Waits until the view shows these positions, and is whole; answers with what one query is to read.
   * @throws CallError INVALID_ARGUMENT for a position of a journal that the view is not made from, or that does not
   *   exist yet; DEADLINE_EXCEEDED when the signal comes first.
   * @throws UnavailableError where broker or database are away.
   */
  async reached(positions: readonly Position[], signal: AbortSignal): Promise<ViewReader<Document>> {
    await Promise.all(positions.map((position, index) => this.#reachedOne(position, `at_least[${index}]`, signal)));
    return this.#reader;
  }

  async #reachedOne({ stream, partition, sequence }: Position, field: string, signal: AbortSignal): Promise<void> {
    if (!this.#streams.has(stream) || !allPartitions.includes(partition)) {
      throw invalid(field, `${this.view.name} is not made from partition ${partition} of ${stream}`);
    }
    const place = { stream, partition };
    const target = Number(sequence);
    const began = performance.now();
    let exists = false;
    // Most positions are a few milliseconds old: to ask about them first would only make them later.
    while (!(await this.#shown(place, target, began, signal))) {
      if (signal.aborted || performance.now() - began > MAX_WAIT_MS) {
        throw new CallError('DEADLINE_EXCEEDED', `${this.view.name} has not come to ${stream} ${target} yet`);
      }
      // Most interruptions are over before a query has to be told of them.
      if ((this.#owned.get(partition)?.interruptedMs ?? 0) > INTERRUPTED_MS) {
        throw new UnavailableError(`view ${this.view.name} is interrupted`);
      }
      if (!exists) await this.#mustExist(place, target, field);
      exists = true;
      if (await this.#hasPassed(place)) return;
    }
  }

  /** Waits a little for the position. What this process has in memory counts only while the view is what it was. */
  async #shown(place: Place, target: number, began: number, signal: AbortSignal): Promise<boolean> {
    if (this.#positionOf(place) < target) {
      const elapsedMs = performance.now() - began;
      const isFollowed = this.#owned.get(place.partition)?.generation !== undefined;
      const waitMs = isFollowed ? LOOK_MS : Math.min(Math.max(FIRST_LOOK_MS, elapsedMs / 4), LOOK_MS);
      await this.#waitFor(place, target, waitMs, signal);
    }
    const checkpoint = await this.#checkpointOf(place);
    if (checkpoint === undefined) return false;
    if ((checkpoint.positions[place.stream] ?? 0) >= target) return true;
    return this.#positionOf(place) >= target && checkpoint.generation === this.#owned.get(place.partition)?.generation;
  }

  /** How far the view has come, as far as this process knows without looking. */
  #positionOf({ stream, partition }: Place): number {
    return this.#owned.get(partition)?.lanes.find((lane) => lane.stream === stream)?.position ?? 0;
  }

  /** Until the position is shown, the signal aborts, or it is time to look. */
  #waitFor(place: Place, sequence: number, waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#waiters.delete(waiter);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      const waiter = { ...place, sequence, wake };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted) wake();
    });
  }

  #wake({ stream, partition, position }: Lane): void {
    for (const waiter of this.#waiters) {
      if (waiter.partition === partition && waiter.stream === stream && waiter.sequence <= position) waiter.wake();
    }
  }

  async #checkpointOf({ partition }: Place): Promise<Checkpoint | undefined> {
    const id = { _id: checkpointId(partition) } as object;
    const owned = this.#owned.get(partition);
    const generation = owned?.generation;
    const found = await queried(this.#reader.collection, () => this.#reader.collection.findOne(id));
    const checkpoint = (found as unknown as Checkpoint | null) ?? undefined;
    if (generation !== undefined && checkpoint?.generation !== generation && owned?.generation === generation) {
      owned.interrupt(new ViewLostError(partition, `${collectionOf(this.view)} was dropped`));
    }
    return checkpoint;
  }

  /** @throws CallError for a position that is in the future, or in another partition. */
  async #mustExist({ stream, partition }: Place, sequence: number, field: string): Promise<void> {
    const { manager } = this.#broker;
    // No stream comes so far, and the broker can't be asked: what stands for it here is not the number that was given.
    if (!Number.isSafeInteger(sequence)) throw invalid(field, `${stream} has not come to it`);
    const message = await answered(this.#broker, () => manager.streams.getMessage(stream, { seq: sequence }));
    if (message === null) throw invalid(field, `${stream} has not come to ${sequence}`);
    const actual = parseSubject(message.subject)?.partition;
    if (actual !== partition) throw invalid(field, `${stream} ${sequence} is in partition ${actual}, not ${partition}`);
  }

  /** Nothing is left for the lane: the position waited for is of an event that the view does not look at. */
  async #hasPassed(place: Place): Promise<boolean> {
    const { stream, partition } = place;
    const { manager } = this.#broker;
    const info = await answered(this.#broker, () => manager.consumers.info(stream, `${this.name}-${partition}`)).catch(
      (error) => {
        if (isConsumerMissing(error)) return undefined;
        throw error;
      },
    );
    if (info === undefined || info.num_pending > 0) return false;
    const checkpoint = await this.#checkpointOf(place);
    if (checkpoint === undefined) return false;
    // Where it has delivered nothing since it was reset, it has looked further than what it began behind: the floor.
    const { stream_seq: last } = info.delivered.consumer_seq === 0 ? info.ack_floor : info.delivered;
    return (checkpoint.positions[stream] ?? 0) >= last;
  }
}

function isConsumerMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound;
}
