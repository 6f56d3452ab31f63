import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { beforeAll, expect, test, vi } from 'vitest';
import { FulfilmentFailedSchema, StockRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { ConsumerKind, ServiceStatus, type WatchOverviewResponse } from '#gen/causeway/operations/v1/flow_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderCancelledSchema, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { ensureDeadLetters } from '#kit/dead-letters.ts';
import { ensureJournals } from '#kit/journal.ts';
import type { Call, Caller } from '#kit/rpc/call.ts';
import type { Door } from '#kit/rpc/door.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { operations } from '../operations.ts';
import { say } from '../testing/shop.ts';

const { listServices, listStreams, listConsumers, diagnose, watchOverview } = OperationsService.method;

let parts: ServiceParts;
let door: Door;

beforeAll(async () => {
  const nats = await ownNats();
  parts = await openTestParts('operations', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('orders'), journalOf('fulfilment')]);
  await ensureDeadLetters(parts.broker);
  const service = await operations(parts);
  door = service.doors[0] as Door;
  await service.start();
  await vi.waitFor(async () => expect(await service.health()).toMatchObject({ ready: true }), { timeout: 30_000 });
  return () => service.stop();
});

const callOf = (role: Caller['role'], signal = new AbortController().signal): Call => ({
  caller: { subject: 'olga', role },
  authorization: '',
  correlationId: 'correlation-1',
  signal,
  deadline: undefined,
});

function ask<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  request: MessageInitShape<Input> = {} as never,
  call: Call = callOf('operator'),
): Promise<MessageShape<Output>> {
  return door.messages.unary(method, create(method.input, request), call) as never;
}

/** Watches until a picture is as it is waited for. */
async function watchUntil(isSeen: (overview: WatchOverviewResponse) => boolean): Promise<WatchOverviewResponse> {
  const end = new AbortController();
  const stream = watchOverview as DescMethodServerStreaming;
  for await (const seen of door.messages.stream(stream, create(stream.input), callOf('operator', end.signal))) {
    if (!isSeen(seen as WatchOverviewResponse)) continue;
    end.abort();
    return seen as WatchOverviewResponse;
  }
  throw new Error('the overview ended');
}

test('it is told which services there are, and that this one is up', async () => {
  const { services } = await ask(listServices);

  expect(services).toMatchObject([
    { name: 'operations', status: ServiceStatus.UP, reasons: [], unownedPartitions: [], instances: [{ ready: true }] },
  ]);
  const [instance] = services[0]?.instances ?? [];
  expect(instance?.partitions).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(instance?.host).not.toBe('');
  expect(instance?.startedAt).toBeDefined();
  expect(Math.abs(Number(instance?.clockAhead?.seconds))).toBeLessThan(5);
});

test('streams are told with whose they are and what they may hold', async () => {
  const { streams } = await ask(listStreams);

  const operationsStream = streams.find(({ name }) => name === 'OPERATIONS');
  expect(operationsStream).toMatchObject({ service: 'operations', subjects: ['operations.event.>'], drift: [] });
  expect(operationsStream?.maxBytes).toBeGreaterThan(0n);
  expect(streams.map(({ name }) => name)).toEqual(expect.arrayContaining(['DEAD_LETTERS', 'ORDERS', 'KV_services']));
});

test('consumers are told, of one service where that is asked for', async () => {
  const { consumers } = await ask(listConsumers, { service: 'operations' });

  expect(consumers).toMatchObject([
    { name: 'operations-destroy-keys-on-erasure-requested', stream: 'OPERATIONS', kind: ConsumerKind.REACTION },
    { name: 'operations-fulfilments_v1', stream: 'FULFILMENT', kind: ConsumerKind.PROJECTION, orphan: false },
    { name: 'operations-fulfilments_v1', stream: 'OPERATIONS' },
    { name: 'operations-pulse_v1', stream: 'FULFILMENT', trouble: '' },
    { name: 'operations-pulse_v1', stream: 'ORDERS' },
  ]);
  expect(consumers[1]?.partitions.map(({ missing }) => missing)).toEqual(Array.from({ length: 8 }, () => false));
  expect((await ask(listConsumers, { service: 'orders' })).consumers).toEqual([]);
});

test('the overview shows what happens to orders, as it happens, to all who watch', async () => {
  const watching = Promise.all([
    watchUntil(({ outcomes }) => outcomes.length > 0),
    watchUntil(({ outcomes, journals }) => outcomes.length > 0 && journals.some((each) => each.eventsPerSecond > 0)),
  ]);
  const orderId = randomUUID();
  const order = { service: 'orders', aggregate: 'order', key: orderId };
  const fulfilment = { service: 'fulfilment', aggregate: 'fulfilment', key: orderId };
  await say(parts, order, OrderPlacedSchema, { orderId });
  await say(parts, fulfilment, StockRequestedSchema, { orderId });
  await say(parts, { ...fulfilment, key: randomUUID() }, StockRequestedSchema, {});
  await say(parts, fulfilment, FulfilmentFailedSchema, { orderId, reason: 'OUT_OF_STOCK' });
  await say(parts, order, OrderCancelledSchema, { orderId });

  const [overview, other] = await watching;
  expect(overview.missing).toEqual([]);
  expect(overview.outcomes).toMatchObject([{ outcome: 'OUT_OF_STOCK', orders: 1 }]);
  expect(overview).toMatchObject({ openFulfilments: 1, overdueFulfilments: 0, parkedMessages: 0n });
  expect(overview.minutes).toHaveLength(60);
  expect(overview.minutes.at(-1)?.at?.seconds).toBe(overview.at && overview.at.seconds - (overview.at.seconds % 60n));
  const settled = await watchUntil(({ minutes }) => minutes.some(({ cancelled }) => cancelled === 1));
  expect(settled.minutes.reduce((sum, { placed }) => sum + placed, 0)).toBe(1);
  expect(settled.services).toMatchObject([{ name: 'operations', status: ServiceStatus.UP }]);
  expect(other.consumers.map(({ name }) => name)).toContain('operations-pulse_v1');
});

test('nobody but an operator is told any of it', async () => {
  for (const method of [listServices, listStreams, listConsumers, diagnose]) {
    await expect(ask(method as DescMethodUnary, {}, callOf('customer'))).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
  }
  const stream = watchOverview as DescMethodServerStreaming;
  const watched = door.messages.stream(stream, create(stream.input), callOf('customer'));
  await expect(watched[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});
