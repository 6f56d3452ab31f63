import { expect, test } from 'vitest';
import { ownConnection } from '#kit/testing/reacting.ts';
import { ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { anOrder, grpcAs, ordersOf, refusal } from '../clients.ts';
import { testPlatform } from '../platform.ts';

test('a journal without room for an order is not ready, until an operator gives it more; the next start takes that', async () => {
  const nats = await ownNats();
  const mongodbUri = sharedMongoUri();
  const environment = { JOURNAL_MAX_BYTES: '1MiB' };
  const platform = await testPlatform({ nats, mongodbUri, environment });
  const broker = await ownConnection(nats.url);
  const alice = ordersOf(await grpcAs(platform, 'alice'));
  const ready = () => readiness(platform.http);
  const kept = anOrder();
  await alice.place(kept);
  await expect.poll(async () => (await ready()).status, { timeout: 10_000 }).toBe(200);

  // Of an aggregate that nobody looks at, up to the limit but for less than an order.
  const { state } = await broker.manager.streams.info('ORDERS');
  await broker.js.publish('orders.event.4.filler.a', Buffer.alloc(1024 ** 2 - state.bytes - 256));

  await expect.poll(async () => (await ready()).body, { timeout: 10_000 }).toContain('journal ORDERS: ');
  expect((await ready()).status).toBe(503);
  expect(await refusal(alice.place(anOrder()))).toMatchObject({ code: 'UNAVAILABLE' });

  await broker.manager.streams.update('ORDERS', { max_bytes: 2 * 1024 ** 2 });
  await expect.poll(async () => (await ready()).status, { timeout: 10_000 }).toBe(200);
  await alice.place(anOrder());
  await platform.stop();

  const again = await testPlatform({ nats, mongodbUri, environment });
  await expect.poll(async () => (await readiness(again.http)).status, { timeout: 10_000 }).toBe(200);
  expect((await ordersOf(await grpcAs(again, 'alice')).place(kept)).orderId).toBe(kept.orderId);
});

async function readiness(http: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`${http}/readyz`);
  return { status: response.status, body: await response.text() };
}
