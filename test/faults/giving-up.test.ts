import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { startProxy } from '#kit/testing/proxy.ts';
import { atTheEnd, ownNats } from '#kit/testing/servers.ts';
import { anOrder, type Client, clients, eventsByOrder, grpcAs, ordersOf } from '../clients.ts';
import { nothingFollows, testPlatform } from '../platform.ts';

const nats = await ownNats({ syncAlways: true });
const proxy = await startProxy(nats.url);
atTheEnd(() => proxy.close());
const platform = await testPlatform({ nats: { ...nats, url: proxy.url }, environment: nothingFollows });
const both = await clients(platform, 'alice');
const alice = ordersOf(await grpcAs(platform, 'alice'));
const { placeOrder, getOrder } = OrderService.method;

describe.each(both)('a client that gives up, at the $door door,', (client: Client) => {
  test('gets DEADLINE_EXCEEDED, and what was committed stays committed', async () => {
    const orders = Array.from({ length: 60 }, () => anOrder());
    const place = (list: typeof orders) =>
      Promise.allSettled(list.map((order, index) => client.call(placeOrder, order, { timeoutMs: 1 + (index % 20) })));

    // The first half can't have its answers in time. The other half has them or not, as it happens.
    proxy.hold('answers');
    const late = await place(orders.slice(0, 30)).finally(() => proxy.release('answers'));
    const outcomes = [...late, ...(await place(orders.slice(30)))];

    const refused = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(late.filter(({ status }) => status === 'rejected')).toHaveLength(30);
    for (const each of refused) expect(each).toMatchObject({ name: 'Refused', code: 'DEADLINE_EXCEEDED' });
    const again = await Promise.all(orders.map((order) => client.call(placeOrder, order)));
    expect(again.every(({ version }) => version === 1n)).toBe(true);
    const events = await eventsByOrder(nats.url);
    expect(orders.map(({ orderId }) => events.get(orderId ?? ''))).toEqual(orders.map(() => 1));
  });

  test('with a deadline of 1 ms while the broker keeps silent is answered at once, and again with the order it placed', async () => {
    const order = anOrder();
    proxy.hold('answers');
    try {
      const late = { code: 'DEADLINE_EXCEEDED' };
      await expect(client.call(placeOrder, order, { timeoutMs: 1 })).rejects.toMatchObject(late);
      await expect(client.call(placeOrder, order, { timeoutMs: 300 })).rejects.toMatchObject(late);
      // The event is there, though nobody was told.
      await expect.poll(async () => (await eventsByOrder(nats.url)).get(order.orderId ?? '')).toBe(1);
    } finally {
      proxy.release('answers');
    }

    expect(await client.call(placeOrder, order)).toMatchObject({ orderId: order.orderId, version: 1n });
    expect((await eventsByOrder(nats.url)).get(order.orderId ?? '')).toBe(1);
  });

  test('by going away leaves nothing undone: the order is there or not, and once after it was tried again', async () => {
    const orders = Array.from({ length: 60 }, () => anOrder());

    const placeAndGoAway = (list: typeof orders) =>
      Promise.allSettled(
        list.map(async (order, index) => {
          const away = new AbortController();
          const call = client.call(placeOrder, order, { signal: away.signal });
          setTimeout(() => away.abort(), index % 15);
          return call;
        }),
      );

    proxy.hold('answers');
    const unanswered = await placeAndGoAway(orders.slice(0, 30)).finally(() => proxy.release('answers'));
    await placeAndGoAway(orders.slice(30));

    expect(unanswered.filter(({ status }) => status === 'rejected')).toHaveLength(30);
    const again = await Promise.all(orders.map((order) => client.call(placeOrder, order)));
    expect(again.every(({ version }) => version === 1n)).toBe(true);
    const events = await eventsByOrder(nats.url);
    expect(orders.map(({ orderId }) => events.get(orderId ?? ''))).toEqual(orders.map(() => 1));
  });

  test('while it waits for a view, is not waited for', async () => {
    const { orderId, position } = await alice.place();
    proxy.hold('answers');
    try {
      const started = performance.now();
      const sequence = (position?.sequence ?? 0n) + 1n;
      const ahead = create(PositionSchema, { stream: 'ORDERS', partition: position?.partition ?? 0, sequence });
      await expect(client.call(getOrder, { orderId, atLeast: [ahead] }, { timeoutMs: 200 })).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
      });
      expect(performance.now() - started).toBeLessThan(1_500);
    } finally {
      proxy.release('answers');
    }
  });

  test('watching orders, leaves no subscription behind', async () => {
    const { orderId } = await alice.place();
    proxy.sent();
    const watchers = Array.from({ length: 20 }, async () => {
      const away = new AbortController();
      try {
        for await (const _ of ordersOf(client).watch(orderId, { signal: away.signal })) break;
      } finally {
        away.abort();
      }
    });
    await Promise.all(watchers);

    let sent = '';
    const left = () => {
      sent += proxy.sent();
      const opened = [...sent.matchAll(/SUB live\.\S+ (\d+)\r\n/g)].map(([, id]) => id);
      const closed = new Set([...sent.matchAll(/UNSUB (\d+)\r\n/g)].map(([, id]) => id));
      return [opened.length, opened.filter((id) => !closed.has(id)).length];
    };
    await expect.poll(left).toEqual([20, 0]);
  });
});

test('the platform stops at once after all that', async () => {
  const started = performance.now();
  await platform.stop();
  expect(performance.now() - started).toBeLessThan(5_000);
});
