import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  AckPolicy,
  type Consumer,
  type ConsumerInfo,
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiError,
  ReplayPolicy,
} from '@nats-io/jetstream';
import { answered, type Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import type { StoredMessage } from './event.ts';
import { addConsumer, type NamedConsumer } from './named-consumers.ts';
import { answerAsOwner, type OwnerAnswer, type OwnerRequest } from './owner-requests.ts';
import { ParkedKeys } from './parked-keys.ts';
import { type Attempted, answerRequest } from './replay.ts';
import type { Logger } from './telemetry/logging.ts';
import type { View } from './view.ts';
import { streamsOf, subjectsIn } from './view-heads.ts';
import { SupersededError, type ViewStore } from './view-store.ts';
import type { Lane, Turn, ViewWriter } from './view-writer.ts';

/** Prefetched per consumer; small, because what is fetched has to be handled by this owner. */
const PREFETCH = 500;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
/** A turn that lasted so long was a good one: the next retry comes quickly again. */
const GOOD_TURN_MS = 5_000;
/** The server's error code (nats-server, errors.json) for a consumer that exists with other settings. */
const CONSUMER_DIFFERS = 10_148;
const ON_ITS_WAY_MS = 200;

/** A lane and the consumer that it is fed by. */
type FedLane = Lane & {
  /** The consumer's own sequence that the next message must have: another one says that somebody else got messages. */
  next: number;
  puller: Consumer | undefined;
  messages: ConsumerMessages | undefined;
};

export type ViewPartitionParts<Document extends object> = {
  view: View<Document>;
  /** Name of the view's consumers, without the partition. */
  consumer: string;
  broker: Broker;
  logger: Logger;
  store: ViewStore<Document>;
  writer: ViewWriter<Document>;
  watchMs: number;
};

/** Messages were delivered to somebody else, or got lost on the way. */
class DeliveryGapError extends Error {
  override name = 'DeliveryGapError';
}

/**
 * The owner's side of one partition of a view. A turn begins with claiming the partition and resetting each consumer
 * to its checkpoint, so that view and position can't part: where the checkpoint is gone, the partition is rebuilt.
 *
 * The consumer counts what it delivers from the reset on, so a gap in its count, or another owner in the checkpoint,
 * says that not every message came here: nothing is written, and the turn ends. As long as the partition is owned,
 * another one follows.
 */
export class ViewPartition<Document extends object> {
  readonly partition: number;
  readonly #parts: ViewPartitionParts<Document>;
  readonly #stop = new AbortController();
  #lanes: readonly FedLane[];
  #turn: Turn | undefined;
  #problem: string | undefined = 'not started';
  #interruptedAt = performance.now();
  #running: Promise<void> = Promise.resolve();

  constructor(partition: number, parts: ViewPartitionParts<Document>) {
    this.partition = partition;
    this.#parts = parts;
    this.#lanes = this.#lanesFrom({});
  }

  /** Begins once `after` has resolved: an earlier ownership of the same partition may still be draining. */
  start(after: Promise<void>): void {
    this.#running = after.then(() => this.#keepFollowing(this.#stop.signal));
  }

  /** Finishes the batch at work, then stops. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** What keeps it from following now. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** How long it has been interrupted, in ms. */
  get interruptedMs(): number {
    return this.#problem === undefined ? 0 : performance.now() - this.#interruptedAt;
  }

  /** Of the claim that it follows under; undefined while it does not. */
  get generation(): number | undefined {
    return this.#turn?.claim.generation;
  }

  get lanes(): readonly Lane[] {
    return this.#lanes;
  }

  /** Goes back to the checkpoint. */
  interrupt(reason: Error): void {
    this.#turn?.end(reason);
  }

  /** One turn after the other. Whatever fails, the next turn starts from the checkpoint. */
  async #keepFollowing(stop: AbortSignal): Promise<void> {
    let wait = RETRY_MIN_MS;
    while (!stop.aborted) {
      const began = performance.now();
      try {
        await this.#takeTurn(stop);
      } catch (error) {
        if (stop.aborted) return;
        this.#interrupted(error);
        if (performance.now() - began > GOOD_TURN_MS) wait = RETRY_MIN_MS;
        // Two that end each other's turns must not come back at the same time, again and again.
        const isBack = await this.#pause(wait * (0.5 + Math.random()), stop);
        wait = isBack ? RETRY_MIN_MS : Math.min(wait * 2, RETRY_MAX_MS);
      }
    }
  }

  /** Waits so long, or until the connection to the broker is back; answers whether that is why it goes on. */
  async #pause(durationMs: number, stop: AbortSignal): Promise<boolean> {
    const back = new AbortController();
    const forget = this.#parts.broker.onReconnect(() => back.abort());
    await delay(durationMs, undefined, { signal: AbortSignal.any([stop, back.signal]) }).catch(() => {});
    forget();
    return back.signal.aborted;
  }

  #interrupted(error: unknown): void {
    const words = { err: error, view: this.#parts.view.name, partition: this.partition };
    if (error instanceof SupersededError) {
      // Somebody follows it. Where that is the owner, this process is told so in a moment; else this one takes it back.
      this.#problem = undefined;
      this.#parts.logger.info(words, 'another process follows the partition');
      return;
    }
    if (this.#problem === undefined) this.#interruptedAt = performance.now();
    this.#problem = error instanceof Error ? error.message : String(error);
    this.#parts.logger.warn(words, 'the view is interrupted, and goes on from its checkpoint');
  }

  /** Follows until it is stopped or something fails. */
  async #takeTurn(stop: AbortSignal): Promise<void> {
    const { broker, store, writer, consumer } = this.#parts;
    const { partition } = this;
    const ending = new AbortController();
    const end = (reason?: unknown) => ending.abort(reason);
    const stopped = () => end();
    stop.addEventListener('abort', stopped, { once: true });
    const forget = broker.onReconnect(() => end(new Error('the connection to the broker was lost')));
    let endAnswering = () => {};
    try {
      const turn = await this.#begin(ending.signal, end);
      this.#turn = turn;
      endAnswering = answerAsOwner(broker, { consumer, partition }, (request) => this.#answer(request, turn));
      await Promise.all(this.#lanes.map((lane) => this.#pull(lane, turn)));
      this.#problem = undefined;
      await this.#watch(turn);
      if (stop.aborted) return;
      // Where another process has taken the partition over, whatever ended the turn was its doing.
      await store.checkClaims(new Map([[partition, turn.claim]]));
      throw ending.signal.reason;
    } finally {
      stop.removeEventListener('abort', stopped);
      forget();
      end();
      endAnswering();
      this.#turn = undefined;
      await Promise.all(this.#lanes.map(({ messages }) => messages?.close()));
      await writer.settled(partition);
    }
  }

  /** Takes the partition over and brings its consumers into line with its checkpoint, before the first pull. */
  async #begin(ended: AbortSignal, end: (reason: unknown) => void): Promise<Turn> {
    const { broker, store, consumer } = this.#parts;
    const { partition } = this;
    if (!broker.connected()) throw new UnavailableError('the broker is away');
    // In this order: whoever finds another owner in a checkpoint has got nothing yet that was delivered after a reset,
    // and what it parked without raising its checkpoint is delivered again.
    const claim = (await store.claim(randomUUID(), [partition])).get(partition);
    if (claim === undefined) throw new Error(`partition ${partition} was not claimed`);
    this.#lanes = this.#lanesFrom(claim.positions);
    const [parked] = await Promise.all([
      ParkedKeys.open(broker, consumer, partition),
      ...this.#lanes.map((lane) => this.#resetConsumer(lane)),
    ]);
    return { partition, claim, parked, ended, end };
  }

  #lanesFrom(positions: Record<string, number>): FedLane[] {
    const { partition } = this;
    const consumer = `${this.#parts.consumer}-${partition}`;
    return streamsOf(this.#parts.view).map((stream) => ({
      stream,
      partition,
      consumer,
      position: positions[stream] ?? 0,
      next: 1,
      puller: undefined,
      messages: undefined,
    }));
  }

  async #resetConsumer(lane: FedLane): Promise<void> {
    const { broker } = this.#parts;
    const info = await this.#ensureConsumer(lane);
    await broker.manager.consumers.reset(lane.stream, lane.consumer, lane.position + 1);
    lane.puller = broker.js.consumers.getConsumerFromInfo(info);
  }

  async #ensureConsumer({ stream, consumer, partition }: Lane): Promise<ConsumerInfo> {
    const { broker } = this.#parts;
    const config: NamedConsumer = {
      durable_name: consumer,
      filter_subjects: subjectsIn(this.#parts.view, stream, partition),
      ack_policy: AckPolicy.All,
      // How far the view has come stands beside it: the broker need not write it to disk.
      mem_storage: true,
      deliver_policy: DeliverPolicy.All,
      replay_policy: ReplayPolicy.Instant,
      max_deliver: -1,
      max_ack_pending: PREFETCH * 4,
      ack_wait: 60_000_000_000,
    };
    const found = await addConsumer(broker, stream, config).catch((error) => {
      if (!(error instanceof JetStreamApiError) || error.code !== CONSUMER_DIFFERS) throw error;
      // An older program's.
      return undefined;
    });
    // Whoever followed before has asked for messages, and would get the first ones. A consumer's end is told to it.
    if (found?.num_waiting === 0) return found;
    // How far the view has come is not the consumer's business, so it can be made anew.
    await broker.manager.consumers.delete(stream, consumer);
    return await addConsumer(broker, stream, config);
  }

  /** Does what an operator asks of the partition's owner, while no other message of the partition is at work. */
  #answer(request: OwnerRequest, turn: Turn): Promise<OwnerAnswer> {
    const { broker, writer } = this.#parts;
    return writer.between(this.partition, async () => {
      if (turn.ended.aborted) throw new UnavailableError('the owner of the partition stops, or begins again');
      const row = turn.parked.row(this.partition, request.key);
      const attempt = (message: StoredMessage, attempts: number) => this.#applyLate(message, attempts, turn);
      return answerRequest(request, { broker, row, attempt, ended: turn.ended });
    });
  }

  async #applyLate(message: StoredMessage, attempts: number, turn: Turn): Promise<Attempted> {
    // In a rebuild there are events to come that stand before it.
    const position = this.#lanes.find(({ stream }) => stream === message.stream)?.position ?? 0;
    if (position < message.sequence) return { unavailable: 'the view has not come to this event again yet' };
    return this.#parts.writer.applyLate(message, attempts, turn);
  }

  async #pull(lane: FedLane, turn: Turn): Promise<void> {
    lane.messages = await lane.puller?.consume({
      max_messages: PREFETCH,
      // Otherwise a consumer that was deleted is waited for without end.
      abort_on_missing_resource: true,
      callback: (message) => {
        if (turn.ended.aborted) return;
        const { deliverySequence } = message.info;
        if (deliverySequence !== lane.next) {
          turn.end(
            new DeliveryGapError(`${lane.consumer} delivered ${deliverySequence}, and ${lane.next} was to come`),
          );
          return;
        }
        lane.next++;
        this.#parts.writer.add({ turn, lane, message });
      },
    });
    void lane.messages?.closed().then((error) => turn.end(error ?? new Error(`consumer ${lane.consumer} was closed`)));
  }

  /** Ends the turn where the partition was dropped or taken over, though no event comes, and where messages stay away. */
  async #watch({ claim, ended }: Turn): Promise<void> {
    let before: number[] = [];
    while (!ended.aborted) {
      await delay(this.#parts.watchMs, undefined, { signal: ended }).catch(() => {});
      if (ended.aborted) return;
      await this.#parts.store.checkClaims(new Map([[this.partition, claim]]));
      const infos = await Promise.all(this.#lanes.map((lane) => this.#infoOf(lane)));
      const suspect = this.#lanes.find((lane, index) => lane.next === before[index] && isSilent(lane, infos[index]));
      before = this.#lanes.map(({ next }) => next);
      if (suspect === undefined) continue;
      const { next, consumer } = suspect;
      // What the consumer has just delivered may be on its way.
      await delay(ON_ITS_WAY_MS, undefined, { signal: ended }).catch(() => {});
      if (suspect.next === next) throw new DeliveryGapError(`${consumer} has messages, and ${next} never came`);
    }
  }

  #infoOf({ stream, consumer }: Lane): Promise<ConsumerInfo> {
    const { broker } = this.#parts;
    return answered(broker, () => broker.manager.consumers.info(stream, consumer));
  }
}

/** Whether the consumer has delivered what did not come here, or delivers nothing although it could. */
function isSilent({ next }: FedLane, info: ConsumerInfo | undefined): boolean {
  if (info === undefined) return false;
  return info.delivered.consumer_seq >= next || (info.num_pending > 0 && info.num_ack_pending === 0);
}
