import { randomUUID } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { BuildStatus } from '#gen/causeway/operations/v1/projections_pb.js';
import { grpcAs, ordersOf, refusal } from './clients.ts';
import { nothingFollows, testPlatform } from './platform.ts';

const { OPERATIONS_URL: _, ...onlyOrders } = nothingFollows;
const platform = await testPlatform({ environment: onlyOrders });
const olga = await grpcAs(platform, 'olga', 'operator');
const alice = ordersOf(await grpcAs(platform, 'alice'));
const { listProjections, rebuildProjection, switchProjection, discardProjectionBuild, compareProjection } =
  OperationsService.method;

const view = { service: 'orders', view: 'orders' };

async function buildsOfOrders(): Promise<Record<number, BuildStatus>> {
  const { projections } = await olga.call(listProjections, {});
  const found = projections.find(({ service, view }) => service === 'orders' && view === 'orders');
  return Object.fromEntries((found?.builds ?? []).map(({ build, status }) => [build, status]));
}

const soon = { timeout: 30_000, interval: 100 };

test('a view is built anew under load, switched and rolled back, and no reader sees a gap or an older state', async () => {
  const first = await alice.place();
  await alice.get(first.orderId, first.position);
  expect(await buildsOfOrders()).toEqual({ 1: BuildStatus.ACTIVE });
  let isOver = false;
  let latest = first.orderId;
  const writing = (async () => {
    while (!isOver) {
      const { orderId, position } = await alice.place();
      // What was seen once is there for every reader from then on, though nobody says where it stands.
      await alice.get(orderId, position);
      latest = orderId;
    }
  })();
  let reads = 0;
  const reading = (async () => {
    while (!isOver) {
      const known = latest;
      expect(await alice.get(known)).toMatchObject({ orderId: known });
      expect(await alice.get(first.orderId)).toMatchObject({ orderId: first.orderId });
      reads++;
    }
  })();
  const requestId = randomUUID();
  const rebuild = { ...view, switchWhenCaughtUp: true, reason: 'to see it', requestId };
  const { projection } = await olga.call(rebuildProjection, rebuild);
  expect(projection?.builds.map(({ build, startedBy }) => [build, startedBy])).toEqual([
    [1, ''],
    [2, 'olga'],
  ]);
  await vi.waitFor(async () => {
    expect(await buildsOfOrders()).toEqual({ 1: BuildStatus.PREVIOUS, 2: BuildStatus.ACTIVE });
  }, soon);
  // The same request again is not done again.
  await olga.call(rebuildProjection, rebuild);
  expect(Object.keys(await buildsOfOrders())).toEqual(['1', '2']);
  const comparisons = await Array.fromAsync(olga.stream(compareProjection, { ...view, build: 1 }));
  expect(comparisons.at(-1)).toMatchObject({ different: 0n, missing: 0n, extra: 0n });
  expect(comparisons.at(-1)?.same).toBeGreaterThan(0n);
  await olga.call(switchProjection, { ...view, build: 1, reason: 'back' });
  expect(await buildsOfOrders()).toEqual({ 1: BuildStatus.ACTIVE, 2: BuildStatus.PREVIOUS });
  isOver = true;
  await Promise.all([writing, reading]);
  expect(reads).toBeGreaterThan(10);
});

test('what can not be done is said, and nobody but operators does anything', async () => {
  const customer = await grpcAs(platform, 'alice');
  const discard = (build: number) => refusal(olga.call(discardProjectionBuild, { ...view, build }));
  expect(await discard(1)).toMatchObject({ code: 'FAILED_PRECONDITION' });
  expect(await discard(9)).toMatchObject({ code: 'NOT_FOUND' });
  const unknown = (chosen: object) => ({
    code: 'NOT_FOUND',
    reason: 'VIEW_UNKNOWN',
    metadata: { ...view, ...chosen },
  });
  for (const chosen of [{ view: 'nothing' }, { service: 'nobody' }]) {
    expect(await refusal(olga.call(rebuildProjection, { ...view, ...chosen }))).toMatchObject(unknown(chosen));
    const compared = Array.fromAsync(olga.stream(compareProjection, { ...view, ...chosen, build: 1 }));
    expect(await refusal(compared)).toMatchObject(unknown(chosen));
  }
  expect(await refusal(customer.call(listProjections, {}))).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await refusal(customer.call(rebuildProjection, view))).toMatchObject({ code: 'PERMISSION_DENIED' });
});
