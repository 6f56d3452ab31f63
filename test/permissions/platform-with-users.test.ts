import { randomUUID } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { expect, test, vi } from 'vitest';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { BuildStatus } from '#gen/causeway/operations/v1/projections_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { subjectOf } from '#kit/partitions.ts';
import { assembleAt } from '../chaos/assembled.ts';
import { all, grpcAs, ordersOf } from '../clients.ts';
import { brokerWithUsers } from './broker-with-users.ts';

const { listDeadLetters, replayDeadLetters, discardDeadLetters, eraseCustomer, diagnose, searchEvents } =
  OperationsService.method;
const { listProjections, rebuildProjection, compareProjection, discardProjectionBuild, listConsumers, listServices } =
  OperationsService.method;

const soon = { timeout: 20_000, interval: 100 };
const { COMPLETED, CANCELLED } = OrderStatus;

const broker = await brokerWithUsers();
const warned: unknown[] = [];
const warn = (fields: object, message: string) => void warned.push([message, fields]);
const platform = await assembleAt(broker, {
  logger: { debug() {}, info() {}, warn, error: warn },
  environment: { CARRIER_DELIVERS_AFTER: '100ms', DEADLINE_PAYMENT: '2s' },
});
const alice = ordersOf(await grpcAs(platform, 'alice'));
const olga = await grpcAs(platform, 'olga', 'operator');

/** What the broker has refused, in its own words. */
async function violations(): Promise<string[]> {
  return (await broker.log()).split('\n').filter((line) => line.includes('Violation'));
}

test('with a user each, the services bring orders to every end', async () => {
  const place = async (sku: string, paymentMethod: string) =>
    (await alice.place({ lines: [{ sku, quantity: 1 }], paymentMethod })).orderId;
  const becomes = (orderId: string, status: OrderStatus) =>
    vi.waitFor(async () => expect((await alice.get(orderId))?.status).toBe(status), soon);
  const watched = alice.watch(await place('coffee-beans', 'pm_ok'));
  const [completed, soldOut, declined, silent, cancelled] = await Promise.all([
    place('coffee-beans', 'pm_ok'),
    place('sold-out', 'pm_ok'),
    place('grinder', 'pm_declined'),
    place('grinder', 'pm_never'),
    place('grinder', 'pm_never'),
  ]);
  await alice.cancel(cancelled);
  await Promise.all([
    becomes(completed, COMPLETED),
    becomes(soldOut, CANCELLED),
    becomes(declined, CANCELLED),
    becomes(silent, CANCELLED),
    becomes(cancelled, CANCELLED),
  ]);
  for await (const { event } of watched) if (event?.type.endsWith('OrderCompleted')) break;
  expect(await violations()).toEqual([]);
});

test('a view is built anew, compared and discarded', async () => {
  const view = { service: 'orders', view: 'orders' };
  const builds = async () => {
    const { projections } = await olga.call(listProjections, {});
    const found = projections.find((each) => each.service === view.service && each.view === view.view);
    return found?.builds.map(({ status }) => status);
  };
  const request = () => ({ ...view, reason: 'to see it', requestId: randomUUID() });
  await olga.call(rebuildProjection, { ...request(), switchWhenCaughtUp: true });
  await vi.waitFor(async () => expect(await builds()).toEqual([BuildStatus.PREVIOUS, BuildStatus.ACTIVE]), soon);
  await all(olga.stream(compareProjection, { ...view, build: 1 }));
  await olga.call(discardProjectionBuild, { ...request(), build: 1 });
  expect(await builds()).toEqual([BuildStatus.ACTIVE]);
  expect(await violations()).toEqual([]);
});

test('what is parked is replayed and discarded by who owns it', async () => {
  const key = randomUUID();
  const orders = await broker.connectAs('orders');
  await jetstream(orders).publish(subjectOf('orders', 'order', key), 'no event');
  const parked = async () =>
    (await olga.call(listDeadLetters, { filter: { key } })).keys.map(({ consumer }) => consumer);
  // A reaction and a view, each of another service.
  const expected = ['fulfilment-follow-order', 'operations-pulse_v1'];
  await vi.waitFor(async () => expect(await parked()).toEqual(expect.arrayContaining(expected)), soon);
  const replayed = await all(olga.stream(replayDeadLetters, { filter: { key }, reason: 'to see it', requestId: key }));
  expect(replayed.length).toBeGreaterThan(0);
  await olga.call(discardDeadLetters, { filter: { key }, all: true, reason: 'no event', requestId: `${key} gone` });
  await vi.waitFor(async () => expect(await parked()).toEqual([]), soon);
  expect(await violations()).toEqual([]);
});

test('operators see everything, and a customer is erased', async () => {
  const { services } = await olga.call(listServices, {});
  expect(services.map(({ instances }) => instances.length)).toEqual(services.map(() => 1));
  expect((await olga.call(listConsumers, {})).consumers.length).toBeGreaterThan(0);
  expect((await olga.call(searchEvents, {})).events.length).toBeGreaterThan(0);
  await olga.call(diagnose, {});
  await olga.call(eraseCustomer, { customerId: 'alice', note: 'please', requestId: randomUUID() });
  expect(await violations()).toEqual([]);
  expect(warned.filter((each) => JSON.stringify(each).includes('refuses'))).toEqual([]);
});
