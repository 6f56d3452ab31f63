import { describe, expect, test } from 'vitest';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderService, type PlaceOrderResponse } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { ownMongodb } from '#kit/testing/servers.ts';
import { all, type Client, clients, grpcAs, latestOf, ordersOf, readiness, timedRefusal } from '../clients.ts';
import { nothingFollows, testPlatform } from '../platform.ts';

const mongodb = await ownMongodb();
const platform = await testPlatform({ mongodbUri: mongodb.url, environment: nothingFollows });
const both = await clients(platform, 'alice');
const alice = ordersOf(await grpcAs(platform, 'alice'));
const { getOrder, getOrderHistory, listOrders, watchOrder } = OrderService.method;
const { getItem, listItems } = InventoryService.method;

const SOON_MS = 2_000;
const AWAY_MS = 10_000;

describe('a database that is away for 10 s', () => {
  test('keeps nobody from placing and cancelling orders; queries are UNAVAILABLE within 2 s, and catch up by themselves', async () => {
    const { orderId, position } = await alice.place();
    await alice.get(orderId, position);
    const watcher = new AbortController();
    const watched = alice.watch(orderId, { signal: watcher.signal })[Symbol.asyncIterator]();
    await watched.next();

    await mongodb.kill();
    const until = performance.now() + AWAY_MS;
    const placed: PlaceOrderResponse[] = [];
    let slowest = 0;
    let queries = 0;
    const place = async () => {
      while (performance.now() < until) {
        const started = performance.now();
        const order = await ordersOf(both[placed.length % 2] as Client).place();
        slowest = Math.max(slowest, performance.now() - started);
        placed.push(order);
      }
    };
    const query = async () => {
      while (performance.now() < until) {
        const last = placed.at(-1)?.position;
        const atLeast = last === undefined ? [] : [last];
        const asked = both.flatMap((client) => [
          client.call(getOrder, { orderId }),
          client.call(getOrder, { orderId, atLeast }),
          client.call(getOrderHistory, { orderId, atLeast }),
          client.call(listOrders, {}),
          client.call(getItem, { sku: 'grinder' }),
          client.call(listItems, {}),
          all(client.stream(watchOrder, { orderId })),
        ]);
        for (const { refused, ms } of await Promise.all(asked.map(timedRefusal))) {
          expect(refused).toMatchObject({ code: 'UNAVAILABLE', reason: 'DEPENDENCY_AWAY', retryAfterMs: 1_000 });
          expect(ms).toBeLessThan(SOON_MS);
          queries++;
        }
        expect(await readiness(platform)).toBe(503);
      }
    };
    const event = watched.next();
    await Promise.all([place(), query()]);
    const cancelled = await alice.cancel(orderId);
    // A watcher follows the journal: it needs no database to go on.
    expect((await event).value?.event?.type).toBe('causeway.orders.v1.OrderCancelled');
    watcher.abort();
    await mongodb.restart();

    expect(placed.length).toBeGreaterThan(20);
    expect(queries).toBeGreaterThan(20);
    expect(slowest).toBeLessThan(SOON_MS);
    await expect.poll(() => readiness(platform), { timeout: 15_000 }).toBe(200);
    const shown = new Set<string>();
    const atLeast = latestOf(placed.map((each) => each.position));
    for (let pageToken = ''; shown.size === 0 || pageToken !== ''; ) {
      const page = await alice.list({ pageSize: 100, pageToken, atLeast });
      for (const order of page.orders) shown.add(order.orderId);
      pageToken = page.nextPageToken;
    }
    expect(shown).toEqual(new Set([orderId, ...placed.map((each) => each.orderId)]));
    expect(await alice.get(orderId, cancelled.position)).toMatchObject({ version: 2n });
    expect(await alice.history(orderId, cancelled.position)).toHaveLength(2);
  });

  test('for a moment, again and again, leaves the views whole', async () => {
    const placed: PlaceOrderResponse[] = [];
    for (let round = 0; round < 2; round++) {
      placed.push(...(await Promise.all(Array.from({ length: 20 }, () => alice.place()))));
      await mongodb.kill();
      placed.push(...(await Promise.all(Array.from({ length: 20 }, () => alice.place()))));
      await mongodb.restart();
    }

    await expect.poll(() => readiness(platform), { timeout: 15_000 }).toBe(200);
    for (const { orderId, position } of placed) expect(await alice.history(orderId, position)).toHaveLength(1);
  });
});
