import { randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { expect, onTestFinished, test } from 'vitest';
import { FulfilmentFailedSchema, StockRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import {
  ItemListedSchema,
  ItemRestockedSchema,
  StockCommittedSchema,
  StockRejectedSchema,
  StockReleasedSchema,
  StockReservedSchema,
} from '#gen/causeway/inventory/v1/events_pb.js';
import { EmailKind } from '#gen/causeway/notifications/v1/email_kind_pb.js';
import { EmailSentSchema } from '#gen/causeway/notifications/v1/events_pb.js';
import { OrderCancelledSchema, OrderConfirmedSchema, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { OrderCancelledSchema as OrderCancelledInPublicSchema } from '#gen/causeway/public/v1/events_pb.js';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { eventHeaders } from '#kit/event.ts';
import { ensureJournals } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { journalOf, NOTICES, PUBLIC } from '#kit/streams.ts';
import { ownNats } from '#kit/testing/servers.ts';
import { audit, type Stock } from './audit.ts';

type Words = { version?: number; id?: string };

/** A broker of the test's own, with the journals of a platform where nobody has done anything as an operator yet. */
async function openJournals() {
  const broker = await connectBroker({ url: (await ownNats()).url, name: 'test' });
  onTestFinished(() => broker.close());
  const services = ['orders', 'fulfilment', 'inventory', 'payments', 'shipping'];
  await ensureJournals(broker, [...services.map((service) => journalOf(service)), NOTICES, PUBLIC]);
  return { broker, say: sayAt(broker) };
}

function sayAt(broker: Broker) {
  const versions = new Map<string, number>();
  return async <Desc extends DescMessage>(
    place: [service: string, aggregate: string, key: string],
    type: Desc,
    says: MessageInitShape<Desc>,
    { version, id = randomUUID() }: Words = {},
  ): Promise<void> => {
    const subject = subjectOf(...place);
    const next = version ?? (versions.get(subject) ?? 0) + 1;
    versions.set(subject, next);
    const context = { time: new Date(), version: next, correlationId: 'test', causationId: 'test', actor: 'test' };
    const trace = { traceparent: '', tracestate: '' };
    const headers = eventHeaders({ ...context, ...trace, id, type: type.typeName, source: place[0], key: place[2] });
    await broker.js.publish(subject, toBinary(type, create(type, says)), { headers });
  };
}

const stock = (items: Record<string, Stock>) => new Map(Object.entries(items));

test('a platform as it must be has no problems; an order on its way waits for something', async () => {
  const { broker, say } = await openJournals();
  const [sold, placed] = [randomUUID(), randomUUID()];
  await say(['inventory', 'item', 'cup'], ItemListedSchema, { sku: 'cup', quantity: 3 });
  await say(['inventory', 'item', 'cup'], ItemRestockedSchema, { sku: 'cup', quantity: 2 });
  for (const orderId of [sold, placed]) {
    await say(['orders', 'order', orderId], OrderPlacedSchema, { orderId });
    await say(['fulfilment', 'fulfilment', orderId], StockRequestedSchema, { orderId });
  }
  await say(['inventory', 'reservation', placed], StockReservedSchema, { lines: [{ sku: 'cup', quantity: 4 }] });
  await say(['inventory', 'reservation', sold], StockRejectedSchema, {});
  await say(['fulfilment', 'fulfilment', sold], FulfilmentFailedSchema, { reason: 'OUT_OF_STOCK' });
  await say(['orders', 'order', sold], OrderCancelledSchema, {});
  const mail = { kind: EmailKind.ORDER_CANCELLED, causeId: 'cancelled' };
  // Notices are kept for a day: those before are forgotten.
  await say(['notices', 'email', sold], EmailSentSchema, mail, { version: 2 });
  await say(['public', 'order', sold], OrderCancelledInPublicSchema, {}, { version: 2 });

  const audited = await audit(broker, stock({ cup: { available: 1, reserved: 4 } }));

  expect(audited).toMatchObject({ problems: [], problemCount: 0, orders: 2 });
  expect(audited.outcomes).toEqual(new Map([['OUT_OF_STOCK', 1]]));
  expect(audited.waiting).toEqual(new Map([['stock to be reserved', [placed]]]));
  expect(Object.fromEntries(audited.events)).toEqual({
    ...{ ORDERS: 3, FULFILMENT: 3, INVENTORY: 4, PAYMENTS: 0, SHIPPING: 0, NOTICES: 1, PUBLIC: 1 },
  });
});

test('a version that is left out or comes twice is named, in what begins too late as well', async () => {
  const { broker, say } = await openJournals();
  const [gap, repeat, late] = [randomUUID(), randomUUID(), randomUUID()];
  const order = (key: string, version: number) =>
    version === 1
      ? say(['orders', 'order', key], OrderPlacedSchema, {}, { version })
      : say(['orders', 'order', key], OrderConfirmedSchema, {}, { version });
  for (const version of [1, 3]) await order(gap, version);
  for (const version of [1, 1]) await order(repeat, version);
  await order(late, 2);

  const { problems } = await audit(broker, stock({}));

  expect(problems).toEqual(
    expect.arrayContaining([
      `ORDERS 2 (causeway.orders.v1.OrderConfirmed of ${gap}): version 3 follows 1`,
      `ORDERS 4 (causeway.orders.v1.OrderPlaced of ${repeat}): version 1 follows 1`,
      `order ${repeat} is placed 2 times`,
      `ORDERS 5 (causeway.orders.v1.OrderConfirmed of ${late}): version 2 follows 0`,
      `order ${late} has events, and was never placed`,
    ]),
  );
  expect(problems).toHaveLength(5);
});

test('an event that is there twice, and what is no event, are named', async () => {
  const { broker, say } = await openJournals();
  const [one, other] = [randomUUID(), randomUUID()];
  await say(['orders', 'order', one], OrderPlacedSchema, {}, { id: 'the-same' });
  await say(['orders', 'order', other], OrderPlacedSchema, {}, { id: 'the-same' });
  await broker.js.publish(subjectOf('payments', 'payment', one), 'no event');

  const { problems, problemCount } = await audit(broker, stock({}));

  expect(problems).toEqual([
    `ORDERS 2 (causeway.orders.v1.OrderPlaced of ${other}): the event the-same is there twice`,
    expect.stringMatching(/^PAYMENTS 1: /),
  ]);
  expect(problemCount).toBe(2);
});

test('a journal is read to its end, also where that takes more than one reading', async () => {
  const { broker, say } = await openJournals();
  const item = ['inventory', 'item', 'cup'] as const;
  await say([...item], ItemListedSchema, { sku: 'cup', quantity: 1 });
  await Promise.all(Array.from({ length: 2_100 }, () => say([...item], ItemRestockedSchema, { quantity: 1 })));

  const { problems, events } = await audit(broker, stock({ cup: { available: 2_101, reserved: 0 } }));

  expect(problems).toEqual([]);
  expect(events.get('INVENTORY')).toBe(2_101);
});

test('stock that is not conserved is named, item by item', async () => {
  const { broker, say } = await openJournals();
  for (const sku of ['taken', 'held', 'back', 'oversold', 'lost']) {
    await say(['inventory', 'item', sku], ItemListedSchema, { sku, quantity: 2 });
  }
  const order = async (
    sku: string,
    quantity: number,
    then?: typeof StockCommittedSchema | typeof StockReleasedSchema,
  ) => {
    const orderId = randomUUID();
    const lines = [{ sku, quantity }];
    await say(['orders', 'order', orderId], OrderPlacedSchema, { orderId });
    await say(['inventory', 'reservation', orderId], StockReservedSchema, { lines });
    if (then !== undefined) await say(['inventory', 'reservation', orderId], then, { lines });
  };
  await order('taken', 2, StockCommittedSchema);
  await order('held', 1);
  await order('back', 1, StockReleasedSchema);
  for (let times = 0; times < 3; times++) await order('oversold', 1);
  const asItMustBe = {
    taken: { available: 0, reserved: 0 },
    held: { available: 1, reserved: 1 },
    back: { available: 2, reserved: 0 },
  };

  const good = await audit(broker, stock({ ...asItMustBe, lost: { available: 2, reserved: 0 } }));
  const bad = await audit(
    broker,
    stock({ ...asItMustBe, held: { available: 2, reserved: 0 }, found: { available: 1, reserved: 0 } }),
  );

  const oversold = [
    'item oversold is oversold by 1',
    'item oversold has undefined, and by its journal {"available":-1,"reserved":3}',
  ];
  expect(good.problems).toEqual(oversold);
  expect(bad.problems).toEqual([
    'item found is in stock, and its journal has none',
    'item held has {"available":2,"reserved":0}, and by its journal {"available":1,"reserved":1}',
    ...oversold,
    'item lost has undefined, and by its journal {"available":2,"reserved":0}',
  ]);
});
