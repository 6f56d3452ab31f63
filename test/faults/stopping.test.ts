import { expect, test } from 'vitest';
import type { PlaceOrderResponse } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { clients, ordersOf, Refused } from '../clients.ts';
import { nothingFollows, testPlatform } from '../platform.ts';

test('a platform that stops ends watchers with UNAVAILABLE, at both doors, and finishes the calls it has', async () => {
  const platform = await testPlatform({ environment: nothingFollows });
  const both = await clients(platform, 'alice');
  const [first] = both;
  if (first === undefined) throw new Error('there is no client');
  const { orderId } = await ordersOf(first).place();
  const watching = both.map(async (client) => {
    const seen: string[] = [];
    try {
      for await (const { event } of ordersOf(client).watch(orderId)) seen.push(event?.type ?? '');
    } catch (error) {
      return { seen, error };
    }
    return { seen, error: undefined };
  });
  const acknowledged: PlaceOrderResponse[] = [];
  const placing = Array.from({ length: 20 }, async (_, index) => {
    try {
      for (;;) acknowledged.push(await ordersOf(both[index % 2] ?? first).place());
    } catch (error) {
      return error;
    }
  });
  await expect.poll(() => acknowledged.length).toBeGreaterThan(50);

  const started = performance.now();
  await platform.stop();

  expect(performance.now() - started).toBeLessThan(5_000);
  for (const { seen, error } of await Promise.all(watching)) {
    expect(seen).toEqual(['causeway.orders.v1.OrderPlaced']);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'SERVER_STOPPING', retryAfterMs: 1_000 });
  }
  for (const error of await Promise.all(placing)) {
    // Refused by the door, or because there is no door any more: which fetch says as a TypeError.
    if (error instanceof Refused) expect(error.code).toBe('UNAVAILABLE');
    else expect(error).toBeInstanceOf(TypeError);
  }
  const again = await testPlatform({
    nats: platform.nats,
    mongodbUri: platform.mongodbUri,
    environment: nothingFollows,
  });
  const alice = ordersOf((await clients(again, 'alice'))[0] as typeof first);
  for (const { orderId: id, position } of acknowledged) {
    expect(await alice.get(id, position)).toMatchObject({ version: 1n });
  }
});
