import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { CommandHandler } from '#kit/decider.ts';
import { Journal } from '#kit/journal.ts';
import { startProxy } from '#kit/testing/proxy.ts';
import { atTheEnd, openTestParts, ownNats } from '#kit/testing/servers.ts';
import { orderAggregate, ordersJournal } from '../../services/orders/adapters/order-aggregate.ts';
import {
  all,
  anOrder,
  type Client,
  clients,
  eventsByOrder,
  grpcAs,
  keepPlacing,
  type Load,
  ordersOf,
  readiness,
  timedRefusal,
} from '../clients.ts';
import { nothingFollows, testPlatform } from '../platform.ts';

const nats = await ownNats({ syncAlways: true });
// Where the platform finds its broker: a bad network can be had here without ending the broker itself.
const proxy = await startProxy(nats.url);
atTheEnd(() => proxy.close());
const masterKey = Buffer.alloc(32, 7).toString('hex');
const platform = await testPlatform({
  nats: { ...nats, url: proxy.url },
  environment: { ...nothingFollows, PERSONAL_DATA_KEY: masterKey },
});
const both = await clients(platform, 'alice');
const operators = await clients(platform, 'olga', 'operator');
const alice = ordersOf(await grpcAs(platform, 'alice'));
const { placeOrder, cancelOrder, getOrder, getOrderHistory, listOrders, watchOrder } = OrderService.method;
const { stockItem, getItem, listItems } = InventoryService.method;

/** A caller is answered so soon, whatever is away. */
const SOON_MS = 2_000;

describe.each<['is gone' | 'does not answer', () => Promise<void>, () => Promise<void>]>([
  ['is gone', () => nats.kill(), () => nats.restart()],
  ['does not answer', () => nats.kill('SIGSTOP'), () => nats.kill('SIGCONT')],
])('a broker that %s', (_, goAway, comeBack) => {
  test('makes what needs it UNAVAILABLE within 2 s, with RetryInfo; the rest works, and all does once it is back', async () => {
    const { orderId, position } = await alice.place();
    const before = await alice.get(orderId, position);
    const order = anOrder({ requestId: randomUUID() });
    const requestId = randomUUID();
    const ahead = create(PositionSchema, {
      stream: 'ORDERS',
      partition: position?.partition ?? 0,
      sequence: (position?.sequence ?? 0n) + 100n,
    });

    await goAway();
    try {
      const refused = await Promise.all(
        both.flatMap((client) => [
          timedRefusal(client.call(placeOrder, order)),
          timedRefusal(client.call(placeOrder, anOrder())),
          timedRefusal(client.call(cancelOrder, { orderId, reason: 'no broker', requestId })),
          timedRefusal(client.call(cancelOrder, { orderId, reason: 'no broker' })),
          timedRefusal(client.call(getOrder, { orderId, atLeast: [ahead] })),
          timedRefusal(client.call(getOrderHistory, { orderId, atLeast: [ahead] })),
          timedRefusal(client.call(listOrders, { atLeast: [ahead] })),
          timedRefusal(all(client.stream(watchOrder, { orderId }))),
        ]),
      );
      refused.push(
        ...(await Promise.all(
          operators.map((client) => timedRefusal(client.call(stockItem, { sku: 'grinder', quantity: 1, requestId }))),
        )),
      );
      for (const { refused: each, ms } of refused) {
        expect(each).toMatchObject({ code: 'UNAVAILABLE', reason: 'DEPENDENCY_AWAY', retryAfterMs: 1_000 });
        expect(ms).toBeLessThan(SOON_MS);
      }
      for (const client of both) {
        expect((await client.call(getOrder, { orderId })).order).toEqual(before);
        expect((await client.call(getOrderHistory, { orderId })).events).toHaveLength(1);
        expect((await client.call(listOrders, {})).orders.length).toBeGreaterThan(0);
        expect((await client.call(getItem, { sku: 'grinder' })).item).toBeDefined();
        expect((await client.call(listItems, {})).items.length).toBeGreaterThan(4);
      }
      await expect.poll(() => readiness(platform), { timeout: 10_000 }).toBe(503);
    } finally {
      await comeBack();
    }

    await expect.poll(() => readiness(platform), { timeout: 10_000 }).toBe(200);
    const placed = await alice.place(order);
    expect(placed).toMatchObject({ orderId: order.orderId, version: 1n });
    expect(await alice.get(placed.orderId, placed.position)).toMatchObject({ version: 1n });
    const cancelled = await both[0]?.call(cancelOrder, { orderId, reason: 'no broker', requestId });
    expect(cancelled).toMatchObject({ version: 2n });
    const events = await eventsByOrder(nats.url);
    expect([events.get(placed.orderId), events.get(orderId)]).toEqual([1, 2]);
  });

  test('during calls loses nothing that was acknowledged, and doubles nothing that was tried again', async () => {
    const done = new AbortController();
    const load: Load = { acknowledged: [], repeated: 0 };
    const clients = Array.from({ length: 16 }, (_, index) => keepPlacing(both[index % 2] as Client, load, done.signal));
    await expect.poll(() => load.acknowledged.length).toBeGreaterThan(50);

    await goAway();
    await expect.poll(() => load.repeated, { timeout: 10_000 }).toBeGreaterThan(16);
    await comeBack();
    const before = load.acknowledged.length;
    await expect.poll(() => load.acknowledged.length, { timeout: 10_000 }).toBeGreaterThan(before + 50);
    done.abort();
    await Promise.all(clients);

    await expect.poll(() => readiness(platform), { timeout: 10_000 }).toBe(200);
    const { acknowledged } = load;
    const events = await eventsByOrder(nats.url);
    for (const { orderId, version } of acknowledged) expect([version, events.get(orderId)]).toEqual([1n, 1]);
    const last = acknowledged.at(-1);
    expect(await alice.get(last?.orderId ?? '', last?.position)).toMatchObject({ version: 1n });
    const shown = await Promise.all(acknowledged.map(({ orderId, position }) => alice.get(orderId, position)));
    expect(shown.map((order) => order?.orderId)).toEqual(acknowledged.map(({ orderId }) => orderId));
  });
});

test.each(both)(
  'who watches an order at the $door door misses nothing while the connection is lost',
  async (client) => {
    await expect.poll(() => readiness(platform), { timeout: 10_000 }).toBe(200);
    const parts = await openTestParts('orders', { natsUrl: nats.url, mongodbUri: platform.mongodbUri });
    const commands = new CommandHandler(new Journal(ordersJournal, parts.broker), orderAggregate, parts.personalData);
    const { orderId } = await alice.place();
    const stop = new AbortController();
    const events = ordersOf(client).watch(orderId, { signal: stop.signal })[Symbol.asyncIterator]();
    const seen = async () => `${(await events.next()).value?.event?.type}`.split('.').at(-1);
    expect(await seen()).toBe('OrderPlaced');
    const next = seen();

    // Nobody answers the platform's greeting, until the order is two events further.
    proxy.hold('answers');
    proxy.cut();
    const asked = {
      caller: 'test',
      requestId: '',
      content: new Uint8Array(),
      correlationId: 'test',
      causationId: 'test',
    };
    const known = { ...asked, key: orderId, dataOwner: 'alice' };
    await commands.handle({ ...known, command: { type: 'ConfirmOrder', orderId } });
    await commands.handle({ ...known, command: { type: 'ShipOrder', orderId, trackingNumber: 'T1' } });
    proxy.release('answers');

    expect([await next, await seen()]).toEqual(['OrderConfirmed', 'OrderShipped']);
    await commands.handle({ ...known, command: { type: 'CompleteOrder', orderId } });
    expect(await seen()).toBe('OrderCompleted');
    stop.abort();
  },
);

test.each(both)('who watches an order at the $door door goes on when the broker was started anew', async (client) => {
  await expect.poll(() => readiness(platform), { timeout: 10_000 }).toBe(200);
  const { orderId } = await alice.place();
  const stop = new AbortController();
  const events = ordersOf(client).watch(orderId, { signal: stop.signal })[Symbol.asyncIterator]();
  const seen = async () => `${(await events.next()).value?.event?.type}`.split('.').at(-1);
  expect(await seen()).toBe('OrderPlaced');

  await nats.kill();
  await nats.restart();
  await expect.poll(() => alice.cancel(orderId).then(({ version }) => version), { timeout: 10_000 }).toBe(2n);

  expect(await seen()).toBe('OrderCancelled');
  stop.abort();
});
