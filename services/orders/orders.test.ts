import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  FulfilmentCompletedSchema,
  FulfilmentFailedSchema,
  StockRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { ItemListedSchema, StockReservedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { EmailSentSchema } from '#gen/causeway/notifications/v1/events_pb.js';
import { FulfilmentResolutionRequestedSchema } from '#gen/causeway/operations/v1/events_pb.js';
import {
  file_causeway_orders_v1_events,
  OrderPlacedSchema,
  RequestIdUsedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { OrderService, type WatchOrderResponse } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { PaymentAuthorizedSchema, PaymentDeclinedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import { OrderCancelledSchema as PublicOrderCancelledSchema } from '#gen/causeway/public/v1/events_pb.js';
import { ShipmentCancelledSchema, ShipmentDispatchedSchema } from '#gen/causeway/shipping/v1/events_pb.js';
import { DeadLetterHeader } from '#kit/dead-letters.ts';
import { EventTypes, eventsIn, type RecordedEvent, readEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import type { Call } from '#kit/rpc/call.ts';
import { journalOf, NOTICES, PUBLIC } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { telling } from '#kit/testing/told.ts';
import { collectionOf } from '#kit/view.ts';
import { ordersJournal } from './adapters/order-aggregate.ts';
import { orders } from './orders.ts';
import { historyView } from './views/history/history-view.ts';

const nats = await ownNats();
const parts = await openTestParts('orders', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
let service = await orders(parts);
const payments = telling(parts, journalOf('payments'), 'payment');
const shipping = telling(parts, journalOf('shipping'), 'shipment');
const fulfilment = telling(parts, journalOf('fulfilment'), 'fulfilment');
const inventory = telling(parts, journalOf('inventory'), 'reservation');
const operations = telling(parts, journalOf('operations'), 'fulfilment');
const notices = telling(parts, NOTICES, 'email');
const published = telling(parts, PUBLIC, 'order');
const ordersBefore = telling(parts, ordersJournal, 'order');
const types = new EventTypes(eventsIn(file_causeway_orders_v1_events));
const total = { currencyCode: 'EUR', units: 25n, nanos: 0 };

beforeAll(async () => {
  await service.start();
  const unitPrice = { currencyCode: 'EUR', units: 12n, nanos: 500_000_000 };
  await telling(parts, journalOf('inventory'), 'item')(ItemListedSchema, 'beans', {
    sku: 'beans',
    name: 'B',
    unitPrice,
  });
});
afterAll(() => service.stop());

async function place(id: string = randomUUID()): Promise<string> {
  const { orderId } = await call(OrderService.method.placeOrder, {
    orderId: id,
    lines: [{ sku: 'beans', quantity: 2 }],
    email: 'alice@example.com',
    paymentMethod: 'pm_ok',
    shipTo: { name: 'Alice', line1: '1 Main St', city: 'Cork', postalCode: 'T12', countryCode: 'IE' },
  });
  return orderId;
}

const statusOf = async (orderId: string) =>
  (await call(OrderService.method.getOrder, { orderId }).catch(() => undefined))?.order?.status;
const becomes = (orderId: string, status: OrderStatus) => expect.poll(() => statusOf(orderId)).toBe(status);
const authorized = (orderId: string, says: { late?: boolean } = {}, id: string = randomUUID()) =>
  payments(PaymentAuthorizedSchema, orderId, { orderId, customerId: 'alice', ...says }, { id });
const dispatched = (orderId: string, id: string = randomUUID()) =>
  shipping(ShipmentDispatchedSchema, orderId, { orderId, trackingNumber: 'T-1' }, { id });
const completed = (orderId: string, id: string = randomUUID()) =>
  fulfilment(FulfilmentCompletedSchema, orderId, { orderId }, { id });
const failed = (orderId: string, id: string = randomUUID()) =>
  fulfilment(FulfilmentFailedSchema, orderId, { orderId, description: 'out of stock: beans' }, { id });

/** The order's own events, as its journal has them. */
async function eventsOf(orderId: string): Promise<RecordedEvent[]> {
  const stored = await new Journal(ordersJournal, parts.broker).history(subjectOf('orders', 'order', orderId));
  return Promise.all(stored.map((message) => readEvent(message, types, parts.personalData)));
}
const namesOf = async (orderId: string) => (await eventsOf(orderId)).map(({ type }) => type.split('.').at(-1));

/** Until a reaction has nothing more to do in the order's partition. */
async function settled(stream: string, reaction: string, orderId: string): Promise<void> {
  const consumer = `orders-${reaction}-${partitionOf(orderId)}`;
  const left = async () => {
    const info = await parts.broker.manager.consumers.info(stream, consumer);
    return info.num_pending + info.num_ack_pending;
  };
  await expect.poll(left).toBe(0);
}

/** What the reactions have parked of the order. */
async function parkedOf(orderId: string): Promise<string[]> {
  const letters = new Journal({ service: 'dead', stream: 'DEAD_LETTERS' }, parts.broker);
  const reactions = ['confirm-on-payment-authorized', 'ship-on-shipment-dispatched', 'end-on-fulfilment-ended'];
  const heads = reactions.map((name) => letters.lastOnLeader(`dead.orders-${name}.${partitionOf(orderId)}.${orderId}`));
  return (await Promise.all(heads)).flatMap((each) => each?.headers.get(DeadLetterHeader.reason) ?? []);
}

/** Says something of an order in every journal there is, each caused by what came before. */
async function sayEverywhere(orderId: string): Promise<string[]> {
  let cause = (await eventsOf(orderId)).at(-1)?.id ?? '';
  const ids: string[] = [];
  const say = async (said: (words: { causationId: string }) => Promise<{ id: string }>) => {
    cause = (await said({ causationId: cause })).id;
    ids.push(cause);
  };
  await say((words) => fulfilment(StockRequestedSchema, orderId, { orderId }, { ...words, dataOwner: 'alice' }));
  await say((words) => inventory(StockReservedSchema, orderId, { orderId }, words));
  await say((words) => payments(PaymentDeclinedSchema, orderId, { orderId }, words));
  await say((words) => shipping(ShipmentCancelledSchema, orderId, { orderId }, words));
  await say((words) => operations(FulfilmentResolutionRequestedSchema, orderId, { orderId }, words));
  const to = 'alice@example.com';
  await say((words) => notices(EmailSentSchema, orderId, { orderId, to }, { ...words, dataOwner: 'alice' }));
  await say((words) => published(PublicOrderCancelledSchema, orderId, { orderId }, words));
  return ids;
}

const historyOf = async (orderId: string, subject = 'alice') =>
  (await call(OrderService.method.getOrderHistory, { orderId }, subject)).events;

describe("an order's history", () => {
  test('has what every service said, a cause before its effects, for its customer and operators only', async () => {
    const orderId = await place();
    const ids = await sayEverywhere(orderId);
    const types = async () => (await historyOf(orderId).catch(() => [])).slice(1).map(({ id }) => id);
    await expect.poll(types).toEqual(ids);

    const events = await historyOf(orderId);

    expect(events.map(({ position }) => position?.stream)).toEqual([
      'ORDERS',
      'FULFILMENT',
      'INVENTORY',
      'PAYMENTS',
      'SHIPPING',
      'OPERATIONS',
      'NOTICES',
      'PUBLIC',
    ]);
    expect(events.map(({ aggregate }) => aggregate)).toEqual([
      'order',
      'fulfilment',
      'reservation',
      'payment',
      'shipment',
      'fulfilment',
      'email',
      'order',
    ]);
    const email = events[6]?.data;
    expect(email && anyUnpack(email, EmailSentSchema)?.to).toBe('alice@example.com');
    expect(await historyOf(orderId, 'olga')).toEqual(events);
    await expect(historyOf(orderId, 'bob')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('has the order as it was after each event where that is asked for, also for who watches', async () => {
    const orderId = await place();
    const stop = new AbortController();
    const watched: (OrderStatus | undefined)[] = [];
    const watching = (async () => {
      for await (const { event } of watch(orderId, stop.signal, true)) watched.push(event?.order?.status);
    })();
    await authorized(orderId);
    await becomes(orderId, OrderStatus.CONFIRMED);
    const { PLACED, CONFIRMED } = OrderStatus;
    await expect.poll(() => watched.toSorted()).toEqual([PLACED, PLACED, CONFIRMED].toSorted());

    const { events } = await call(OrderService.method.getOrderHistory, { orderId, includeOrder: true });

    expect(events.map(({ order }) => order?.status)).toEqual([PLACED, PLACED, CONFIRMED]);
    expect(events.at(-1)?.order).toEqual((await call(OrderService.method.getOrder, { orderId })).order);
    expect((await historyOf(orderId)).map(({ order }) => order)).toEqual([undefined, undefined, undefined]);
    stop.abort();
    await watching;
  });

  test('is watched in all journals, each event once', async () => {
    const orderId = await place();
    const stop = new AbortController();
    const watched: string[] = [];
    const watching = (async () => {
      for await (const { event } of watch(orderId, stop.signal)) watched.push(event?.id ?? '');
    })();
    await expect.poll(() => watched).toHaveLength(1);

    const ids = await sayEverywhere(orderId);

    await expect.poll(() => watched.slice(1)).toEqual(ids);
    stop.abort();
    await watching;
    expect(watched).toHaveLength(ids.length + 1);
  });

  test('begins again where what was kept for a while is gone from its journal', async () => {
    const orderId = await place();
    const ids = await sayEverywhere(orderId);
    await expect.poll(async () => (await historyOf(orderId).catch(() => [])).length).toBe(ids.length + 1);
    await service.stop();
    const { streams } = parts.broker.manager;
    const { config } = await streams.info('NOTICES');
    await streams.update('NOTICES', { max_age: 100_000_000, duplicate_window: 100_000_000 });
    await expect.poll(async () => (await streams.info('NOTICES')).state.messages).toBe(0);
    await streams.update('NOTICES', { max_age: config.max_age, duplicate_window: config.duplicate_window });
    await parts.db.dropCollection(collectionOf(historyView));
    service = await orders(parts);
    await service.start();

    await expect.poll(async () => (await historyOf(orderId).catch(() => [])).length).toBe(ids.length);
    const { id } = await notices(EmailSentSchema, orderId, { orderId }, { dataOwner: 'alice' });
    await expect.poll(async () => (await historyOf(orderId)).at(-1)?.id).toBe(id);
  });
});

describe('an order', () => {
  test('is confirmed, shipped and completed by what the other services did, each by its cause', async () => {
    const orderId = await place();
    const causes = [];
    causes.push(await authorized(orderId));
    await becomes(orderId, OrderStatus.CONFIRMED);
    causes.push(await dispatched(orderId));
    await becomes(orderId, OrderStatus.SHIPPED);
    causes.push(await completed(orderId));
    await becomes(orderId, OrderStatus.COMPLETED);

    const [, ...followed] = await eventsOf(orderId);

    expect(followed.map(({ causationId }) => causationId)).toEqual(causes.map(({ id }) => id));
    expect(new Set(followed.map(({ actor }) => actor))).toEqual(new Set(['orders']));
    expect(followed[1]?.data).toMatchObject({ trackingNumber: 'T-1' });
    expect(followed[2]?.data).toMatchObject({ customerId: 'alice', total });
  });

  test('is cancelled, in words that its customer can read, where its fulfilment failed', async () => {
    const orderId = await place();
    await failed(orderId);
    await becomes(orderId, OrderStatus.CANCELLED);

    const cancelled = (await eventsOf(orderId)).at(-1);

    expect(cancelled?.data).toMatchObject({ reason: 'out of stock: beans', customerId: 'alice', total });
  });

  test('is cancelled by a failed fulfilment also after it was confirmed', async () => {
    const orderId = await place();
    await authorized(orderId);
    await becomes(orderId, OrderStatus.CONFIRMED);
    await failed(orderId);

    await becomes(orderId, OrderStatus.CANCELLED);
  });

  test('is not confirmed by an authorisation that came too late', async () => {
    const orderId = await place();
    await authorized(orderId, { late: true });
    const inTime = await authorized(orderId);
    await becomes(orderId, OrderStatus.CONFIRMED);

    expect((await eventsOf(orderId)).at(-1)?.causationId).toBe(inTime.id);
  });

  test('that was cancelled meanwhile stays so, and nothing is parked for it', async () => {
    const orderId = await place();
    await call(OrderService.method.cancelOrder, { orderId, reason: 'changed my mind' });
    await authorized(orderId);
    await failed(orderId);
    await settled('PAYMENTS', 'confirm-on-payment-authorized', orderId);
    await settled('FULFILMENT', 'end-on-fulfilment-ended', orderId);

    expect(await namesOf(orderId)).toEqual(['OrderPlaced', 'OrderCancelled']);
    expect(await parkedOf(orderId)).toEqual([]);
  });

  test('is moved on once by what is said twice, at once or late', async () => {
    const orderId = await place();
    const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
    for (const id of [ids[0], ids[0], randomUUID()]) await authorized(orderId, {}, id);
    await becomes(orderId, OrderStatus.CONFIRMED);
    for (const id of [ids[1], ids[1], randomUUID()]) await dispatched(orderId, id);
    await authorized(orderId, {}, ids[0]);
    await becomes(orderId, OrderStatus.SHIPPED);
    for (const id of [ids[2], ids[2], randomUUID()]) await completed(orderId, id);
    await becomes(orderId, OrderStatus.COMPLETED);
    await authorized(orderId, {}, ids[0]);
    await dispatched(orderId, ids[1]);
    await settled('PAYMENTS', 'confirm-on-payment-authorized', orderId);
    await settled('SHIPPING', 'ship-on-shipment-dispatched', orderId);
    await settled('FULFILMENT', 'end-on-fulfilment-ended', orderId);

    expect(await namesOf(orderId)).toEqual(['OrderPlaced', 'OrderConfirmed', 'OrderShipped', 'OrderCompleted']);
    expect(await parkedOf(orderId)).toEqual([]);
  });

  test('that there is not is parked and named, as what can never come right', async () => {
    const orderId = randomUUID();
    await dispatched(orderId);

    await expect.poll(() => parkedOf(orderId)).toEqual(['REFUSED']);
  });

  test('that an older program stored is cancelled for what it cost, and a request id stays taken', async () => {
    const orderId = randomUUID();
    const older = { stateVersion: 1, dataOwner: 'alice' };
    await ordersBefore(OrderPlacedSchema, orderId, { orderId, customerId: 'alice', total }, older);
    const takenId = randomUUID();
    await ordersBefore(RequestIdUsedSchema, takenId, { orderId: takenId, usedForOrderId: orderId }, older);

    await failed(orderId);
    await becomes(orderId, OrderStatus.CANCELLED);

    expect((await eventsOf(orderId)).at(-1)?.data).toMatchObject({ customerId: 'alice', total });
    await expect(place(takenId)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      details: { reason: 'REQUEST_DIFFERS' },
    });
  });
});

/** Calls the door; olga is an operator. */
async function call<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  request: MessageInitShape<Input>,
  subject = 'alice',
): Promise<MessageShape<Output>> {
  const asked = calling(subject, AbortSignal.timeout(5_000));
  const [door] = service.doors;
  return (await door?.messages.unary(method, create(method.input, request), asked)) as MessageShape<Output>;
}

function watch(orderId: string, signal: AbortSignal, includeOrder = false): AsyncIterable<WatchOrderResponse> {
  const { watchOrder } = OrderService.method;
  const [door] = service.doors;
  const request = create(watchOrder.input, { orderId, includeOrder });
  return door?.messages.stream(watchOrder, request, calling('alice', signal)) as AsyncIterable<WatchOrderResponse>;
}

function calling(subject: string, signal: AbortSignal): Call {
  const role = subject === 'olga' ? 'operator' : 'customer';
  return { caller: { subject, role }, authorization: '', correlationId: 'c', signal, deadline: undefined };
}
