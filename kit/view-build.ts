import { setTimeout as delay } from 'node:timers/promises';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { Collection, Db } from 'mongodb';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import { answered, type Broker } from './broker.ts';
import { queried } from './database.ts';
import { ErasedKeys } from './erased-keys.ts';
import { CallError, invalid, UnavailableError } from './errors.ts';
import { OwnedPartitions } from './owned-partitions.ts';
import { allPartitions, parseSubject } from './partitions.ts';
import { type Checkpoint, checkpointId, collectionOf, type Stored, type View } from './view.ts';
import type { Head } from './view-heads.ts';
import { ViewPartition } from './view-partition.ts';
import { type BuildEntry, slotOf } from './view-register.ts';
import { ViewLostError, ViewStore } from './view-store.ts';
import { type Lane, ViewWriter, type ViewWriterParts } from './view-writer.ts';

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

export type ViewBuildParts = ViewWriterParts & {
  service: string;
  broker: Broker;
  db: Db;
  /** How often it is looked whether the checkpoints are still there and the consumers still deliver. */
  watchMs: number;
  /** Whether readers see it, or are to see it as soon as it is there: others go slower. */
  isShown(): boolean;
  /** @throws Error where the build was discarded. */
  requireLive(): Promise<void>;
};

/**
 * One build of a view: its documents in a collection of their own, kept up to date on the partitions that this process
 * owns, and waited for on all of them. Two owners of a partition for a moment do no harm: each write is fenced.
 */
export class ViewBuild<Document extends object> {
  /** `<service>-<view>_v<version>`, later `..._b<slot>`: what its consumers, dead letters and telemetry call it. */
  readonly name: string;
  readonly build: number;
  readonly documents: Collection<Stored<Document>>;
  readonly #view: View<Document>;
  readonly #broker: Broker;
  readonly #store: ViewStore<Document>;
  readonly #owned: OwnedPartitions<ViewPartition<Document>>;
  readonly #waiters = new Set<Waiter>();

  constructor(view: View<Document>, entry: Pick<BuildEntry, 'build' | 'slot'>, parts: ViewBuildParts) {
    const { service, broker, db, logger, watchMs } = parts;
    this.name = `${service}-${collectionOf(view, slotOf(entry))}`;
    this.build = entry.build;
    this.documents = db.collection<Stored<Document>>(collectionOf(view, entry.build));
    this.#view = view;
    this.#broker = broker;
    this.#store = new ViewStore(view, this.documents, () => parts.requireLive(), new ErasedKeys(db));
    const writer = new ViewWriter(view, this.name, this.#store, parts, (lane) => this.#wake(lane));
    const partitionParts = { view, consumer: this.name, broker, logger, store: this.#store, writer, watchMs };
    this.#owned = new OwnedPartitions((partition) => new ViewPartition(partition, partitionParts));
  }

  /**
   * Follows exactly these partitions from now on. New ones are behind until they have caught up; resolves when those
   * that are given up have finished the batch they had at work.
   */
  async own(partitions: readonly number[]): Promise<void> {
    await this.#owned.own(partitions);
  }

  /** What keeps it from following the partitions that are owned. */
  get problems(): string[] {
    return [...new Set(this.#owned.all().flatMap(({ problem }) => problem ?? []))];
  }

  get isFollowed(): boolean {
    return this.#owned.all().length > 0;
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
   * Waits until the build shows these positions, and is whole.
   * @throws CallError, UnavailableError as `Projection.reached` says.
   */
  async reached(positions: readonly Position[], signal: AbortSignal): Promise<void> {
    await Promise.all(positions.map((position, index) => this.#reachedOne(position, `at_least[${index}]`, signal)));
  }

  /** Waits until the build shows all of these; false where the signal comes first. @throws UnavailableError */
  async comesTo(heads: readonly Head[], signal: AbortSignal): Promise<boolean> {
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(waitMs * 2, LOOK_MS)) {
      const checkpoints = await this.checkpoints();
      const isThere = ({ stream, partition, sequence }: Head) =>
        (checkpoints.get(partition)?.positions[stream] ?? 0) >= sequence;
      if (heads.every(isThere)) return true;
      await delay(waitMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return false;
    }
  }

  /** The checkpoints that there are, by partition. @throws UnavailableError where the database is away. */
  checkpoints(): Promise<Map<number, Checkpoint>> {
    return queried(this.documents, () => this.#store.checkpoints(allPartitions));
  }

  async #reachedOne({ stream, partition, sequence }: Position, field: string, signal: AbortSignal): Promise<void> {
    const place = { stream, partition };
    const target = Number(sequence);
    const began = performance.now();
    let exists = false;
    // Most positions are a few milliseconds old: to ask about them first would only make them later.
    while (!(await this.#shown(place, target, began, signal))) {
      if (signal.aborted || performance.now() - began > MAX_WAIT_MS) {
        throw new CallError('DEADLINE_EXCEEDED', `${this.#view.name} has not come to ${stream} ${target} yet`);
      }
      // Most interruptions are over before a query has to be told of them.
      if ((this.#owned.get(partition)?.interruptedMs ?? 0) > INTERRUPTED_MS) {
        throw new UnavailableError(`view ${this.#view.name} is interrupted`);
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
    const found = await queried(this.documents, () => this.documents.findOne(id));
    const checkpoint = (found as unknown as Checkpoint | null) ?? undefined;
    if (generation !== undefined && checkpoint?.generation !== generation && owned?.generation === generation) {
      owned.interrupt(new ViewLostError(partition, `${this.documents.collectionName} was dropped`));
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
