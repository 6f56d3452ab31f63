import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { type Node, ownCluster } from '#kit/testing/cluster.ts';
import { atTheEnd } from '#kit/testing/servers.ts';
import { anOrder, type Client, grpcAs, Refused } from '../clients.ts';
import { testPlatform } from '../platform.ts';
import { expectInvariants } from './invariants.ts';
import { oneOf, type Random, seededRandom } from './random.ts';
import { shop } from './shoppers.ts';

/** What is worth another try; the platform said so. */
const AWAY = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED']);

const cluster = await ownCluster();
let broker: Broker | undefined;
atTheEnd(async () => broker?.close());
broker = await connectBroker({ url: cluster.url, name: 'test' });
const { manager } = broker;
const platform = await testPlatform({
  nats: cluster,
  environment: {
    STREAM_REPLICAS: '3',
    DEADLINE_PAYMENT: '4s',
    DEADLINE_STOCK: '20s',
    CARRIER_DELIVERS_AFTER: '1s',
  },
});
const customer = await grpcAs(platform, 'carla');

/** The broker is asked again while it elects. */
async function leaderOf(stream: string): Promise<Node> {
  return vi.waitFor(
    async () => {
      const name = (await manager.streams.info(stream)).cluster?.leader;
      const node = cluster.nodes.find((each) => each.name === name);
      if (node === undefined) throw new Error(`${stream} has no leader`);
      return node;
    },
    { timeout: 30_000 },
  );
}

/** Until the others have elected another one. */
async function replaced(sleeper: Node): Promise<void> {
  const others = cluster.nodes.filter((node) => node !== sleeper).map(({ url }) => url);
  const awake = await connectBroker({ url: others.join(), name: 'awake' });
  try {
    const leader = async () => (await awake.manager.streams.info('ORDERS')).cluster?.leader ?? sleeper.name;
    await vi.waitFor(async () => expect(await leader()).not.toBe(sleeper.name), { timeout: 30_000, interval: 100 });
  } finally {
    await awake.close();
  }
}

async function answered<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Refused) || !AWAY.has(error.code)) throw error;
    }
    await delay(50);
  }
}

/** There was no stock for it, and that was quicker. */
function endedAlready(error: unknown): undefined {
  if (!(error instanceof Refused) || error.code !== 'FAILED_PRECONDITION') throw error;
}

/**
 * Places orders, and at once asks what has just been acknowledged: a repeat has the same answer, another content is refused,
 * a cancelled order is cancelled, and one that nobody placed is not known.
 */
async function keepAsking(client: Client, placed: string[], stop: AbortSignal): Promise<void> {
  const { placeOrder, cancelOrder } = OrderService.method;
  while (!stop.aborted) {
    const order = anOrder({ lines: [{ sku: 'sold-out', quantity: 1 }] });
    const first = await answered(() => client.call(placeOrder, order, { timeoutMs: 5_000 }));
    placed.push(first.orderId);
    const again = await answered(() => client.call(placeOrder, order, { timeoutMs: 5_000 }));
    expect(again).toMatchObject({ orderId: first.orderId, version: first.version });
    const other = { ...order, email: 'other@example.org' };
    await expect(answered(() => client.call(placeOrder, other, { timeoutMs: 5_000 }))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    const cancel = { orderId: first.orderId, reason: 'mine', requestId: `cancel ${first.orderId}` };
    const cancelling = () => answered(() => client.call(cancelOrder, cancel, { timeoutMs: 5_000 }));
    const cancelled = await cancelling().catch(endedAlready);
    if (cancelled !== undefined) expect((await cancelling()).version).toBe(cancelled.version);
    await delay(20);
  }
}

/**
 * Shops and asks while one thing after the other is done to the nodes, and goes on until orders are taken again each time.
 * Answers with all orders that were acknowledged.
 */
async function underLoad(random: Random, disturbances: (() => Promise<void>)[]): Promise<string[]> {
  const stop = new AbortController();
  const placed: string[] = [];
  const shoppers = Array.from({ length: 2 }, () => shop(platform, random, 10_000, stop.signal));
  const all = Promise.all([keepAsking(customer, placed, stop.signal), ...shoppers]);
  const disturb = async () => {
    for (const disturbance of disturbances) {
      await disturbance();
      const before = placed.length;
      await expect.poll(() => placed.length, { timeout: 60_000 }).toBeGreaterThan(before + 2);
    }
  };
  try {
    await Promise.race([disturb(), all]);
  } finally {
    stop.abort();
  }
  const [, ...bought] = await all;
  return [...placed, ...bought.flat()];
}

test('a node dies, the one that leads dies, and one sleeps through an election: nothing is lost or decided twice', async () => {
  const random = seededRandom('three nodes');
  const orders = await underLoad(random, [
    async () => {},
    async () => {
      const some = oneOf(random, cluster.nodes);
      await some.kill();
      await delay(random() * 1_000);
      await some.restart();
    },
    async () => {
      const leader = await leaderOf('ORDERS');
      await leader.kill();
      await leaderOf('ORDERS');
      await leader.restart();
    },
    async () => {
      const sleeper = await leaderOf('ORDERS');
      await sleeper.kill('SIGSTOP');
      await replaced(sleeper);
      await sleeper.kill('SIGCONT');
    },
  ]);
  await expectInvariants(platform, orders);
}, 240_000);
