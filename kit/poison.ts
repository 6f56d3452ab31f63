import { type KV, Kvm } from '@nats-io/kv';
import type { Broker } from './broker.ts';

export const CLAIMS_BUCKET = 'consumer-claims';

/** Claims without progress after which messages are handled one at a time. */
const CLAIMS_BEFORE_CAUTION = 2;
/** A message that was started so often and never finished is given up. */
const STARTS_BEFORE_GIVING_UP = 3;

/** Where a consumer stands when a new owner takes it: sequences of the stream. */
export type Standing = {
  /** Everything up to here has been acknowledged. */
  floor: number;
  /** Nothing beyond has been handed to anybody. */
  delivered: number;
};

type Entry = {
  floor: number;
  /** Claims since the floor last moved, where none of the owners stopped in order. */
  claims: number;
  /** Nothing beyond has been handed to any of these owners. */
  delivered: number;
  /** How often each message was started, where it was never seen to end. */
  starts: Record<string, number>;
};

const nothing: Entry = { floor: 0, claims: 0, delivered: 0, starts: {} };

/**
 * Finds the message that kills the process. Each owner notes where it begins; when the next one finds the consumer
 * where the last one began, one of the messages handed out meanwhile may have been the reason. Those are then handled
 * one at a time, each noted before it starts, so that the note names the one that killed.
 */
export class Claim {
  readonly #bucket: KV;
  readonly #consumer: string;
  #entry: Entry;
  readonly #guardedUpTo: number;

  private constructor(bucket: KV, consumer: string, entry: Entry) {
    this.#bucket = bucket;
    this.#consumer = consumer;
    this.#entry = entry;
    const cautious = entry.claims >= CLAIMS_BEFORE_CAUTION || Object.keys(entry.starts).length > 0;
    this.#guardedUpTo = cautious ? entry.delivered : 0;
  }

  /**
   * Notes that a process begins to handle a consumer's messages. Once per process and ownership, not per connection.
   * @param consumer its name with the partition.
   */
  static async take(broker: Broker, consumer: string, { floor, delivered }: Standing): Promise<Claim> {
    const options = { history: 1, replicas: broker.replicas, allow_direct: false };
    const bucket = await new Kvm(broker.js).create(CLAIMS_BUCKET, options);
    const found = await bucket.get(consumer);
    const last = found === null || found.operation !== 'PUT' ? nothing : found.json<Entry>();
    const stuck = last.floor === floor;
    const starts = Object.entries(last.starts).filter(([sequence]) => Number(sequence) > floor);
    const claim = new Claim(bucket, consumer, {
      floor,
      claims: stuck ? last.claims + 1 : 1,
      delivered: stuck || starts.length > 0 ? Math.max(last.delivered, delivered) : delivered,
      starts: Object.fromEntries(starts),
    });
    await claim.#write(claim.#entry);
    return claim;
  }

  /** Whether this message may be the one that killed a process: it has to be handled with nothing else at work. */
  isSuspect(sequence: number): boolean {
    return sequence <= this.#guardedUpTo;
  }

  /** How often this message killed the process that handled it, when it is not to be started any more. */
  kills(sequence: number): number | undefined {
    const starts = this.#entry.starts[sequence] ?? 0;
    return starts >= STARTS_BEFORE_GIVING_UP ? starts : undefined;
  }

  /** Notes that a suspect is about to be handled. Only when this resolves may it be. */
  async starting(sequence: number): Promise<void> {
    const { starts } = this.#entry;
    const next = { ...this.#entry, starts: { ...starts, [sequence]: (starts[sequence] ?? 0) + 1 } };
    await this.#write(next);
    // Only now: a note that could not be written is not a start.
    this.#entry = next;
  }

  /** Notes that a suspect has been handled, or failed in a way that left the process alive. */
  async ended(sequence: number): Promise<void> {
    delete this.#entry.starts[sequence];
    await this.#write(this.#entry);
  }

  /** Notes that the owner stops in order: nothing has killed it. */
  async release(): Promise<void> {
    await this.#write({ ...this.#entry, claims: 0 });
  }

  async #write(entry: Entry): Promise<void> {
    await this.#bucket.put(this.#consumer, JSON.stringify(entry));
  }
}
