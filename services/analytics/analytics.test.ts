import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AnalyticsService } from '#gen/causeway/analytics/v1/analytics_service_pb.js';
import { OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { PaymentCapturedSchema, PaymentRefundedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import type { Caller } from '#kit/rpc/call.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { telling } from '#kit/testing/told.ts';
import { analytics } from './analytics.ts';

const nats = await ownNats();
const parts = await openTestParts('analytics', {
  natsUrl: nats.url,
  mongodbUri: sharedMongoUri(),
  clock: () => new Date('2026-11-24T12:00:00Z'),
});
const service = await analytics(parts);
const ordersSay = telling(parts, journalOf('orders'), 'order');
const paymentsSay = telling(parts, journalOf('payments'), 'payment');
const { getDailyRevenue, listTopItems } = AnalyticsService.method;

beforeAll(() => service.start());
afterAll(() => service.stop());

async function call<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  request: MessageInitShape<Input>,
  role: Caller['role'] = 'operator',
): Promise<MessageShape<Output>> {
  const asked = {
    caller: { subject: 'olga', role },
    authorization: '',
    correlationId: 'c',
    signal: AbortSignal.timeout(5_000),
    deadline: undefined,
  };
  const answer = await service.doors[0]?.messages.unary(method, create(method.input, request), asked);
  return answer as MessageShape<Output>;
}

const euros = (units: bigint, nanos = 0) => ({ currencyCode: 'EUR', units, nanos });

test('revenue is what was captured less what was refunded, by day and currency, over all partitions', async () => {
  const at = (time: string) => ({ time: new Date(time) });
  const captured = (amount: { currencyCode: string; units: bigint; nanos: number }, time: string) => {
    const orderId = randomUUID();
    return paymentsSay(PaymentCapturedSchema, orderId, { orderId, amount }, at(time));
  };
  const orders = Array.from({ length: 20 }, () => captured(euros(2n, 100_000_000), '2026-11-24T00:00:00Z'));
  const orderId = randomUUID();
  const told = await Promise.all([
    ...orders,
    captured(euros(9n), '2026-11-23T23:59:59Z'),
    captured({ ...euros(7n), currencyCode: 'USD' }, '2026-11-24T10:00:00Z'),
    captured(euros(1n), '2026-10-25T23:59:59Z'),
    paymentsSay(PaymentRefundedSchema, orderId, { orderId, amount: euros(50n) }, at('2026-11-24T11:00:00Z')),
  ]);
  const atLeast = told.map(({ position }) => position).slice(-16);
  await expect.poll(async () => (await call(getDailyRevenue, { atLeast })).days.at(1)?.orders).toBe(20n);

  const { days } = await call(getDailyRevenue, { atLeast });

  expect(days).toMatchObject([
    { day: '2026-11-23', revenue: euros(9n), captured: euros(9n), refunded: euros(0n), orders: 1n },
    { day: '2026-11-24', revenue: euros(-8n), captured: euros(42n), refunded: euros(50n), orders: 20n },
    { day: '2026-11-24', revenue: { currencyCode: 'USD', units: 7n }, orders: 1n },
  ]);
  expect((await call(getDailyRevenue, { from: '2026-10-25', to: '2026-10-25' })).days).toMatchObject([
    { day: '2026-10-25', revenue: euros(1n) },
  ]);
});

test('the top items are those that were ordered most', async () => {
  const place = (lines: { sku: string; name: string; quantity: number }[], time: string) =>
    ordersSay(OrderPlacedSchema, randomUUID(), { lines }, { time: new Date(time), dataOwner: 'anna' });
  const cup = { sku: 'cup', name: 'Cup', quantity: 1 };
  const beans = { sku: 'beans', name: 'Beans', quantity: 3 };
  const told = await Promise.all([
    ...Array.from({ length: 10 }, () => place([cup, beans], '2026-11-24T09:00:00Z')),
    place([cup], '2026-11-20T09:00:00Z'),
    place([{ ...cup, quantity: 500 }], '2026-09-01T09:00:00Z'),
  ]);
  const atLeast = told.map(({ position }) => position);

  expect((await call(listTopItems, { atLeast })).items).toMatchObject([
    { sku: 'beans', name: 'Beans', quantity: 30n, orders: 10n },
    { sku: 'cup', name: 'Cup', quantity: 11n, orders: 11n },
  ]);
  expect((await call(listTopItems, { limit: 1 })).items.map(({ sku }) => sku)).toEqual(['beans']);
  expect((await call(listTopItems, { from: '2026-11-20', to: '2026-11-20' })).items).toMatchObject([
    { sku: 'cup', quantity: 1n },
  ]);
});

test('figures are for operators', async () => {
  await expect(call(getDailyRevenue, {}, 'customer')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(call(listTopItems, {}, 'customer')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});

test('more days than can be answered are refused', async () => {
  const days = (from: string) => ({ from, to: '2026-11-24' });
  await expect(call(getDailyRevenue, days('2025-11-23'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(call(listTopItems, days('2026-10-24'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('it is healthy without a journal of its own', async () => {
  expect(await service.health()).toEqual({ ready: true, reasons: [] });
});
