import { setTimeout as delay } from 'node:timers/promises';
import { Assignments } from './assignments.ts';
import { answered, type Broker } from './broker.ts';
import { FORGET_ERASED } from './erasure.ts';
import type { Health } from './lifecycle.ts';
import { type MemberStatus, memberStatus, type Retry } from './member-status.ts';
import { Ownership, type OwnershipOptions, type Tenure } from './ownership.ts';
import {
  type ConsumerDescription,
  describedService,
  describeService,
  type Publisher,
  type ServiceDescription,
  type WithoutConsumers,
} from './service-descriptions.ts';
import { observeDeadLetters, observePartitions } from './telemetry/journal-metrics.ts';
import type { Logger } from './telemetry/logging.ts';
import { type Administered, answerAboutViews } from './view-requests.ts';

/** What a service does partition by partition: a view's Projection, a reaction's KeyedConsumer. */
export type PartitionedWork = {
  /** Of its consumers at the broker, without the partition. */
  readonly name: string;
  /** Owns exactly these partitions from now on, as long as that is sure. */
  own(partitions: readonly number[], tenure: Tenure): Promise<void>;
  /** Finishes what is at work, then stops. */
  stop(): Promise<void>;
  health(): Health;
  /** What it listens to; undefined: to no journal. */
  describe(): ConsumerDescription | undefined;
  /** Of a view: whether its documents hold personal data in the clear. */
  readonly holdsPersonalData?: boolean;
  /** Of a view: what operators may do to it. */
  readonly administration?: Administered;
  /** Messages that failed and are tried again. */
  retrying?(): Retry[];
};

export type OwnedWorkParts = {
  service: string;
  broker: Broker;
  logger: Logger;
  /** Left out: that of the machine. */
  clock?: () => Date;
};

const RETRY_MS = 500;
/** A stop does not wait longer until it is told that this process owns nothing any more. */
const LAST_WORD_MS = 500;

/** All projections and reactions of a service, on the partitions that this process owns. */
export class OwnedWork {
  readonly #work: readonly PartitionedWork[];
  readonly #publishers: readonly Publisher[];
  readonly #parts: OwnedWorkParts;
  readonly #ownership: Ownership;
  readonly #assignments: Assignments;
  readonly #stop = new AbortController();
  #health = async () => this.health();
  readonly #clock: () => Date;
  #problem: string | undefined = 'not started';
  #joining: Promise<void> = Promise.resolve();
  #endObserving = () => {};

  /**
   * @param publishers all that the service says events with: it tells others what it says.
   * @throws Error where two have the same name: they would be one consumer; where a view holds personal data and nothing
   *   forgets it (`forgetErased`).
   */
  constructor(
    work: readonly PartitionedWork[],
    publishers: readonly Publisher[],
    parts: OwnedWorkParts,
    ownership: Partial<OwnershipOptions> = {},
  ) {
    const names = work.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) throw new Error(`${parts.service} has two consumers of the name ${twice}`);
    // What is personal would stay there in the clear when its customer is erased.
    const open = work.find(({ holdsPersonalData }) => holdsPersonalData);
    if (open !== undefined && !names.includes(`${parts.service}-${FORGET_ERASED}`)) {
      throw new Error(`${open.name} holds personal data, and ${parts.service} has no reaction ${FORGET_ERASED}`);
    }
    this.#work = work;
    this.#publishers = publishers;
    this.#parts = parts;
    this.#clock = parts.clock ?? (() => new Date());
    const status = () => this.#status();
    this.#ownership = new Ownership({ ...parts, status }, ownership);
    const { member } = this.#ownership;
    this.#assignments = new Assignments({ ...parts, member, clock: this.#clock });
    this.#ownership.onChange((partitions, members) => {
      this.#assignments.changed(partitions, members);
      if (this.#stop.signal.aborted) return;
      for (const each of work) void each.own(partitions, this.#ownership);
    });
  }

  /** The partitions that this process owns now. */
  get partitions(): readonly number[] {
    return this.#ownership.partitions;
  }

  /**
   * Joins those who share the partitions; when it resolves, this process owns its share. It resolves also where the
   * broker is away, and joins when that is back.
   * @param health of the whole service, for who asks how it is; left out: of this work alone.
   */
  async start(health: () => Promise<Health> = this.#health): Promise<void> {
    this.#health = health;
    const { service, broker, logger } = this.#parts;
    const consumers = this.describe().consumers.map(({ name }) => name);
    const ends = [
      observeDeadLetters(broker, service, consumers, logger),
      observePartitions(service, () => this.partitions),
    ];
    const endAnswering = answerAboutViews(
      broker,
      service,
      this.#work.flatMap(({ administration }) => administration ?? []),
    );
    this.#endObserving = () => {
      for (const end of ends) end();
      endAnswering();
    };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#joining = this.#join(resolve);
    await promise;
  }

  /** Drains first and leaves then: whoever takes over finds everything acknowledged. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#endObserving();
    await this.#joining;
    await Promise.all(this.#work.map((each) => each.stop()));
    await this.#ownership.stop();
    await this.#assignments.end(this.#parts.broker.connected() ? LAST_WORD_MS : 0);
  }

  health(): Health {
    const own = this.#problem === undefined ? [] : [`partitions of ${this.#parts.service}: ${this.#problem}`];
    const reasons = [...own, ...this.#work.flatMap((each) => each.health().reasons)];
    return { ready: reasons.length === 0, reasons };
  }

  #status(): Promise<MemberStatus> {
    const retrying = this.#work.flatMap((each) => each.retrying?.() ?? []);
    return memberStatus(this.#health, { owned: this.#assignments.owned, retrying, clock: this.#clock });
  }

  /** What the service says and what it listens to. @param others what it follows and asks beside this work. */
  describe(others?: WithoutConsumers): ServiceDescription {
    const consumers = this.#work.flatMap((each) => each.describe() ?? []);
    return describedService(this.#parts.service, [...this.#publishers, this.#assignments], consumers, others);
  }

  async #join(tried: () => void): Promise<void> {
    const { service, broker, logger } = this.#parts;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await answered(broker, () => describeService(broker, this.describe()));
        await answered(broker, () => this.#ownership.start());
        this.#problem = undefined;
        return;
      } catch (error) {
        this.#problem = error instanceof Error ? error.message : String(error);
        logger.warn({ err: error, service }, 'the partitions can not be shared yet');
      } finally {
        tried();
      }
      await delay(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }
}
