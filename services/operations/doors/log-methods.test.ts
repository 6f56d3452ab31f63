import { randomUUID } from 'node:crypto';
import { create, fromJson, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  type LoggedEvent,
  SearchEventsRequestSchema,
  SearchEventsResponseSchema,
  type WatchEventsResponse,
} from '#gen/causeway/operations/v1/log_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderCancelledSchema, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { PaymentAuthorizedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import { OrderCompletedSchema as PublicOrderCompletedSchema } from '#gen/causeway/public/v1/events_pb.js';
import { ensureJournals } from '#kit/journal.ts';
import { MessageHeaders } from '#kit/message-headers.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import type { Call } from '#kit/rpc/call.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { publishRaw } from '#kit/testing/raw.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { say } from '../testing/shop.ts';
import { logMethods } from './log-methods.ts';

const nats = await ownNats();
let parts: ServiceParts;
let log: ReturnType<typeof logMethods>;

beforeAll(async () => {
  parts = await openTestParts('operations', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('orders'), journalOf('payments')]);
  log = logMethods(parts);
});

const callOf = (role: 'operator' | 'customer', signal = new AbortController().signal): Call => ({
  caller: { subject: 'olga', role },
  authorization: '',
  correlationId: '',
  signal,
  deadline: undefined,
});
const olga = callOf('operator');

async function search(request: MessageInitShape<typeof SearchEventsRequestSchema>) {
  return log.searchEvents(create(SearchEventsRequestSchema, request), olga);
}

const names = (events: readonly LoggedEvent[]) => events.map(({ type }) => type.split('.').at(-1));

/** An order that is placed, paid and cancelled. */
async function anOrder(): Promise<string> {
  const orderId = randomUUID();
  const place = { service: 'orders', aggregate: 'order', key: orderId };
  await say(parts, place, OrderPlacedSchema, { orderId, customerId: 'alice', email: 'alice@example.org' });
  await say(parts, { ...place, service: 'payments', aggregate: 'payment' }, PaymentAuthorizedSchema, { orderId });
  await say(parts, place, OrderCancelledSchema, { orderId, reason: 'changed my mind' });
  return orderId;
}

test('an event is found by what it is about, of which type it is, and what it belongs to', async () => {
  const orderId = await anOrder();
  await anOrder();
  const [cancelled, authorized, placed] = ['OrderCancelled', 'PaymentAuthorized', 'OrderPlaced'];

  expect(names((await search({ filter: { key: orderId } })).events)).toEqual([cancelled, authorized, placed]);
  const ofKey = async (filter: object) => names((await search({ filter: { key: orderId, ...filter } })).events);
  expect(await ofKey({ aggregate: 'payment' })).toEqual([authorized]);
  expect(await ofKey({ streams: ['ORDERS'] })).toEqual([cancelled, placed]);
  expect(await ofKey({ type: 'OrderPlaced' })).toEqual([placed]);
  expect(await ofKey({ type: 'causeway.orders.v1.OrderPlaced' })).toEqual([placed]);
  expect(await ofKey({ type: 'Placed' })).toEqual([]);
  const { events } = await search({ filter: { correlationId: `correlation of ${orderId}` } });
  expect(names(events)).toEqual([cancelled, authorized, placed]);
});

test('a found event says all that it says of itself; what is personal stays sealed', async () => {
  const orderId = await anOrder();

  const { events, nextPageToken } = await search({ filter: { key: orderId, type: 'OrderPlaced' } });

  expect(nextPageToken).toBe('');
  const [placed] = events;
  expect(placed).toMatchObject({
    stream: 'ORDERS',
    partition: partitionOf(orderId),
    aggregate: 'order',
    key: orderId,
    type: 'causeway.orders.v1.OrderPlaced',
    version: 1n,
    actor: 'test',
    correlationId: `correlation of ${orderId}`,
    causationId: 'test',
    time: {},
    attempts: 0,
    headers: {},
  });
  const said = placed?.data && anyUnpack(placed.data, OrderPlacedSchema);
  expect(said).toMatchObject({ customerId: 'alice', email: '' });
  expect(said?.sealed.length).toBeGreaterThan(0);
});

test('one event is shown with its headers and bytes, and without the state of its aggregate', async () => {
  const orderId = await anOrder();
  const [found] = (await search({ filter: { key: orderId, aggregate: 'payment' } })).events;
  const place = { stream: 'PAYMENTS', sequence: found?.sequence ?? 0n };

  const { event } = await log.getEvent(create(OperationsService.method.getEvent.input, place), olga);

  expect(event).toMatchObject({ id: found?.id, type: found?.type, version: found?.version, key: orderId });
  expect(Buffer.from(event?.raw ?? [])).toEqual(Buffer.from(found?.data?.value ?? []));
  expect(event?.headers).toMatchObject({ 'ce-id': found?.id, 'ce-specversion': '1.0' });
  expect(Object.keys(event?.headers ?? {})).not.toContain('Causeway-State');
});

test('what is no event of a journal is not shown, customers’ keys least of all', async () => {
  for (const [stream, sequence] of [
    ['ORDERS', 1_000_000n],
    ['ORDERS', 2n ** 63n],
    ['NO_SUCH', 1n],
    ['KV_customer-keys', 1n],
    ['DEAD_LETTERS', 1n],
  ] as const) {
    const asked = log.getEvent(create(OperationsService.method.getEvent.input, { stream, sequence }), olga);
    await expect(asked).rejects.toMatchObject({ code: 'NOT_FOUND', details: { reason: 'EVENT_UNKNOWN' } });
  }
  const kv = search({ filter: { streams: ['ORDERS', 'KV_customer-keys'] } });
  await expect(kv).rejects.toMatchObject({ details: { violations: [{ field: 'filter.streams[1]' }] } });
});

test('a message that is no event is listed as far as it says what it is', async () => {
  const key = randomUUID();
  const subject = subjectOf('orders', 'order', key);
  await publishRaw(nats.url, subject, 'NATS/1.0\r\nce-id: a\nb\r\n\r\n');
  await publishRaw(nats.url, subject, 'NATS/1.0\r\nce-type: causeway.orders.v1.OrderPlaced\r\nce-version: x\r\n\r\n');
  await expect.poll(async () => (await search({ filter: { key } })).events).toHaveLength(2);

  const { events } = await search({ filter: { key } });

  expect(events.map(({ type, version, time }) => [type, version, time])).toEqual([
    ['causeway.orders.v1.OrderPlaced', 0n, undefined],
    ['', 0n, undefined],
  ]);
  expect(events[1]?.data).toBeUndefined();
});

test('what no answer has room for is left out of it, and the answer comes', async () => {
  const key = randomUUID();
  const subject = subjectOf('orders', 'order', key);
  const head = 'NATS/1.0\r\nce-time: +100000-01-01T00:00:00Z\r\nCauseway-Attempts: 9999999999\r\n\r\n';
  await publishRaw(nats.url, subject, head);
  const said = create(PublicOrderCompletedSchema, { completedAt: { seconds: 2n ** 50n, nanos: 0 } });
  const headers = new MessageHeaders();
  headers.set('ce-type', said.$typeName);
  await parts.broker.js.publish(subject, toBinary(PublicOrderCompletedSchema, said), { headers });

  const found = await search({ filter: { key } });

  expect(fromJson(SearchEventsResponseSchema, toJson(SearchEventsResponseSchema, found)).events).toMatchObject([
    { type: said.$typeName },
    { attempts: 0, key },
  ]);
  const from = { seconds: 2n ** 60n, nanos: 0 };
  const asked = search({ filter: { key, from } });
  await expect(asked).rejects.toMatchObject({ details: { violations: [{ field: 'filter.from' }] } });
});

test('pages go on where they ended, and what is no token is the fault of that field', async () => {
  const orderId = await anOrder();
  const filter = { key: orderId };

  const first = await search({ filter, pageSize: 2 });
  const second = await search({ filter, pageSize: 2, pageToken: first.nextPageToken });

  expect(names([...first.events, ...second.events])).toEqual(['OrderCancelled', 'PaymentAuthorized', 'OrderPlaced']);
  expect(second.nextPageToken).toBe('');
  for (const pageToken of ['nonsense', Buffer.from('ORDERS:-1').toString('base64url')]) {
    await expect(search({ pageToken })).rejects.toMatchObject({ details: { violations: [{ field: 'page_token' }] } });
  }
});

test('events are watched as they are stored, those that were asked for', async () => {
  const end = new AbortController();
  onTestFinished(() => end.abort());
  const watched: WatchEventsResponse[] = [];
  const { input } = OperationsService.method.watchEvents;
  const filter = { type: 'OrderCancelled', streams: ['ORDERS'] };
  const watching = (async () => {
    for await (const each of log.watchEvents(create(input, { filter }), callOf('operator', end.signal))) {
      watched.push(each as WatchEventsResponse);
    }
  })();
  const orders: string[] = [];
  await expect.poll(async () => orders.push(await anOrder()) && watched.length).toBeGreaterThan(0);

  orders.push(await anOrder());

  await expect.poll(() => watched.at(-1)?.event?.key).toBe(orders.at(-1));
  expect(new Set(watched.map(({ event }) => event?.type))).toEqual(new Set(['causeway.orders.v1.OrderCancelled']));
  end.abort();
  await watching;
});

test('nobody but an operator looks into the log', async () => {
  const denied = { code: 'PERMISSION_DENIED' };
  const customer = callOf('customer');
  const { getEvent, watchEvents } = OperationsService.method;

  await expect(log.searchEvents(create(SearchEventsRequestSchema, {}), customer)).rejects.toMatchObject(denied);
  const get = log.getEvent(create(getEvent.input, { stream: 'ORDERS', sequence: 1n }), customer);
  await expect(get).rejects.toMatchObject(denied);
  const watching = log.watchEvents(create(watchEvents.input, {}), customer)[Symbol.asyncIterator]();
  await expect(watching.next()).rejects.toMatchObject(denied);
});
