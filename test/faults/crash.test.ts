import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { startProxy } from '#kit/testing/proxy.ts';
import { atTheEnd, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import {
  anOrder,
  connectClient,
  eventsByOrder,
  grpcAs,
  keepPlacing,
  type Load,
  latestOf,
  ordersOf,
} from '../clients.ts';
import { bearer, nothingFollows, platformProcess } from '../platform.ts';

const { placeOrder, cancelOrder } = OrderService.method;
const unlimited = { RATE_LIMIT: '0' };

test('after kill -9 between publish and reply the same requests get their answers, and nothing is there twice', async () => {
  const nats = await ownNats({ syncAlways: true });
  const proxy = await startProxy(nats.url);
  atTheEnd(() => proxy.close());
  const platform = await platformProcess({
    ...nothingFollows,
    ...unlimited,
    NATS_URL: proxy.url,
    MONGODB_URI: sharedMongoUri(),
  });
  const client = await grpcAs(platform, 'alice');
  const alice = ordersOf(client);
  const orders = [
    anOrder(),
    anOrder({ requestId: randomUUID() }),
    anOrder({ orderId: '', requestId: randomUUID() }),
    anOrder({ orderId: '', requestId: randomUUID() }),
  ];
  const { orderId } = await alice.place();
  const cancel = { orderId, reason: 'no answer came' };
  const before = await eventsByOrder(nats.url);

  // What the broker answers does not come back: it has stored the events, and nobody was told.
  proxy.hold('answers');
  const calls = [...orders.map((order) => client.call(placeOrder, order)), client.call(cancelOrder, cancel)];
  const outcomes = Promise.allSettled(calls);
  const stored = async () => [...(await eventsByOrder(nats.url)).values()].reduce((sum, count) => sum + count, 0);
  const storedBefore = [...before.values()].reduce((sum, count) => sum + count, 0);
  // The order with both ids has noted its request id, and waits for the answer to that.
  await expect.poll(stored).toBe(storedBefore + 5);
  await platform.kill('SIGKILL');
  expect((await outcomes).map(({ status }) => status)).toEqual(Array(5).fill('rejected'));
  proxy.release('answers');
  proxy.cut();
  await platform.restart();

  const again = await Promise.all(orders.map((order) => client.call(placeOrder, order)));
  const cancelled = await client.call(cancelOrder, cancel);

  expect(again.map(({ version }) => version)).toEqual([1n, 1n, 1n, 1n]);
  expect(cancelled.version).toBe(2n);
  const ids = [...new Set(again.map((each) => each.orderId))];
  const events = await eventsByOrder(nats.url);
  expect(ids.map((id) => events.get(id))).toEqual([1, 1, 1, 1]);
  expect(events.get(orderId)).toBe(2);
  const atLeast = latestOf([...again.map(({ position }) => position), cancelled.position]);
  const shown = (await alice.list({ atLeast })).orders.map((order) => order.orderId);
  expect(shown.toSorted()).toEqual([orderId, ...ids].sort());
});

test('after three times kill -9 under 40 clients every acknowledged order is there, and each is there once', async () => {
  const platform = await platformProcess({ ...nothingFollows, ...unlimited });
  const authorization = await bearer('alice');
  const clients = [await grpcAs(platform, 'alice'), connectClient(platform, authorization)];
  const load: Load = { acknowledged: [], repeated: 0 };
  const done = new AbortController();
  const placing = Array.from({ length: 40 }, (_, index) =>
    keepPlacing(clients[index % 2] as (typeof clients)[0], load, done.signal),
  );
  const more = async (orders: number) => {
    const before = load.acknowledged.length;
    await expect.poll(() => load.acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(before + orders);
  };

  for (let crash = 0; crash < 3; crash++) {
    await more(100);
    await platform.kill('SIGKILL');
    await platform.restart();
  }
  await more(100);
  done.abort();
  await Promise.all(placing);

  expect(load.repeated).toBeGreaterThan(40);
  const alice = ordersOf(await grpcAs(platform, 'alice'));
  const atLeast = latestOf(load.acknowledged.map(({ position }) => position));
  const listed: string[] = [];
  for (let pageToken = ''; listed.length === 0 || pageToken !== ''; ) {
    const page = await alice.list({ pageSize: 100, pageToken, atLeast });
    for (const order of page.orders) {
      expect([order.version, order.lines.length]).toEqual([1n, 1]);
      listed.push(order.orderId);
    }
    pageToken = page.nextPageToken;
  }
  expect(load.acknowledged.every(({ version }) => version === 1n)).toBe(true);
  expect(listed.toSorted()).toEqual(load.acknowledged.map(({ orderId }) => orderId).sort());
  const last = load.acknowledged.slice(-100);
  const histories = await Promise.all(last.map(({ orderId, position }) => alice.history(orderId, position)));
  expect(histories.every((events) => events.length === 1)).toBe(true);
});

test('Ctrl-C under load ends within 10 s, and loses nothing that was acknowledged', async () => {
  const platform = await platformProcess({ ...nothingFollows, ...unlimited });
  const client = await grpcAs(platform, 'alice');
  const alice = ordersOf(client);
  const { orderId } = await alice.place();
  const watched = (async () => {
    for await (const _ of alice.watch(orderId));
  })().catch((error) => error);
  const load: Load = { acknowledged: [], repeated: 0 };
  const done = new AbortController();
  const placing = Array.from({ length: 20 }, () => keepPlacing(client, load, done.signal));
  await expect.poll(() => load.acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(100);

  const started = performance.now();
  await platform.kill('SIGINT');
  expect(performance.now() - started).toBeLessThan(10_000);

  expect(await watched).toMatchObject({ code: 'UNAVAILABLE', reason: 'SERVER_STOPPING' });
  expect(platform.output()).not.toMatch(/did not stop in order|not everything stopped|Unhandled/);
  await platform.restart();
  done.abort();
  await Promise.all(placing);
  const atLeast = latestOf(load.acknowledged.map(({ position }) => position));
  await alice.list({ atLeast });
  for (const each of load.acknowledged) expect(await alice.get(each.orderId)).toMatchObject({ version: 1n });
});
