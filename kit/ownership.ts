import { hash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type KV, Kvm } from '@nats-io/kv';
import { type Msg, NoRespondersError } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import { entriesOf } from './bucket-entries.ts';
import { allPartitions } from './partitions.ts';
import type { Logger } from './telemetry/logging.ts';

export const OWNERS_BUCKET = 'partition-owners';

export type OwnershipOptions = {
  /** How often a member says that it is there, and looks who else is. */
  heartbeatMs: number;
  /** A member that has not been heard of for so long is gone. The bucket's, so the same for all services of a broker. */
  ttlMs: number;
};

const defaults: OwnershipOptions = { heartbeatMs: 1_000, ttlMs: 5_000 };

/** What a member is asked that is to say how it is; others are only to say that they are there. */
export const HOW_IT_IS = 'status';

/** How long a silent member may take to say that it is still there. */
const CALL_TIMEOUT_MS = 500;
/** Nobody waits for it: a broker that is slow for a moment must not look like one that is away. */
const LOOK_MS = 5_000;

/** Who of the members owns a partition: the one with the highest hash, so that a member's end moves only its share. */
export function ownerOf(partition: number, members: readonly string[]): string | undefined {
  const weight = (member: string) => hash('sha256', `${partition} ${member}`);
  return members.reduce<string | undefined>(
    (best, member) => (best === undefined || weight(member) > weight(best) ? member : best),
    undefined,
  );
}

export type OwnershipParts = {
  service: string;
  broker: Broker;
  logger: Logger;
  /** How this member is, for who asks; becomes JSON. Must not throw. */
  status?: () => Promise<object>;
};

/** Where a member of a service is asked whether it is there, and how. */
export function memberAddress(service: string, member: string): string {
  return `owner.${service}.${member}`;
}

/**
 * Shares the partitions of a service between its replicas. Each keeps a heartbeat in a bucket whose entries expire,
 * and all come to the same result from the same members. For a moment two may think they own the same partition.
 */
export class Ownership {
  readonly member: string = randomUUID();
  readonly #broker: Broker;
  readonly #service: string;
  readonly #logger: Logger;
  readonly #options: OwnershipOptions;
  readonly #status: () => Promise<object>;
  readonly #listeners = new Set<(partitions: readonly number[]) => void>();
  /** Revision of each member's last heartbeat, to see whether it goes on. */
  #heard = new Map<string, number>();
  #partitions: readonly number[] = [];
  #bucket: KV | undefined;
  #end: AbortController | undefined;
  #beating: Promise<void> = Promise.resolve();
  #looks = 0;
  #latestLook = 0;
  #close: () => void = () => {};

  constructor(
    { service, broker, logger, status = async () => ({}) }: OwnershipParts,
    options: Partial<OwnershipOptions> = {},
  ) {
    this.#service = service;
    this.#broker = broker;
    this.#logger = logger;
    this.#status = status;
    this.#options = { ...defaults, ...options };
  }

  /** The partitions that are owned now. */
  get partitions(): readonly number[] {
    return this.#partitions;
  }

  /** Calls back with the partitions that are owned from now on, after each change. */
  onChange(listener: (partitions: readonly number[]) => void): void {
    this.#listeners.add(listener);
  }

  /** Joins. When it resolves, this member owns its share; the only one owns everything. */
  async start(): Promise<void> {
    this.#bucket = await new Kvm(this.#broker.js).create(OWNERS_BUCKET, {
      history: 1,
      ttl: this.#options.ttlMs,
      replicas: this.#broker.replicas,
    });
    this.#end = new AbortController();
    this.#listen(this.#broker);
    await this.#say();
    await this.#look();
    this.#broker.connection.publish(this.#changes);
    this.#beating = this.#keepBeating(this.#end.signal);
  }

  /** Leaves at once: the others take over without waiting for the heartbeat to expire. */
  async stop(): Promise<void> {
    if (this.#end === undefined) return;
    this.#end.abort();
    this.#close();
    await this.#beating;
    this.#own([]);
    try {
      await this.#bucket?.delete(this.#key(this.member));
      this.#broker.connection.publish(this.#changes);
    } catch (error) {
      this.#logger.warn({ err: error, service: this.#service }, 'left without a word; the others will notice');
    }
  }

  /** Answers to those who ask whether this member is there, and looks again when somebody comes or goes. */
  #listen({ connection }: Broker): void {
    const calls = connection.subscribe(memberAddress(this.#service, this.member), {
      callback: (error, call) => {
        if (error === null) void this.#answer(call);
      },
    });
    const changes = connection.subscribe(this.#changes, { callback: () => void this.#look().catch(() => {}) });
    this.#close = () => {
      for (const subscription of [calls, changes]) {
        if (!subscription.isClosed()) subscription.unsubscribe();
      }
    };
  }

  /** Who is asked how it is says that it is there by the same answer. */
  async #answer(call: Msg): Promise<void> {
    const status = call.string() === HOW_IT_IS ? JSON.stringify(await this.#status()) : '';
    if (this.#broker.connected()) call.respond(status);
  }

  async #keepBeating(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(this.#options.heartbeatMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      // With the broker everything is away that could be owned.
      if (!this.#broker.connected()) continue;
      const unanswered = (error: unknown) =>
        this.#logger.warn({ err: error, service: this.#service }, 'the broker does not say who owns what');
      await this.#say().catch(unanswered);
      // Not waited for: an answer that never comes must not keep the next heartbeat back.
      void this.#look().catch(unanswered);
    }
  }

  async #say(): Promise<void> {
    await this.#bucket?.put(this.#key(this.member), '');
  }

  /** Looks who is there, and owns what follows from it. One that hangs must not have the last word. */
  async #look(): Promise<void> {
    const look = ++this.#looks;
    const before = this.#heard;
    const heard = await this.#heartbeats();
    const others = [...heard].filter(([member]) => member !== this.member);
    const there = await Promise.all(
      others.map(async ([member, revision]) =>
        before.has(member) && before.get(member) !== revision ? true : this.#isThere(member),
      ),
    );
    if (look < this.#latestLook || this.#end?.signal.aborted !== false) return;
    this.#latestLook = look;
    this.#heard = heard;
    const members = others.flatMap(([member], index) => (there[index] ? [member] : []));
    this.#own(allPartitions.filter((partition) => ownerOf(partition, [this.member, ...members]) === this.member));
  }

  /** Members whose heartbeat has not expired, with its revision. */
  async #heartbeats(): Promise<Map<string, number>> {
    const entries = await entriesOf(this.#broker, OWNERS_BUCKET, this.#key('*'), { answerMs: LOOK_MS });
    return new Map(entries.map(({ key, revision }) => [key.slice(key.lastIndexOf('.') + 1), revision]));
  }

  /**
   * Whether a member that went silent, or that nobody knew until now, can be reached. A process that was killed has
   * no subscription any more, and the broker says so at once; a machine that was lost is waited for until it expires.
   */
  async #isThere(member: string): Promise<boolean> {
    try {
      await this.#broker.connection.request(memberAddress(this.#service, member), '', { timeout: CALL_TIMEOUT_MS });
      return true;
    } catch (error) {
      return !isNoResponders(error);
    }
  }

  #own(partitions: readonly number[]): void {
    if (partitions.join() === this.#partitions.join()) return;
    this.#partitions = partitions;
    for (const listener of this.#listeners) listener(partitions);
  }

  #key(member: string): string {
    return `${this.#service}.${member}`;
  }

  get #changes(): string {
    return `owners.${this.#service}`;
  }
}

/** Whether the broker says that nobody listens. */
export function isNoResponders(error: unknown): boolean {
  if (error instanceof NoRespondersError) return true;
  return error instanceof Error && error.cause instanceof NoRespondersError;
}
