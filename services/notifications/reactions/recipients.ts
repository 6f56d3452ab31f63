import { create } from '@bufbuild/protobuf';
import { LRUCache } from 'lru-cache';
import { type Position, PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import type { OrderPlaced } from '#gen/causeway/orders/v1/events_pb.js';
import { CallError, UnavailableError } from '#kit/errors.ts';
import type { RecordedEvent } from '#kit/event.ts';
import type { Journal } from '#kit/journal.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import type { Projection } from '#kit/projection.ts';
import { type Recipient, recipientOf } from '../views/recipients/recipients-view.ts';

/** Most orders are confirmed and shipped within seconds: their recipients need no look into the database. */
const KEPT_MS = 60_000;
const KEPT = 20_000;

/** Who is told about an order: in memory where it was placed just now, else in the view. */
export class Recipients {
  readonly #view: Projection<Recipient>;
  readonly #orders: Journal;
  readonly #placedJustNow = new LRUCache<string, Recipient>({ max: KEPT, ttl: KEPT_MS });

  /** @param orders the journal that the view is made from. */
  constructor(view: Projection<Recipient>, orders: Journal) {
    this.#view = view;
    this.#orders = orders;
  }

  remember(event: RecordedEvent<OrderPlaced>): void {
    this.#placedJustNow.set(event.key, recipientOf(event));
  }

  /**
   * The recipient of an event of the order; undefined where no order was placed before it.
   * @throws UnavailableError where the view is away, or has not come so far yet.
   */
  async of({ key, partition, sequence }: RecordedEvent, signal: AbortSignal): Promise<Recipient | undefined> {
    return this.#placedJustNow.get(key) ?? this.#inView(key, this.#position(partition, sequence), signal);
  }

  /** The same, for an event of another journal: what the order's own journal has by now comes first. */
  async ofOrder(orderId: string, signal: AbortSignal): Promise<Recipient | undefined> {
    const known = this.#placedJustNow.get(orderId);
    if (known !== undefined) return known;
    const last = await this.#orders.lastOnLeader(subjectOf(this.#orders.declaration.service, 'order', orderId));
    if (last === undefined) return undefined;
    return this.#inView(orderId, this.#position(partitionOf(orderId), last.sequence), signal);
  }

  #position(partition: number, sequence: number): Position {
    return create(PositionSchema, { stream: this.#orders.stream, partition, sequence: BigInt(sequence) });
  }

  async #inView(orderId: string, position: Position, signal: AbortSignal): Promise<Recipient | undefined> {
    try {
      const { find } = await this.#view.reached([position], signal);
      return await find(orderId);
    } catch (error) {
      // While the view is built anew nothing is wrong with the event, however long that takes.
      if (error instanceof CallError && error.code === 'DEADLINE_EXCEEDED') throw new UnavailableError(error.message);
      throw error;
    }
  }
}
