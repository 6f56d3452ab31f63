import { randomUUID } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { ItemListedSchema, StockReservedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { OrderCancelledSchema, OrderCompletedSchema, OrderConfirmedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { PaymentAuthorizedSchema, PaymentRefundedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import { type RecordedEvent, readEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { journalOf, PUBLIC } from '#kit/streams.ts';
import { ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { telling } from '#kit/testing/told.ts';
import { publicTypes } from './reactions/request-deliveries.ts';
import { type Running, running } from './testing/running.ts';

let service: Running;
let published: Journal;

beforeAll(async () => {
  service = await running({ natsUrl: (await ownNats()).url, mongodbUri: sharedMongoUri() });
  published = new Journal(PUBLIC, service.parts.broker);
});

const total = { currencyCode: 'EUR', units: 25n, nanos: 500_000_000 };
const tell = (name: string, aggregate: string) => telling(service.parts, journalOf(name), aggregate);

/** What is published of an order or an item. */
async function publishedOf(aggregate: 'order' | 'item', key: string): Promise<RecordedEvent[]> {
  const stored = await published.history(subjectOf('public', aggregate, key));
  return Promise.all(stored.map((message) => readEvent(message, publicTypes, service.parts.personalData)));
}

/** Until every reaction has handled all that there is. */
async function settled(): Promise<void> {
  const left = async () => {
    let sum = 0;
    for (const stream of ['ORDERS', 'PAYMENTS', 'INVENTORY', 'PUBLIC']) {
      for await (const { num_pending, num_ack_pending } of service.parts.broker.manager.consumers.list(stream)) {
        sum += num_pending + num_ack_pending;
      }
    }
    return sum;
  };
  await expect.poll(left).toBe(0);
}

test('a completed order is one integration event, with its cause, however often it is said', async () => {
  const orderId = randomUUID();
  const order = tell('orders', 'order');
  const time = new Date('2026-11-24T12:00:00.250Z');
  await order(OrderConfirmedSchema, orderId, { orderId });
  const words = { id: randomUUID(), correlationId: 'correlation', time };
  const says = { orderId, customerId: 'alice', total };
  for (let times = 0; times < 3; times++) await order(OrderCompletedSchema, orderId, says, words);
  await settled();

  const [event, ...others] = await publishedOf('order', orderId);
  expect(others).toEqual([]);
  expect(event).toMatchObject({
    type: 'causeway.public.v1.OrderCompleted',
    causationId: words.id,
    correlationId: 'correlation',
    actor: 'integration',
    version: 1,
    data: { ...says, completedAt: { seconds: BigInt(time.getTime() / 1_000 - 0.25), nanos: 250_000_000 } },
  });
});

test('a cancelled order is told of with its reason, and one of old without whose it was', async () => {
  const [now, old] = [randomUUID(), randomUUID()];
  const order = tell('orders', 'order');
  await order(OrderCancelledSchema, now, { orderId: now, reason: 'out of stock', customerId: 'alice', total });
  await order(OrderCancelledSchema, old, { orderId: old, reason: 'changed my mind' });
  await settled();

  expect((await publishedOf('order', now)).map(({ data }) => data)).toMatchObject([
    {
      $typeName: 'causeway.public.v1.OrderCancelled',
      orderId: now,
      reason: 'out of stock',
      customerId: 'alice',
      total,
    },
  ]);
  const [event] = await publishedOf('order', old);
  expect(event?.data).toMatchObject({ orderId: old, customerId: '', reason: 'changed my mind' });
  expect(event?.data).not.toHaveProperty('total.units');
});

test('each refund is told of, once, beside what became of the order', async () => {
  const orderId = randomUUID();
  const payment = tell('payments', 'payment');
  await tell('orders', 'order')(OrderCompletedSchema, orderId, { orderId, customerId: 'alice', total });
  await payment(PaymentAuthorizedSchema, orderId, { orderId, amount: total });
  for (const refundId of ['one', 'two', 'two']) {
    const says = { orderId, refundId, amount: { ...total, units: 1n } };
    await payment(PaymentRefundedSchema, orderId, says, { id: `${orderId}-${refundId}` });
  }
  await settled();

  const events = await publishedOf('order', orderId);
  expect(events.map(({ type }) => type.split('.').at(-1)).sort()).toEqual([
    'OrderCompleted',
    'PaymentRefunded',
    'PaymentRefunded',
  ]);
  expect(events.flatMap(({ data }) => ('refundId' in data ? [data.refundId] : []))).toEqual(['one', 'two']);
  expect(events.map(({ version }) => version)).toEqual([1, 2, 3]);
});

test('each item of which a reservation took the last piece is told of under its sku, once', async () => {
  const [first, second] = [`last-${randomUUID()}`, `last-${randomUUID()}`];
  const reservation = tell('inventory', 'reservation');
  await tell('inventory', 'item')(ItemListedSchema, first, { sku: first, name: 'Last one', quantity: 1 });
  const [orderId, another] = [randomUUID(), randomUUID()];
  const says = { orderId, depletedSkus: [first, second] };
  const words = { id: randomUUID() };
  for (let times = 0; times < 2; times++) await reservation(StockReservedSchema, orderId, says, words);
  await reservation(StockReservedSchema, another, { orderId: another, depletedSkus: [second] });
  await reservation(StockReservedSchema, randomUUID(), { depletedSkus: [] });
  await settled();

  const causes = async (sku: string) => (await publishedOf('item', sku)).map(({ causationId }) => causationId);
  expect(await causes(first)).toEqual([words.id]);
  expect(await causes(second)).toHaveLength(2);
  expect(new Set(await causes(second)).size).toBe(2);
  expect((await publishedOf('item', first))[0]?.data).toMatchObject({ sku: first });
});

test('two orders that take the last piece of an item at the same moment are both told of', async () => {
  const sku = `hot-${randomUUID()}`;
  const reservation = tell('inventory', 'reservation');
  const orders = Array.from({ length: 20 }, () => randomUUID());
  await Promise.all(
    orders.map((orderId) => reservation(StockReservedSchema, orderId, { orderId, depletedSkus: [sku] })),
  );
  await settled();

  const events = await publishedOf('item', sku);
  expect(events.map(({ version }) => version)).toEqual(orders.map((_, index) => index + 1));
});

test('where nobody wants to be told, nothing is noted about deliveries', async () => {
  await service.completeOrder();
  await settled();
  expect((await service.parts.broker.manager.streams.info('WEBHOOKS')).state.messages).toBe(0);
});
