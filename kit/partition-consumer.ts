import { setTimeout as delay } from 'node:timers/promises';
import type { Message } from '@bufbuild/protobuf';
import {
  AckPolicy,
  type ConsumerInfo,
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiError,
  type JsMsg,
  ReplayPolicy,
} from '@nats-io/jetstream';
import { acknowledgeNow, acknowledgeSoon } from './acknowledging.ts';
import type { Broker } from './broker.ts';
import type { Reaction } from './consumer.ts';
import { parkingPlace } from './dead-letters.ts';
import { type Errand, runInLane } from './errand.ts';
import { UnavailableError } from './errors.ts';
import { Floors } from './floors.ts';
import { storedFromConsumer } from './journal.ts';
import { Lanes, type Places } from './lanes.ts';
import type { Retry } from './member-status.ts';
import {
  type Delivery,
  type HandlingOptions,
  type HandlingParts,
  MessageHandling,
  type Turn,
} from './message-handling.ts';
import { addConsumer, updateConsumer } from './named-consumers.ts';
import { answerAsOwner } from './owner-requests.ts';
import type { Tenure } from './ownership.ts';
import { Parking } from './parking.ts';
import { Claim } from './poison.ts';
import { answerRequest } from './replay.ts';
import { backoffMs } from './retry.ts';

export type PartitionOptions = HandlingOptions & {
  /** Keys of one partition at work at the same time. */
  maxKeys: number;
  /** Messages in the owner's hands, at work or waiting behind one of their key. */
  maxHeld: number;
  /** How long the broker waits for a sign of life before it hands a message out again. */
  ackWaitMs: number;
  /** How often it is looked whether there is progress; two times without are said in health. */
  watchMs: number;
  /** How long a stop waits for what is at work. */
  drainMs: number;
};

type InLane = Delivery | Errand;

export type PartitionParts = HandlingParts & { service: string; broker: Broker };

/** What the partitions that a process owns have in common. */
type Shared = {
  places: Places;
  /** Nothing begins while it is not sure that the partition is still owned. */
  tenure: Tenure;
};

/** Small, because what is pulled has to be handled by this owner. */
const PULL = 64;
const RESTART_BACKOFF = { minMs: 100, maxMs: 2_000 };
/** Handled messages that are remembered, in case the broker has not heard of it and hands them out again. */
const REMEMBERED = 2_000;
/** A handler that does not even end when it is told to is not waited for. */
const AFTER_DRAIN_MS = 500;
const CONSUMER_EXISTS = 10_148;
/** When it is first looked whether a former owner has got a message; then after twice the time, as long as it may pull. */
const HANDOVER_LOOK_MS = 250;
const HANDOVER_MS = 60_000;
const ON_ITS_WAY_MS = 200;
/** By then the turn that the message came in has ended. */
const AFTER_TURN_MS = 1_000;

/** The owner's side of one partition of a consumer: pulls its messages, in order, for as long as it is owned. */
export class PartitionConsumer<Event extends Message> {
  readonly partition: number;
  readonly #reaction: Reaction<Event>;
  readonly #consumer: string;
  readonly #parts: PartitionParts & Shared;
  readonly #options: PartitionOptions;
  readonly #handling: MessageHandling<Event>;
  readonly #stop = new AbortController();
  readonly #abandon = new AbortController();
  /** Handled messages: when they were stored, by sequence. */
  readonly #handled = new Map<number, number>();
  readonly #held = new Map<number, Delivery>();
  #claim: Claim | undefined;
  #running: Promise<void> = Promise.resolve();
  #interruption: string | undefined = 'not started';
  #stall: string | undefined;
  #progress = 0;
  #restarts = 0;
  /** When the last of those messages is tried again that failed and wait for it. */
  #nextTryAt = 0;
  /** The consumer's own sequence that the next message must have. */
  #next = 1;
  /** Sequence of the latest message that was taken in this turn. */
  #taken = 0;
  #floors: Floors | undefined;

  /** @param consumer its name without the partition. */
  constructor(
    reaction: Reaction<Event>,
    partition: number,
    consumer: string,
    parts: PartitionParts & Shared,
    options: PartitionOptions,
  ) {
    this.partition = partition;
    this.#reaction = reaction;
    this.#consumer = consumer;
    this.#parts = parts;
    this.#options = options;
    this.#handling = new MessageHandling(reaction, consumer, parts, options, this.#abandon.signal);
  }

  /** Begins once `after` has resolved: an earlier ownership of the same partition may still be draining. */
  start(after: Promise<void>): void {
    this.#running = after.then(() => this.#keepGoing(this.#stop.signal));
  }

  /** Drains: pulls nothing new, finishes what is at work, acknowledges it. What only waits is left to the next owner. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const late = delay(this.#options.drainMs, undefined, { ref: false }).then(async () => {
      this.#abandon.abort();
      await delay(AFTER_DRAIN_MS, undefined, { ref: false });
    });
    await Promise.race([this.#running, late]);
  }

  /** What keeps it from making progress now. */
  get problem(): string | undefined {
    return this.#interruption ?? this.#handling.outage ?? this.#overdue ?? this.#stall;
  }

  /** Messages that failed and are tried again. */
  get retrying(): Retry[] {
    return this.#handling.retrying;
  }

  /** A handler that does not end although its signal has aborted. It holds its key up, whatever the others do. */
  get #overdue(): string | undefined {
    const { attemptTimeoutMs, watchMs } = this.#options;
    const atWorkMs = this.#handling.oldestAttemptMs ?? 0;
    if (atWorkMs <= attemptTimeoutMs + watchMs) return undefined;
    return `a handler has not ended ${Math.round(atWorkMs - attemptTimeoutMs)} ms after its time`;
  }

  async #keepGoing(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        await this.#takeTurn(stop);
      } catch (error) {
        if (stop.aborted) break;
        this.#interruption = error instanceof Error ? error.message : String(error);
        const words = { err: error, consumer: this.#consumer, partition: this.partition };
        this.#parts.logger.warn(words, 'the consumer is interrupted, and goes on from what is acknowledged');
        await delay(backoffMs(++this.#restarts, RESTART_BACKOFF), undefined, { signal: stop }).catch(() => {});
      }
    }
    await this.#leave();
  }

  async #leave(): Promise<void> {
    const { broker, logger } = this.#parts;
    if (!broker.connected()) return;
    try {
      acknowledgeNow();
      await this.#claim?.release();
      await this.#floors?.write();
      // Whoever ends the process next must not take unsent acknowledgements with it.
      await broker.connection.flush();
    } catch (error) {
      logger.warn({ err: error, consumer: this.#consumer }, 'left without a word to the broker');
    }
  }

  /** Consumes until it is stopped or something is wrong. Whatever it is, the next turn starts from the ack floor. */
  async #takeTurn(stop: AbortSignal): Promise<void> {
    const turn = new AbortController();
    const end = () => turn.abort();
    stop.addEventListener('abort', end, { once: true });
    const forget = this.#parts.broker.onReconnect(() => turn.abort(new Error('the connection to the broker was lost')));
    const lease = setInterval(() => this.#keepLease(), this.#options.ackWaitMs / 3);
    let lanes: Lanes<InLane> | undefined;
    let messages: ConsumerMessages | undefined;
    let endAnswering = () => {};
    try {
      const prepared = await this.#prepare();
      lanes = this.#lanes(prepared, turn);
      endAnswering = this.#answer(turn.signal, prepared.parking, lanes);
      messages = await this.#pull(turn, lanes);
      this.#interruption = undefined;
      void this.#watchHandover(turn);
      await this.#watch(turn);
    } finally {
      turn.abort();
      endAnswering();
      stop.removeEventListener('abort', end);
      forget();
      await messages?.close();
      await lanes?.close();
      clearInterval(lease);
      this.#held.clear();
    }
    if (!stop.aborted) throw turn.signal.reason;
  }

  /** Before the first pull: the messages that a former owner has taken come first, and in order. */
  async #prepare(): Promise<Omit<Turn, 'pause'>> {
    const { broker, service, logger } = this.#parts;
    this.#floors ??= await Floors.of(broker, service, logger);
    const { floor: noted, info } = await this.#ensureConsumer(this.#floors);
    const { ack_floor, delivered } = info;
    const floor = Math.max(noted, ack_floor.stream_seq);
    // One that was made anew does not know what the one before has handed out.
    const handedOut = delivered.consumer_seq > 0 ? delivered.stream_seq : await this.#lastSequence();
    this.#claim ??= await Claim.take(broker, this.#durable, { floor, delivered: handedOut });
    await broker.manager.consumers.reset(this.#stream, this.#durable, floor + 1);
    return { claim: this.#claim, parking: await Parking.open(broker, this.#consumer, this.partition) };
  }

  /**
   * The broker has the consumer in memory alone: after a crash it begins where the floors say. A cluster whose nodes all died
   * makes it anew by itself, as it was made the first time, and knows nothing of what was acknowledged since.
   */
  async #ensureConsumer(floors: Floors): Promise<{ floor: number; info: ConsumerInfo }> {
    const { broker } = this.#parts;
    const floor = (await floors.read(this.#consumer, this.partition)) ?? (await this.#firstFloor(floors));
    const begin =
      floor === 0
        ? { deliver_policy: DeliverPolicy.All }
        : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: floor + 1 };
    const changeable = {
      filter_subjects: this.#reaction.sources.map(
        ({ journal, aggregate }) => `${journal.service}.event.${this.partition}.${aggregate}.*`,
      ),
      max_deliver: -1,
      max_ack_pending: this.#options.maxHeld,
      ack_wait: this.#options.ackWaitMs * 1_000_000,
    };
    try {
      const info = await addConsumer(broker, this.#stream, {
        durable_name: this.#durable,
        ack_policy: AckPolicy.Explicit,
        mem_storage: true,
        ...begin,
        replay_policy: ReplayPolicy.Instant,
        ...changeable,
      });
      return { floor, info };
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== CONSUMER_EXISTS) throw error;
      return {
        floor,
        info: await updateConsumer(broker, this.#stream, { durable_name: this.#durable, ...changeable }),
      };
    }
  }

  /** Where a consumer begins that nothing is known of. What begins now is noted before it does: it must not begin later. */
  async #firstFloor(floors: Floors): Promise<number> {
    if (this.#reaction.begins !== 'now') return 0;
    const floor = await this.#lastSequence();
    floors.note(this.#consumer, this.partition, floor);
    await floors.write();
    return floor;
  }

  async #lastSequence(): Promise<number> {
    const { state } = await this.#parts.broker.manager.streams.info(this.#stream);
    return state.last_seq;
  }

  #lanes(prepared: Omit<Turn, 'pause'>, controller: AbortController): Lanes<InLane> {
    const lanes: Lanes<InLane> = new Lanes<InLane>({
      keyOf: ({ key }) => key,
      alone: (item) => 'stored' in item && prepared.claim.isSuspect(item.stored.sequence),
      limit: () => (this.#handling.outage === undefined ? this.#options.maxKeys : 1),
      places: this.#parts.places,
      run: async (item) => {
        const isOurs = this.#parts.tenure.isSure() || (await this.#isStillOurs(controller));
        if (!isOurs) return { againAfterMs: AFTER_TURN_MS };
        if ('run' in item) {
          await item.run();
          return 'finished';
        }
        const outcome = await this.#handling.handle(item, turn);
        this.#progressed();
        if (outcome === 'finished') this.#finish(item);
        else this.#nextTryAt = Math.max(this.#nextTryAt, performance.now() + outcome.againAfterMs);
        return outcome;
      },
    });
    const turn: Turn = { ...prepared, pause: (durationMs) => lanes.pause(durationMs) };
    return lanes;
  }

  /** Another one may have owned the partition, and have handled what is in hand here: that comes again if not. */
  async #isStillOurs(turn: AbortController): Promise<boolean> {
    const hadOthers = await this.#parts.tenure.sure(turn.signal);
    if (hadOthers) turn.abort(new Error('the process stood still, and others may have owned the partition'));
    return !turn.signal.aborted;
  }

  /** Answers what operators ask of the partition's owner, until the returned function is called. */
  #answer(ended: AbortSignal, parking: Parking, lanes: Lanes<InLane>): () => void {
    const { broker } = this.#parts;
    const attempt = this.#handling.replay.bind(this.#handling);
    return answerAsOwner(broker, { consumer: this.#consumer, partition: this.partition }, async (request) => {
      const { outage } = this.#handling;
      if (outage !== undefined) throw new UnavailableError(outage);
      const { key } = request;
      const row = parking.row(this.partition, key);
      return runInLane(lanes, key, ended, () => answerRequest(request, { broker, row, attempt, ended }));
    });
  }

  async #pull(turn: AbortController, lanes: Lanes<InLane>): Promise<ConsumerMessages> {
    const consumer = await this.#parts.broker.js.consumers.get(this.#stream, this.#durable);
    // A reset makes the server count deliveries from 1 again.
    this.#next = 1;
    this.#taken = 0;
    const callback = (message: JsMsg) => {
      if (turn.signal.aborted) return;
      if (message.info.deliverySequence !== this.#next++) {
        turn.abort(new Error('another puller has taken a message'));
        return;
      }
      this.#progressed();
      this.#take(message, lanes);
    };
    const messages = await consumer.consume({ max_messages: PULL, callback });
    void messages.closed().then((error) => turn.abort(error ?? new Error(`consumer ${this.#durable} was closed`)));
    void endWhenLost(messages, turn);
    return messages;
  }

  #take(message: JsMsg, lanes: Lanes<InLane>): void {
    const stored = storedFromConsumer(message);
    this.#taken = stored.sequence;
    if (this.#handled.get(stored.sequence) === message.info.timestampNanos) {
      message.ack();
      return;
    }
    // Handed out again although it is in hand: its acknowledgement will count for both.
    if (this.#held.has(stored.sequence)) return;
    if (this.#handling.isIrrelevant(stored)) {
      acknowledgeSoon(message);
      this.#noteFloor();
      return;
    }
    const delivery = { message, stored, ...parkingPlace(stored.subject) };
    this.#held.set(stored.sequence, delivery);
    lanes.add(delivery);
  }

  #finish({ message, stored }: Delivery): void {
    acknowledgeSoon(message);
    this.#held.delete(stored.sequence);
    this.#handled.set(stored.sequence, message.info.timestampNanos);
    if (this.#handled.size > REMEMBERED) this.#handled.delete(this.#handled.keys().next().value ?? 0);
    this.#noteFloor();
    this.#restarts = 0;
  }

  /** Messages come in the order of the stream, so the first that is held is the oldest. */
  #noteFloor(): void {
    const [oldest] = this.#held.keys();
    this.#floors?.note(this.#consumer, this.partition, oldest === undefined ? this.#taken : oldest - 1);
  }

  #keepLease(): void {
    for (const { message } of this.#held.values()) message.working();
  }

  #progressed(): void {
    this.#progress++;
    this.#stall = undefined;
  }

  /** Resolves when the turn ends. Ends it where messages wait and none comes. */
  async #watch(turn: AbortController): Promise<void> {
    let seen = this.#progress;
    let looks = 0;
    while (!turn.signal.aborted) {
      await delay(this.#options.watchMs, undefined, { signal: turn.signal }).catch(() => {});
      if (turn.signal.aborted) return;
      if (this.#progress !== seen || this.#isWaiting) looks = 0;
      else if (await this.#isIdle()) this.#stall = undefined;
      // What is pending may have come just now, so one look is not enough.
      else if (++looks >= 2) this.#sayStalled(turn);
      seen = this.#progress;
    }
  }

  /** A handler is at work, or failed and is to be tried again: both take as long as they may. */
  get #isWaiting(): boolean {
    return this.#handling.oldestAttemptMs !== undefined || performance.now() < this.#nextTryAt;
  }

  /**
   * A former owner that is just leaving may be given a message, and drop it. The next message would show the gap; where
   * none comes, the broker would wait for an acknowledgement before it hands it out again.
   */
  async #watchHandover(turn: AbortController): Promise<void> {
    const { consumers } = this.#parts.broker.manager;
    for (let waitMs = HANDOVER_LOOK_MS; waitMs < HANDOVER_MS; waitMs *= 2) {
      await delay(waitMs, undefined, { signal: turn.signal }).catch(() => {});
      if (turn.signal.aborted) return;
      const info = await consumers.info(this.#stream, this.#durable).catch(() => undefined);
      const next = this.#next;
      if (info === undefined || info.delivered.consumer_seq < next) continue;
      await delay(ON_ITS_WAY_MS, undefined, { signal: turn.signal }).catch(() => {});
      if (this.#next === next) turn.abort(new Error('another puller has taken a message'));
    }
  }

  async #isIdle(): Promise<boolean> {
    const { num_pending } = await this.#parts.broker.manager.consumers.info(this.#stream, this.#durable);
    return num_pending === 0 && this.#held.size === 0;
  }

  #sayStalled(turn: AbortController): void {
    this.#stall = `no progress, with ${this.#held.size} messages in hand`;
    if (this.#held.size === 0) turn.abort(new Error('messages wait and none comes'));
  }

  get #stream(): string {
    return this.#reaction.sources[0]?.journal.stream ?? '';
  }

  get #durable(): string {
    return `${this.#consumer}-${this.partition}`;
  }
}

/** The client would go on pulling from a consumer that is not there any more. */
async function endWhenLost(messages: ConsumerMessages, turn: AbortController): Promise<void> {
  for await (const { type } of messages.status()) {
    if (type === 'consumer_deleted' || type === 'consumer_not_found' || type === 'stream_not_found') {
      turn.abort(new Error(type.replaceAll('_', ' ')));
    }
  }
}
