import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DescMessage, Message } from '@bufbuild/protobuf';
import { file_causeway_fulfilment_v1_events } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { file_causeway_inventory_v1_events } from '#gen/causeway/inventory/v1/events_pb.js';
import { file_causeway_operations_v1_events } from '#gen/causeway/operations/v1/events_pb.js';
import { file_causeway_orders_v1_events } from '#gen/causeway/orders/v1/events_pb.js';
import { file_causeway_payments_v1_events } from '#gen/causeway/payments/v1/events_pb.js';
import { file_causeway_shipping_v1_events } from '#gen/causeway/shipping/v1/events_pb.js';
import { EventTypes, eventHeaders, eventsIn, type RecordedEvent, readEvent, type StoredMessage } from '#kit/event.ts';
import { ensureJournals, Journal, storedFromConsumer } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { sealed } from '#kit/personal-data.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { atTheEnd } from '#kit/testing/servers.ts';
import { aggregates, type OtherService, type Said, type World } from './world.ts';

const types = [
  file_causeway_fulfilment_v1_events,
  file_causeway_inventory_v1_events,
  file_causeway_operations_v1_events,
  file_causeway_orders_v1_events,
  file_causeway_payments_v1_events,
  file_causeway_shipping_v1_events,
].flatMap(eventsIn);
const typesByName = new Map<string, DescMessage>(types.map((type) => [type.typeName, type]));
const eventTypes = new EventTypes(types);

const services = Object.keys(aggregates) as OtherService[];
const answering = ['inventory', 'payments', 'shipping'] as const;

/** How the other services speak: at once and once, or as the tests of faults want it. */
export type Manners = {
  /** What is said waits so long. */
  delayMs(): number;
  /** How often each event is published. */
  times(): number;
};

/** The other services, on a real broker: they hear fulfilment's events and publish what they answer. */
export class Stage {
  readonly #parts: ServiceParts;
  readonly #journal: Journal;
  readonly #worlds = new Map<string, World>();
  readonly #versions = new Map<string, number>();
  /** What is being said about an order in a journal: in order, one after the other. */
  readonly #saying = new Map<string, Promise<void>>();
  readonly #silent = new Set<OtherService>();
  readonly #held: { service: OtherService; say: () => void }[] = [];
  readonly #manners: Manners;
  #isOver = false;

  private constructor(parts: ServiceParts, manners: Manners) {
    this.#parts = parts;
    this.#journal = new Journal(journalOf('fulfilment'), parts.broker);
    this.#manners = manners;
  }

  static async open(parts: ServiceParts, manners: Manners = { delayMs: () => 0, times: () => 1 }): Promise<Stage> {
    const stage = new Stage(parts, manners);
    const names = [...services, 'fulfilment'];
    await ensureJournals(
      parts.broker,
      names.map((name) => journalOf(name)),
    );
    const consumer = await parts.broker.js.consumers.get('FULFILMENT');
    const messages = await consumer.consume();
    atTheEnd(async () => {
      stage.#isOver = true;
      await messages.close();
      await Promise.all(stage.#saying.values());
    });
    void (async () => {
      for await (const message of messages) {
        const event = await readEvent(storedFromConsumer(message), eventTypes, parts.personalData);
        stage.#heard(stage.#worlds.get(event.key), event.data);
      }
    })();
    return stage;
  }

  /** Places the world's order, and lets its services answer from then on. */
  place(world: World): void {
    this.#worlds.set(world.orderId, world);
    this.say(world, world.place());
  }

  /** What this service says is not published for now. */
  hold(service: OtherService): void {
    this.#silent.add(service);
  }

  release(service: OtherService): void {
    this.#silent.delete(service);
    for (const held of this.#held.splice(0)) {
      if (held.service === service) held.say();
      else this.#held.push(held);
    }
  }

  say(world: World, said: readonly Said[]): void {
    for (const each of said) {
      const say = () => this.#say(world, each);
      if (this.#silent.has(each.service)) this.#held.push({ service: each.service, say });
      else say();
    }
  }

  /** All that fulfilment has said about an order. */
  async events(orderId: string): Promise<RecordedEvent[]> {
    const stored = await this.stored(orderId);
    return Promise.all(stored.map((message) => readEvent(message, eventTypes, this.#parts.personalData)));
  }

  stored(orderId: string): Promise<StoredMessage[]> {
    return this.#journal.history(subjectOf('fulfilment', 'fulfilment', orderId));
  }

  /** Their names, in short. */
  async steps(orderId: string): Promise<string[]> {
    const stored = await this.stored(orderId);
    return stored.map(({ headers }) => headers.get('ce-type').split('.').at(-1) ?? '');
  }

  #say(world: World, { service, data }: Said): void {
    const lane = `${service} ${world.orderId}`;
    const before = this.#saying.get(lane) ?? Promise.resolve();
    this.#saying.set(
      lane,
      before.then(async () => {
        await delay(this.#manners.delayMs());
        if (this.#isOver) return;
        await this.#publish(world, service, data);
        this.#heard(world, data);
      }),
    );
  }

  async #publish(world: World, service: OtherService, data: Message): Promise<void> {
    const { orderId } = world;
    const { broker, personalData } = this.#parts;
    const type = typesByName.get(data.$typeName);
    if (type === undefined) throw new Error(`${data.$typeName} is no event`);
    const subject = subjectOf(service, aggregates[service], orderId);
    const version = (this.#versions.get(subject) ?? 0) + 1;
    this.#versions.set(subject, version);
    const key = await personalData.keyOf(world.customerId);
    const headers = eventHeaders({
      id: randomUUID(),
      type: type.typeName,
      source: service,
      key: orderId,
      time: new Date(),
      version,
      correlationId: `correlation of ${orderId}`,
      causationId: 'test',
      actor: 'test',
      traceparent: '',
      tracestate: '',
    });
    headers.set('Causeway-Key', key.id);
    const bytes = sealed(type, data, orderId, key);
    for (let time = this.#manners.times(); time > 0; time--) await broker.js.publish(subject, bytes, { headers });
  }

  #heard(world: World | undefined, data: Message): void {
    if (world === undefined) return;
    for (const service of services) this.say(world, world.hear(service, data));
    for (const service of answering) this.say(world, world.answer(service));
  }
}
