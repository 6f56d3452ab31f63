import { setTimeout as delay } from 'node:timers/promises';
import { type Client, credentials, makeClientConstructor, type ServiceError, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { type TestPlatform, testPlatform } from '../platform.ts';

type Answer = { status: string };
type HealthClient = Client & {
  check(request: { service: string }, answered: (error: ServiceError | null, answer: Answer) => void): void;
  watch(request: { service: string }): AsyncIterable<Answer> & { cancel(): void };
};

let platform: TestPlatform;

beforeAll(async () => {
  platform = await testPlatform();
});

/** A client from the definitions that everybody shares: no word of ours is in it, and no token is asked for. */
function healthClient(): HealthClient {
  const Made = makeClientConstructor(healthService, 'Health');
  const client = new Made(platform.grpc, credentials.createInsecure()) as unknown as HealthClient;
  onTestFinished(() => client.close());
  return client;
}

function check(client: HealthClient, service: string): Promise<string> {
  return new Promise((resolve, reject) => {
    client.check({ service }, (error, answer) => (error === null ? resolve(answer.status) : reject(error)));
  });
}

test.each(['', OrderService.typeName, InventoryService.typeName])('%j says that it serves', async (service) => {
  const client = healthClient();

  await expect.poll(() => check(client, service)).toBe('SERVING');
});

test('the health of a service that there is not is not found', async () => {
  await expect(check(healthClient(), 'causeway.orders.v1.NoService')).rejects.toMatchObject({
    code: status.NOT_FOUND,
  });
});

test('who watches is told when the broker goes away, when it is back, and when the platform stops', async () => {
  const client = healthClient();
  await expect.poll(() => check(client, OrderService.typeName)).toBe('SERVING');
  const watching = client.watch({ service: OrderService.typeName });
  onTestFinished(() => watching.cancel());
  const answers = watching[Symbol.asyncIterator]();
  const next = async () => (await answers.next()).value?.status;

  expect(await next()).toBe('SERVING');
  await platform.nats.kill();
  expect(await next()).toBe('NOT_SERVING');
  await platform.nats.restart();
  expect(await next()).toBe('SERVING');
  const stopped = platform.stop();
  expect(await next()).toBe('NOT_SERVING');
  // Who watches on does not keep the platform from stopping.
  expect(await Promise.race([stopped.then(() => 'stopped'), delay(4_000, 'waiting')])).toBe('stopped');
});
