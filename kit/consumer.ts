import type { Message } from '@bufbuild/protobuf';
import type { EventTypes, RecordedEvent } from './event.ts';
import { Places } from './lanes.ts';
import type { Health } from './lifecycle.ts';
import type { Retry } from './member-status.ts';
import { OwnedPartitions } from './owned-partitions.ts';
import type { Tenure } from './ownership.ts';
import { PartitionConsumer, type PartitionOptions, type PartitionParts } from './partition-consumer.ts';
import { type ConsumerDescription, describedConsumer } from './service-descriptions.ts';
import type { EventSource } from './view.ts';

/** What happens when an event has been said: a side effect, or a command that makes a new event. */
export type Reaction<Event extends Message = Message> = {
  /** Reads as policy, such as `reserve-stock-on-stock-requested`; unique in a service. */
  name: string;
  /** Of one journal. */
  sources: readonly EventSource[];
  /**
   * Where it begins when it is new: with the first event that there ever was, or with what happens from its first start
   * on. An e-mail to everybody who ever ordered is sent once only.
   */
  begins: 'with-the-first-event' | 'now';
  /** Events of other types are passed over. */
  types: EventTypes;
  /**
   * Has to be idempotent: an event may come again. Throws PermanentError for what can never work, TransientError for
   * what may work the next time, UnavailableError where something it needs is away.
   * @param context.signal aborts when the attempt has taken too long, or the process can't wait any longer.
   * @param context.attempt counts from 1.
   */
  handle(event: RecordedEvent<Event>, context: { signal: AbortSignal; attempt: number }): Promise<void>;
};

export type ConsumerParts = PartitionParts & { service: string };

type ProcessOptions = {
  /** Keys at work at the same time on all partitions that this process owns: with another process, twice as many are. */
  maxAtWork: number;
};

export type ConsumerOptions = Partial<PartitionOptions & ProcessOptions>;

/** Without others there is no doubt. */
const alone: Tenure = { isSure: () => true, sure: async () => false };

const defaults: PartitionOptions & ProcessOptions = {
  maxAtWork: 128,
  maxKeys: 64,
  maxHeld: 512,
  maxAttempts: 8,
  backoff: { minMs: 200, maxMs: 10_000 },
  attemptTimeoutMs: 30_000,
  ackWaitMs: 30_000,
  watchMs: 10_000,
  drainMs: 8_000,
};

const NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/**
 * Carries out a reaction on the partitions that this process owns, by a durable consumer for each of them
 * (`<service>-<name>-<partition>`). Different keys at the same time, one key strictly in order; what can't be handled
 * is parked, and its key's later events behind it.
 */
export class KeyedConsumer<Event extends Message = Message> {
  /** `<service>-<reaction>`: what dead letters and telemetry call it. */
  readonly name: string;
  readonly #reaction: Reaction<Event>;
  readonly #attemptTimeoutMs: number;
  readonly #owned: OwnedPartitions<PartitionConsumer<Event>>;
  #tenure: Tenure = alone;

  constructor(reaction: Reaction<Event>, parts: ConsumerParts, options: ConsumerOptions = {}) {
    const journals = new Set(reaction.sources.map(({ journal }) => journal.stream));
    if (journals.size !== 1) throw new Error(`${reaction.name}: a reaction follows one journal, not ${journals.size}`);
    if (!NAME.test(reaction.name))
      throw new Error(`${reaction.name}: a reaction's name has a-z, 0-9 and single dashes`);
    this.name = `${parts.service}-${reaction.name}`;
    const all = { ...defaults, ...options };
    this.#reaction = reaction;
    this.#attemptTimeoutMs = all.attemptTimeoutMs;
    const places = new Places(all.maxAtWork);
    this.#owned = new OwnedPartitions((partition) => {
      const own = { ...parts, places, tenure: this.#tenure };
      return new PartitionConsumer(reaction, partition, this.name, own, all);
    });
  }

  /**
   * Owns exactly these partitions from now on. Takes new ones at once; resolves when those that are given up have
   * finished what they had at work.
   * @param tenure what is begun waits while that is not sure; left out: nobody else owns them.
   */
  async own(partitions: readonly number[], tenure: Tenure = alone): Promise<void> {
    this.#tenure = tenure;
    await this.#owned.own(partitions);
  }

  /** Drains: takes nothing new, finishes what is at work, then closes. */
  async stop(): Promise<void> {
    await this.own([]);
  }

  /** Messages that failed here and are tried again. */
  retrying(): Retry[] {
    return this.#owned.all().flatMap(({ retrying }) => retrying);
  }

  describe(): ConsumerDescription {
    const opens = this.#reaction.types.holdPersonalData();
    return {
      ...describedConsumer(this.name, 'reaction', this.#reaction, opens),
      attemptTimeoutMs: this.#attemptTimeoutMs,
    };
  }

  /** Says what keeps it from making progress, if anything does. Parked messages don't. */
  health(): Health {
    const reasons = this.#owned
      .all()
      .flatMap(({ partition, problem }) =>
        problem === undefined ? [] : [`consumer ${this.name}-${partition}: ${problem}`],
      );
    return { ready: reasons.length === 0, reasons };
  }
}
