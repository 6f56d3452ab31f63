import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type KV, Kvm } from '@nats-io/kv';
import { type Msg, NoRespondersError } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import { entriesOf } from './bucket-entries.ts';
import { shareOf } from './partition-shares.ts';
import type { Logger } from './telemetry/logging.ts';

export const OWNERS_BUCKET = 'partition-owners';

export type OwnershipOptions = {
  /** How often a member says that it is there, and looks who else is. */
  heartbeatMs: number;
  /** A member of which nothing was heard for so long, and that does not answer, is gone. The same for all members. */
  silenceMs: number;
};

const defaults: OwnershipOptions = { heartbeatMs: 1_000, silenceMs: 2_000 };

/** Tidies up what members leave that end without a word. Who is there is not decided by it. */
const KEPT_MS = 5_000;

/** What a member is asked that is to say how it is; others are only to say that they are there. */
export const HOW_IT_IS = 'status';

/** How long a silent member may take to say that it is still there. */
const CALL_TIMEOUT_MS = 500;
/** Nobody waits for it: a broker that is slow for a moment must not look like one that is away. */
const LOOK_MS = 5_000;

/** Whether this process still owns what it was given. */
export type Tenure = {
  /** False where the others may have missed this process, because it stood still or could not be heard. */
  isSure(): boolean;
  /**
   * Resolves once it is known again who owns what, and everybody here was told; or when the signal aborts. Answers
   * whether there are others, who may have owned it meanwhile.
   */
  sure(signal: AbortSignal): Promise<boolean>;
};

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

/** What is known of another member. */
type Heard = {
  /** Of its latest heartbeat; undefined: it is not in the bucket any more. */
  revision: number | undefined;
  /** When it last gave a sign of life, by this process' own clock. */
  at: number;
  isGone: boolean;
};

/**
 * Shares the partitions of a service between its replicas. Each keeps a heartbeat in a bucket, and all come to the same
 * result from the same members. For a moment two may think they own the same partition.
 */
export class Ownership implements Tenure {
  readonly member: string = randomUUID();
  readonly #broker: Broker;
  readonly #service: string;
  readonly #logger: Logger;
  readonly #options: OwnershipOptions;
  readonly #status: () => Promise<object>;
  readonly #listeners = new Set<(partitions: readonly number[], members: number) => void>();
  readonly #heard = new Map<string, Heard>();
  #partitions: readonly number[] = [];
  #bucket: KV | undefined;
  #end: AbortController | undefined;
  #beating: Promise<void> = Promise.resolve();
  #looks = 0;
  #latestLook = 0;
  /** Until then nobody can have missed this member, by its own clock. */
  #sureUntil = 0;
  #becomesSure = Promise.withResolvers<void>();
  /** Whether there were others when it was not sure the last time. */
  #hadOthers = false;
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

  /** Calls back with the partitions that are owned from now on, after each change, and with how many members there are. */
  onChange(listener: (partitions: readonly number[], members: number) => void): void {
    this.#listeners.add(listener);
  }

  isSure(): boolean {
    return performance.now() < this.#sureUntil && this.#broker.connected();
  }

  async sure(signal: AbortSignal): Promise<boolean> {
    const aborted = Promise.withResolvers<void>();
    const end = () => aborted.resolve();
    signal.addEventListener('abort', end, { once: true });
    while (!this.isSure() && !signal.aborted) await Promise.race([this.#becomesSure.promise, aborted.promise]);
    signal.removeEventListener('abort', end);
    return this.#hadOthers;
  }

  /** Joins. When it resolves, this member owns its share; the only one owns everything. */
  async start(): Promise<void> {
    this.#bucket = await new Kvm(this.#broker.js).create(OWNERS_BUCKET, {
      history: 1,
      ttl: KEPT_MS,
      replicas: this.#broker.replicas,
    });
    const end = new AbortController();
    this.#end = end;
    this.#listen(this.#broker);
    await this.#beat();
    this.#beating = this.#keepBeating(end.signal);
  }

  /** Leaves at once: the others take over without waiting until they miss it. */
  async stop(): Promise<void> {
    if (this.#end === undefined) return;
    this.#end.abort();
    this.#close();
    await this.#beating;
    this.#own([], this.#others.length + 1);
    // They have noticed by the time that there is somebody to tell.
    if (!this.#broker.connected()) return;
    try {
      await this.#bucket?.delete(this.#key(this.member));
      this.#broker.connection.publish(this.#changes);
    } catch (error) {
      this.#logger.warn({ err: error, service: this.#service }, 'left without a word; the others will notice');
    }
  }

  /** Answers to those who ask whether this member is there, and looks again when somebody comes or goes. */
  #listen({ connection }: Broker): void {
    this.#close();
    const calls = connection.subscribe(memberAddress(this.#service, this.member), {
      callback: (error, call) => {
        if (error === null) void this.#answer(call);
      },
    });
    const changes = connection.subscribe(this.#changes, { callback: () => void this.#look().catch(() => {}) });
    // The others were told by the broker that this member can't be reached.
    const forget = this.#broker.onReconnect(() => {
      this.#sureUntil = 0;
      void this.#beat().catch(() => {});
    });
    this.#close = () => {
      forget();
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
      // Not waited for: an answer that never comes must not keep the next heartbeat back.
      void this.#beat().catch((error) =>
        this.#logger.warn({ err: error, service: this.#service }, 'the broker does not say who owns what'),
      );
    }
  }

  /**
   * Says that this member is there, and looks who else is. Where it was heard in time nobody can have missed it; else
   * it has to look first who owns what by now.
   */
  async #beat(): Promise<void> {
    const began = performance.now();
    await this.#bucket?.put(this.#key(this.member), '');
    const wasMissed = !this.isSure();
    if (!wasMissed) this.#isSureSince(began);
    const others = this.#others.length;
    await this.#look();
    if (!wasMissed) return;
    this.#hadOthers = others + this.#others.length > 0;
    this.#isSureSince(began);
    // Who does not know of it would own the same until the next heartbeat.
    if (this.isSure()) this.#broker.connection.publish(this.#changes);
  }

  #isSureSince(began: number): void {
    this.#sureUntil = Math.max(this.#sureUntil, began + this.#options.silenceMs);
    if (!this.isSure()) return;
    this.#becomesSure.resolve();
    this.#becomesSure = Promise.withResolvers<void>();
  }

  /** Looks who is there, and owns what follows from it. One that hangs must not have the last word. */
  async #look(): Promise<void> {
    const look = ++this.#looks;
    await this.#hear();
    if (look < this.#latestLook || this.#end?.signal.aborted !== false) return;
    this.#latestLook = look;
    const members = [this.member, ...this.#others];
    this.#own(shareOf(this.member, members), members.length);
  }

  /** Hears of the other members: by a new heartbeat, or by asking those that are silent. */
  async #hear(): Promise<void> {
    const heartbeats = await this.#heartbeats();
    const silent: string[] = [];
    for (const member of new Set([...heartbeats.keys(), ...this.#heard.keys()])) {
      if (!this.#isHeard(member, heartbeats.get(member))) silent.push(member);
    }
    if (silent.length === 0) return;
    const [isHeardHere, ...answers] = await Promise.all([this.member, ...silent].map((member) => this.#call(member)));
    const isUndecided = silent.map((member, index) => {
      const heard = this.#heard.get(member);
      if (heard === undefined) return false;
      if (answers[index] === 'yes') heard.at = performance.now();
      if (answers[index] === 'no') heard.isGone = true;
      if (answers[index] !== 'silence') return false;
      // Who does not hear itself can't say that another one is silent.
      heard.isGone = isHeardHere === 'yes' && performance.now() - heard.at >= this.#options.silenceMs;
      return !heard.isGone;
    });
    if (isUndecided.includes(true) && isHeardHere === 'yes') this.#lookAgain();
  }

  /** Whether there is nothing to ask of a member: it has given a sign of life, or is gone as before. */
  #isHeard(member: string, revision: number | undefined): boolean {
    const heard = this.#heard.get(member);
    if (heard === undefined) {
      this.#heard.set(member, { revision, at: performance.now(), isGone: false });
      return false;
    }
    const isNew = revision !== undefined && revision !== heard.revision;
    heard.revision = revision;
    if (isNew) Object.assign(heard, { at: performance.now(), isGone: false });
    if (heard.isGone && revision === undefined) this.#heard.delete(member);
    return isNew || heard.isGone;
  }

  /** What is undecided is not left until the next heartbeat. */
  #lookAgain(): void {
    setImmediate(() => {
      if (this.#end?.signal.aborted === false && this.#broker.connected()) void this.#look().catch(() => {});
    });
  }

  /** The other members' latest heartbeats: the revision of each, by member. */
  async #heartbeats(): Promise<Map<string, number>> {
    const entries = await entriesOf(this.#broker, OWNERS_BUCKET, this.#key('*'), { answerMs: LOOK_MS });
    const heartbeats = new Map(entries.map(({ key, revision }) => [key.slice(key.lastIndexOf('.') + 1), revision]));
    heartbeats.delete(this.member);
    return heartbeats;
  }

  /**
   * Whether a member can be reached. A process that was killed has no subscription any more, and the broker says so at
   * once; one that stands still, or whose machine was lost, is silent.
   */
  async #call(member: string): Promise<'yes' | 'no' | 'silence'> {
    try {
      await this.#broker.connection.request(memberAddress(this.#service, member), '', { timeout: CALL_TIMEOUT_MS });
      return 'yes';
    } catch (error) {
      return isNoResponders(error) ? 'no' : 'silence';
    }
  }

  get #others(): string[] {
    return [...this.#heard].flatMap(([member, { isGone }]) => (isGone ? [] : [member]));
  }

  #own(partitions: readonly number[], members: number): void {
    if (partitions.join() === this.#partitions.join()) return;
    this.#partitions = partitions;
    for (const listener of this.#listeners) listener(partitions, members);
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
