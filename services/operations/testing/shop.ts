import { randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { expect, vi } from 'vitest';
import { type OrderPlaced, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { KeyedConsumer } from '#kit/consumer.ts';
import { DeadLetterDesk } from '#kit/dead-letter-desk.ts';
import { PermanentError } from '#kit/errors.ts';
import { EventTypes, eventHeaders, Header } from '#kit/event.ts';
import { allPartitions, subjectOf } from '#kit/partitions.ts';
import { sealed } from '#kit/personal-data.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { atTheEnd } from '#kit/testing/servers.ts';

const PATIENCE = { timeout: 15_000, interval: 50 };

const versions = new Map<string, number>();

/** Publishes an event as its service would; its personal data is alice's. */
export async function say<Desc extends DescMessage>(
  { broker, personalData }: Pick<ServiceParts, 'broker' | 'personalData'>,
  place: { service: string; aggregate: string; key: string },
  type: Desc,
  says: MessageInitShape<Desc>,
): Promise<void> {
  const { service, aggregate, key } = place;
  const subject = subjectOf(service, aggregate, key);
  const version = (versions.get(subject) ?? 0) + 1;
  versions.set(subject, version);
  const customerKey = await personalData.keyOf('alice');
  const headers = eventHeaders({
    id: randomUUID(),
    type: type.typeName,
    source: service,
    key,
    time: new Date(),
    version,
    correlationId: `correlation of ${key}`,
    causationId: 'test',
    actor: 'test',
    traceparent: '',
    tracestate: '',
  });
  headers.set(Header.key, customerKey.id);
  headers.set(Header.state, 'state');
  await broker.js.publish(subject, sealed(type, create(type, says), key, customerKey), { headers });
}

export type Shop = Awaited<ReturnType<typeof openShop>>;

/** A consumer of orders of its own, that parks what it refuses, as long as it is not mended. Stopped when the test, or its file, ends. */
export async function openShop(parts: ServiceParts, refuses: (order: OrderPlaced) => boolean = () => true) {
  const name = `greet-${randomUUID().slice(0, 8)}`;
  const handled: OrderPlaced[] = [];
  const state = { isMended: false };
  const consumer = new KeyedConsumer<OrderPlaced>(
    {
      name,
      sources: [{ journal: journalOf('orders'), aggregate: name }],
      begins: 'with-the-first-event',
      types: new EventTypes([OrderPlacedSchema]),
      async handle({ data }) {
        if (!state.isMended && refuses(data)) throw new PermanentError(`${data.paymentMethod} is refused`);
        handled.push(data);
      },
    },
    { ...parts, service: 'shop' },
  );
  atTheEnd(() => consumer.stop());
  await consumer.own(allPartitions);

  function place(key: string, paymentMethod: string): Promise<void> {
    const words = { orderId: key, customerId: 'alice', paymentMethod, email: 'alice@example.org' };
    return say(parts, { service: 'orders', aggregate: name, key }, OrderPlacedSchema, words);
  }

  /** Publishes so many orders of one key, with the methods `pm-1`, `pm-2`..., and waits until they are parked. */
  async function park(count: number): Promise<string> {
    const key = randomUUID();
    for (let number = 1; number <= count; number++) await place(key, `pm-${number}`);
    const desk = new DeadLetterDesk(parts.broker);
    // A hook of a test may park too.
    await vi.waitFor(async () => {
      expect((await desk.rows({ consumer: `shop-${name}`, key }))[0]?.count).toBe(count);
    }, PATIENCE);
    return key;
  }

  return {
    name: `shop-${name}`,
    consumer,
    /** What it has handled, in this order. */
    handled,
    mend: () => {
      state.isMended = true;
    },
    place,
    park,
  };
}
