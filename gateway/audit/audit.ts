import type { Message } from '@bufbuild/protobuf';
import { PartitionsAssignedSchema } from '#gen/causeway/events/v1/partitions_assigned_pb.js';
import { type PersonalDataErased, PersonalDataErasedSchema } from '#gen/causeway/events/v1/personal_data_erased_pb.js';
import type { ItemListed, ItemPriceChanged, ItemRestocked } from '#gen/causeway/inventory/v1/events_pb.js';
import type { Broker } from '#kit/broker.ts';
import type { RecordedEvent } from '#kit/event.ts';
import { findStream } from '#kit/streams.ts';
import { addTo, learn, noFacts, type OrderFacts, type Pieces } from './order-facts.ts';
import { problemsOf, waitsFor } from './order-rules.ts';
import { recordedEvents } from './recorded-events.ts';

/** ORDERS comes first: what led to an order's end is then found in those that are read later. */
const STREAMS = [
  'ORDERS',
  'FULFILMENT',
  'INVENTORY',
  'PAYMENTS',
  'SHIPPING',
  'OPERATIONS',
  'NOTICES',
  'PUBLIC',
] as const;

/** Aggregates that stand under an order's id. */
const ABOUT_ORDERS = new Set(['order', 'fulfilment', 'reservation', 'payment', 'shipment', 'email']);

/** Problems that are kept word for word; beyond, they are counted only. */
const MAX_PROBLEMS = 100;

/** What is said shortly before a stream forgets it may be gone already; clocks differ, too. */
const FORGOTTEN_EARLY_MS = 60_000;

/** Pieces of an item, as the stock itself says. */
export type Stock = { available: number; reserved: number };

export type Audit = {
  orders: number;
  /** Orders by how they ended: `completed`, or why they were cancelled, as the fulfilment says. */
  outcomes: Map<string, number>;
  /** Orders that are not at their end, by what they wait for. */
  waiting: Map<string, string[]>;
  /** What must not be. */
  problems: string[];
  problemCount: number;
  /** Events by stream; a stream that is not there is not in it. */
  events: Map<string, number>;
  facts: ReadonlyMap<string, OrderFacts>;
};

/**
 * Reads all journals and checks what must hold for every order, whatever failed on the way: it ends once, stock and money
 * are conserved, nothing happened twice, everybody was told once. Meant for a platform that is at rest: what is under way
 * may look like a problem for a moment.
 * @param stock what the inventory says of each item, to be compared with what the journals say.
 */
export async function audit(broker: Broker, stock: ReadonlyMap<string, Stock>): Promise<Audit> {
  const found = new Findings();
  for (const stream of STREAMS) {
    const info = await findStream(broker.manager, stream);
    if (info === undefined) continue;
    found.begin(stream, info.config.max_age / 1_000_000);
    for await (const event of recordedEvents(broker, stream, (problem) => found.problem(problem))) found.add(event);
  }
  found.checkOrders();
  found.checkStock(stock);
  return found.result();
}

class Findings {
  readonly #facts = new Map<string, OrderFacts>();
  readonly #versions = new Map<string, number>();
  readonly #ids = new Set<string>();
  readonly #stocked: Pieces = new Map();
  readonly #events = new Map<string, number>();
  readonly #erasedKeys = new Set<string>();
  readonly #outcomes = new Map<string, number>();
  readonly #waiting = new Map<string, string[]>();
  readonly #problems: string[] = [];
  /** Of the streams that forget: since when everything is there. */
  readonly #keptSince = new Map<string, Date>();
  #problemCount = 0;

  problem(words: string): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(words);
  }

  /** @param keptMs how long the stream keeps what is said; 0: for ever. */
  begin(stream: string, keptMs: number): void {
    this.#events.set(stream, 0);
    if (keptMs > 0) this.#keptSince.set(stream, new Date(Date.now() - keptMs + FORGOTTEN_EARLY_MS));
  }

  add(event: RecordedEvent): void {
    addTo(this.#events, event.stream, 1);
    const place = `${event.stream} ${event.sequence} (${event.type} of ${event.key})`;
    if (this.#ids.has(event.id)) this.problem(`${place}: the event ${event.id} is there twice`);
    this.#ids.add(event.id);
    // Said by many of one service, each of itself: there are no versions.
    if (event.type === PartitionsAssignedSchema.typeName) return;
    const known = this.#versions.get(event.subject);
    // Where a stream forgets, the first one that is left may have any version.
    const isFirstLeft = known === undefined && this.#keptSince.has(event.stream);
    const isNext = event.version === (known ?? 0) + 1 || isFirstLeft;
    if (!isNext) this.problem(`${place}: version ${event.version} follows ${known ?? 0}`);
    this.#versions.set(event.subject, event.version);
    const aggregate = event.subject.split('.')[3] ?? '';
    if (event.type === PersonalDataErasedSchema.typeName) this.#erased(event.data as Message as PersonalDataErased);
    if (aggregate === 'item') this.#stock(event);
    else if (ABOUT_ORDERS.has(aggregate) && !event.type.endsWith('.RequestIdUsed')) this.#order(event);
  }

  #erased({ keyIds }: PersonalDataErased): void {
    for (const keyId of keyIds) this.#erasedKeys.add(keyId);
  }

  #order(event: RecordedEvent): void {
    const facts = this.#facts.get(event.key) ?? noFacts();
    this.#facts.set(event.key, facts);
    learn(facts, event);
  }

  #stock({ stream, key, data }: RecordedEvent): void {
    if (stream !== 'INVENTORY') return;
    const { quantity } = data as Message as ItemListed | ItemPriceChanged | ItemRestocked;
    addTo(this.#stocked, key, quantity);
  }

  checkOrders(): void {
    const since = (stream: string) => this.#keptSince.get(stream) ?? new Date(0);
    const keptSince = { emails: since('NOTICES'), published: since('PUBLIC') };
    for (const [orderId, facts] of this.#facts) {
      facts.isErased = this.#erasedKeys.has(facts.keyId);
      for (const problem of problemsOf(facts, keptSince)) this.problem(`order ${orderId} ${problem}`);
      const reason = waitsFor(facts);
      if (reason === undefined) {
        addTo(this.#outcomes, facts.completed > 0 ? 'completed' : facts.fulfilmentReason, 1);
      } else {
        this.#waiting.set(reason, [...(this.#waiting.get(reason) ?? []), orderId]);
      }
    }
  }

  checkStock(stock: ReadonlyMap<string, Stock>): void {
    const held: Pieces = new Map();
    const taken: Pieces = new Map();
    for (const { reserved, released, committed } of this.#facts.values()) {
      for (const [sku, quantity] of reserved ?? []) {
        if (committed !== undefined) addTo(taken, sku, quantity);
        else if (released === undefined) addTo(held, sku, quantity);
      }
    }
    for (const sku of stock.keys()) {
      if (!this.#stocked.has(sku)) this.problem(`item ${sku} is in stock, and its journal has none`);
    }
    for (const [sku, stocked] of this.#stocked) {
      const expected = {
        available: stocked - (held.get(sku) ?? 0) - (taken.get(sku) ?? 0),
        reserved: held.get(sku) ?? 0,
      };
      const found = stock.get(sku);
      if (expected.available < 0) this.problem(`item ${sku} is oversold by ${-expected.available}`);
      if (found?.available !== expected.available || found.reserved !== expected.reserved) {
        this.problem(`item ${sku} has ${JSON.stringify(found)}, and by its journal ${JSON.stringify(expected)}`);
      }
    }
  }

  result(): Audit {
    return {
      orders: this.#facts.size,
      outcomes: this.#outcomes,
      waiting: this.#waiting,
      problems: this.#problems,
      problemCount: this.#problemCount,
      events: this.#events,
      facts: this.#facts,
    };
  }
}
