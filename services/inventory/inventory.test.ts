import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { beforeAll, expect, test } from 'vitest';
import { StockReleaseRequestedSchema, StockRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import {
  StockCommittedSchema,
  StockRejectedSchema,
  StockReleasedSchema,
  StockReservedSchema,
} from '#gen/causeway/inventory/v1/events_pb.js';
import { ShipmentDispatchedSchema } from '#gen/causeway/shipping/v1/events_pb.js';
import { CommandHandler } from '#kit/decider.ts';
import { EventTypes, eventHeaders, type RecordedEvent, readEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import type { Service } from '#kit/lifecycle.ts';
import { subjectOf } from '#kit/partitions.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { atTheEnd, type OwnServer, openTestParts, ownMongodb, ownNats } from '#kit/testing/servers.ts';
import { inventoryJournal, itemAggregate } from './adapters/item-aggregate.ts';
import { stockCollections } from './adapters/stock-collections.ts';
import { inventory } from './inventory.ts';
import { rebuildStock } from './rebuild-stock.ts';

const types = new EventTypes([StockReservedSchema, StockRejectedSchema, StockReleasedSchema, StockCommittedSchema]);
const requests = {
  StockRequested: { type: StockRequestedSchema, service: 'fulfilment', aggregate: 'fulfilment' },
  StockReleaseRequested: { type: StockReleaseRequestedSchema, service: 'fulfilment', aggregate: 'fulfilment' },
  ShipmentDispatched: { type: ShipmentDispatchedSchema, service: 'shipping', aggregate: 'shipment' },
};

let parts: ServiceParts;
let mongodb: OwnServer;
let journal: Journal;
let service: Service | undefined;

async function start(): Promise<Service> {
  const started = await inventory(parts);
  await started.start();
  return started;
}

beforeAll(async () => {
  const [nats, database] = await Promise.all([ownNats(), ownMongodb()]);
  mongodb = database;
  parts = await openTestParts('inventory', { natsUrl: nats.url, mongodbUri: mongodb.url });
  atTheEnd(async () => service?.stop());
  service = await start();
  journal = new Journal(inventoryJournal, parts.broker);
});

/** Publishes what another service says of an order; the same words are the same event. */
async function say(
  name: keyof typeof requests,
  orderId: string,
  says: { lines?: { sku: string; quantity: number }[] } = {},
  causationId = 'test',
): Promise<string> {
  const { type, service, aggregate } = requests[name];
  const id = `${name} of ${orderId}`;
  const headers = eventHeaders({
    id,
    type: type.typeName,
    source: service,
    key: orderId,
    time: new Date(),
    version: 1,
    correlationId: `correlation of ${orderId}`,
    causationId,
    actor: service,
    traceparent: '',
    tracestate: '',
  });
  const data = toBinary(type, create(type, { orderId, ...says }));
  await parts.broker.js.publish(subjectOf(service, aggregate, orderId), data, { headers });
  return id;
}

/** An item of the test's own with so many pieces, once they are in the stock. */
async function itemWith(quantity: number): Promise<string> {
  const sku = `item-${randomUUID()}`;
  const commands = new CommandHandler(journal, itemAggregate, parts.personalData);
  await commands.handle({
    key: sku,
    command: {
      type: 'StockItem',
      sku,
      name: 'Item',
      unitPrice: { currencyCode: 'EUR', units: 1n, nanos: 0 },
      quantity,
    },
    caller: 'test',
    requestId: '',
    content: Buffer.from(''),
    correlationId: 'test',
    causationId: 'test',
  });
  await expect.poll(() => stockOf(sku)).toMatchObject({ available: quantity, stockedVersion: 1 });
  return sku;
}

function stockOf(sku: string) {
  return stockCollections(parts.db).stock.findOne({ _id: sku });
}

/** What inventory has said of an order, first to last. */
async function saidOf(orderId: string): Promise<RecordedEvent[]> {
  const stored = await journal.history(subjectOf('inventory', 'reservation', orderId));
  return Promise.all(stored.map((message) => readEvent(message, types, parts.personalData)));
}

/** Types of the events, without their package. */
async function typesOf(orderId: string): Promise<string[]> {
  return (await saidOf(orderId)).map(({ type }) => type.split('.').at(-1) ?? '');
}

test('stock is reserved, and leaves when it is shipped; each event names what led to it', async () => {
  const [one, other] = [await itemWith(5), await itemWith(2)];
  const orderId = randomUUID();
  const lines = [
    { sku: one, quantity: 1 },
    { sku: other, quantity: 2 },
    { sku: one, quantity: 2 },
  ];
  const merged = [
    { sku: one, quantity: 3 },
    { sku: other, quantity: 2 },
  ].sort((a, b) => (a.sku < b.sku ? -1 : 1));

  const asked = await say('StockRequested', orderId, { lines });
  await expect.poll(() => typesOf(orderId)).toEqual(['StockReserved']);
  expect([await stockOf(one), await stockOf(other)]).toMatchObject([
    { available: 2, reserved: 3 },
    { available: 0, reserved: 2 },
  ]);
  const shipped = await say('ShipmentDispatched', orderId);
  await expect.poll(() => typesOf(orderId)).toEqual(['StockReserved', 'StockCommitted']);

  expect([await stockOf(one), await stockOf(other)]).toMatchObject([
    { available: 2, reserved: 0 },
    { available: 0, reserved: 0 },
  ]);
  const words = { source: 'inventory', actor: 'inventory', key: orderId, correlationId: `correlation of ${orderId}` };
  expect(await saidOf(orderId)).toMatchObject([
    { ...words, version: 1, causationId: asked, data: { orderId, lines: merged, depletedSkus: [other] } },
    { ...words, version: 2, causationId: shipped, data: { orderId, lines: merged } },
  ]);
});

test('stock that is not there is said to be missing, and the other lines are left to others', async () => {
  const [plenty, few] = [await itemWith(5), await itemWith(2)];
  const orderId = randomUUID();

  await say('StockRequested', orderId, {
    lines: [
      { sku: plenty, quantity: 1 },
      { sku: few, quantity: 3 },
      { sku: 'nobody-knows-it', quantity: 1 },
    ],
  });

  await expect.poll(() => typesOf(orderId)).toEqual(['StockRejected']);
  const [rejected] = await saidOf(orderId);
  expect(rejected?.data).toMatchObject({
    missing: [
      { sku: few, quantity: 3, available: 2n },
      { sku: 'nobody-knows-it', quantity: 1, available: 0n },
    ],
  });
  expect([await stockOf(plenty), await stockOf(few)]).toMatchObject([
    { available: 5, reserved: 0 },
    { available: 2, reserved: 0 },
  ]);
});

test('what is released is available again', async () => {
  const sku = await itemWith(5);
  const orderId = randomUUID();
  await say('StockRequested', orderId, { lines: [{ sku, quantity: 4 }] });

  const asked = await say('StockReleaseRequested', orderId);

  await expect.poll(() => typesOf(orderId)).toEqual(['StockReserved', 'StockReleased']);
  expect((await saidOf(orderId))[1]).toMatchObject({
    version: 2,
    causationId: asked,
    data: { lines: [{ sku, quantity: 4 }] },
  });
  expect(await stockOf(sku)).toMatchObject({ available: 5, reserved: 0 });
});

test('a release before the request says that nothing is reserved, and keeps it so', async () => {
  const sku = await itemWith(5);
  const orderId = randomUUID();

  await say('StockReleaseRequested', orderId);
  await expect.poll(() => typesOf(orderId)).toEqual(['StockReleased']);
  await say('StockRequested', orderId, { lines: [{ sku, quantity: 4 }] });
  await say('StockReleaseRequested', orderId);
  await handledAll();

  expect(await saidOf(orderId)).toMatchObject([{ version: 1, data: { lines: [] } }]);
  expect(await stockOf(sku)).toMatchObject({ available: 5, reserved: 0 });
});

test('a rejected order is released in words, because its fulfilment waits for them', async () => {
  const orderId = randomUUID();
  await say('StockRequested', orderId, { lines: [{ sku: 'nobody-knows-it', quantity: 1 }] });

  await say('StockReleaseRequested', orderId);

  await expect.poll(() => typesOf(orderId)).toEqual(['StockRejected', 'StockReleased']);
  expect((await saidOf(orderId))[1]).toMatchObject({ version: 2, data: { lines: [] } });
});

test('the same requests again change nothing, and nor does a shipment of what is not reserved', async () => {
  const sku = await itemWith(5);
  const [orderId, unknown] = [randomUUID(), randomUUID()];
  const all = async () => {
    await say('StockRequested', orderId, { lines: [{ sku, quantity: 4 }] });
    await expect.poll(() => typesOf(orderId)).toContain('StockReserved');
    await say('ShipmentDispatched', orderId);
    await expect.poll(() => typesOf(orderId)).toContain('StockCommitted');
    await say('StockReleaseRequested', orderId);
    await say('ShipmentDispatched', unknown);
    await handledAll();
  };

  await all();
  await all();

  expect(await typesOf(orderId)).toEqual(['StockReserved', 'StockCommitted']);
  expect(await typesOf(unknown)).toEqual([]);
  expect(await stockOf(sku)).toMatchObject({ available: 1, reserved: 0 });
});

test('500 orders at once for an item with 100 give exactly 100 reservations', async () => {
  const sku = await itemWith(100);
  const orders = Array.from({ length: 500 }, () => randomUUID());

  await Promise.all(orders.map((orderId) => say('StockRequested', orderId, { lines: [{ sku, quantity: 1 }] })));
  await handledAll();

  const said = (await Promise.all(orders.map(saidOf))).flat();
  const reserved = said.filter(({ type }) => type === StockReservedSchema.typeName);
  const rejected = said.filter(({ type }) => type === StockRejectedSchema.typeName);
  expect([said.length, reserved.length, rejected.length]).toEqual([500, 100, 400]);
  expect(
    reserved.filter(({ data }) => (data as unknown as { depletedSkus: string[] }).depletedSkus.length > 0),
  ).toHaveLength(1);
  expect(await stockOf(sku)).toMatchObject({ available: 0, reserved: 100 });
});

test('a service that was away answers what was asked meanwhile, once', async () => {
  const sku = await itemWith(30);
  await service?.stop();
  const orders = Array.from({ length: 20 }, () => randomUUID());
  await Promise.all(orders.map((orderId) => say('StockRequested', orderId, { lines: [{ sku, quantity: 1 }] })));

  service = await start();
  await handledAll();

  expect(await Promise.all(orders.map(typesOf))).toEqual(orders.map(() => ['StockReserved']));
  expect(await stockOf(sku)).toMatchObject({ available: 10, reserved: 20 });
});

test('a database that dies under load and comes back costs nothing: no order is lost, reserved twice or parked', async () => {
  const sku = await itemWith(1_000);
  const orders = Array.from({ length: 300 }, () => randomUUID());
  const ask = async (some: string[]) => {
    await Promise.all(some.map((orderId) => say('StockRequested', orderId, { lines: [{ sku, quantity: 1 }] })));
  };
  await ask(orders.slice(0, 200));
  await expect.poll(async () => (await stockOf(sku))?.reserved).toBeGreaterThan(10);

  await mongodb.kill();
  await ask(orders.slice(200));
  await mongodb.restart();
  await handledAll();

  expect(await Promise.all(orders.map(typesOf))).toEqual(orders.map(() => ['StockReserved']));
  expect(await stockOf(sku)).toMatchObject({ available: 700, reserved: 300 });
  const { state } = await parts.broker.manager.streams.info('DEAD_LETTERS', { subjects_filter: '>' });
  expect(Object.keys(state.subjects ?? {}).filter((subject) => subject.includes('inventory-reserve'))).toEqual([]);
});

test('stock that was lost is made anew from the journal, as it was', async () => {
  const sku = await itemWith(30);
  const [shipped, released, kept] = [randomUUID(), randomUUID(), randomUUID()];
  for (const orderId of [shipped, released, kept]) {
    await say('StockRequested', orderId, { lines: [{ sku, quantity: 4 }] });
    await expect.poll(() => typesOf(orderId)).toEqual(['StockReserved']);
  }
  await say('StockRequested', randomUUID(), { lines: [{ sku, quantity: 400 }] });
  await say('ShipmentDispatched', shipped);
  await say('StockReleaseRequested', released);
  await parts.broker.js.publish(subjectOf('inventory', 'item', 'garbage'), Buffer.from('garbage'));
  await handledAll();
  await service?.stop();
  const { stock, reservations } = stockCollections(parts.db);
  const stands = async () => ({
    stock: (await stock.find().sort({ _id: 1 }).toArray()).map(({ applied, generation, ...rest }) => rest),
    // What is published, and not known to be, is known then.
    reservations: (await reservations.find().sort({ _id: 1 }).toArray()).map(({ _id, status, version }) => ({
      _id,
      status,
      version,
    })),
  });
  const before = await stands();
  await Promise.all([stock.drop(), reservations.drop()]);

  await rebuildStock(parts);

  expect(await stands()).toEqual(before);
  expect(await stockOf(sku)).toMatchObject({ available: 22, reserved: 4 });
  service = await start();
  const next = randomUUID();
  await say('StockReleaseRequested', kept);
  await expect.poll(() => typesOf(kept)).toEqual(['StockReserved', 'StockReleased']);
  await say('StockRequested', next, { lines: [{ sku, quantity: 26 }] });
  await expect.poll(() => typesOf(next)).toEqual(['StockReserved']);
  expect(await stockOf(sku)).toMatchObject({ available: 0, reserved: 26 });
});

/** Until every reaction has handled, and acknowledged, all that there is. */
async function handledAll(): Promise<void> {
  for (const stream of ['FULFILMENT', 'SHIPPING', 'INVENTORY']) {
    await expect
      .poll(async () => {
        const consumers = await Array.fromAsync(parts.broker.manager.consumers.list(stream));
        return consumers
          .filter(({ config }) => config.durable_name !== undefined)
          .reduce((sum, { num_pending, num_ack_pending }) => sum + num_pending + num_ack_pending, 0);
      })
      .toBe(0);
  }
}
