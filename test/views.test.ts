import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { MongoClient } from 'mongodb';
import { describe, expect, test, vi } from 'vitest';
import { type Position, PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { databaseName } from '#kit/database.ts';
import { CommandHandler } from '#kit/decider.ts';
import { Journal } from '#kit/journal.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import { ownConnection } from '#kit/testing/reacting.ts';
import { openTestParts } from '#kit/testing/servers.ts';
import { orderAggregate, ordersJournal } from '../services/orders/adapters/order-aggregate.ts';
import type { OrderCommand } from '../services/orders/domain/order.ts';
import { type Client, clients, grpcAs, latestOf, ordersOf, refusal } from './clients.ts';
import { nothingFollows, testPlatform } from './platform.ts';

// The key of the parts below, with which the test does what other services would lead to: confirm, ship, complete.
const PERSONAL_DATA_KEY = Buffer.alloc(32, 7).toString('hex');
const platform = await testPlatform({ environment: { ...nothingFollows, PERSONAL_DATA_KEY } });
const parts = await openTestParts('orders', { natsUrl: platform.nats.url, mongodbUri: platform.mongodbUri });
const commands = new CommandHandler(new Journal(ordersJournal, parts.broker), orderAggregate, parts.personalData);
const atBothDoors = await clients(platform, 'alice');
const alice = ordersOf(await grpcAs(platform, 'alice'));
const olgaClient = await grpcAs(platform, 'olga', 'operator');
const olga = ordersOf(olgaClient);
const { getOrder, getOrderHistory, listOrders } = OrderService.method;
const { getItem, stockItem } = InventoryService.method;

describe('a customer reads what it wrote', () => {
  test('always, in every query that is given the position of its command', async () => {
    const both = (await clients(platform, 'reader')).map(ordersOf);
    for (let round = 0; round < 25; round++) {
      for (const orders of both) {
        const placed = await orders.place();
        const { orderId } = placed;
        expect(await orders.get(orderId, placed.position)).toMatchObject({ status: OrderStatus.PLACED, version: 1n });
        const cancelled = await orders.cancel(orderId);
        const atLeast = [placed.position, cancelled.position].filter((each) => each !== undefined);
        const [history, page, order] = await Promise.all([
          orders.history(orderId, ...atLeast),
          orders.list({ atLeast }),
          orders.get(orderId, ...atLeast),
        ]);
        expect(history.map(({ type }) => type)).toEqual([
          'causeway.orders.v1.OrderPlaced',
          'causeway.orders.v1.OrderCancelled',
        ]);
        expect(page.orders[0]).toMatchObject({ orderId, status: OrderStatus.CANCELLED });
        expect(order).toMatchObject({ status: OrderStatus.CANCELLED, version: 2n });
      }
    }
  });

  test('also with many at once', async () => {
    const read = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const { orderId, position } = await alice.place();
        return (await alice.get(orderId, position))?.orderId === orderId;
      }),
    );

    expect(read.every(Boolean)).toBe(true);
  });
});

describe.each(atBothDoors)('a position, at the $door door,', (client) => {
  const asked = async (position: () => Promise<Omit<Position, '$typeName'>>) => {
    const good = (await alice.place()).position;
    const atLeast = [good, create(PositionSchema, await position())].filter((each) => each !== undefined);
    return Promise.all([
      refusal(client.call(listOrders, { atLeast })),
      refusal(client.call(getOrder, { orderId: randomUUID(), atLeast })),
      refusal(client.call(getOrderHistory, { orderId: randomUUID(), atLeast })),
    ]);
  };

  test.each([
    ['of a stream that there is not', async () => ({ stream: 'PARCELS', partition: 1, sequence: 1n })],
    ['from the future', async () => ({ stream: 'ORDERS', partition: 1, sequence: 1_000_000_000n })],
    ['from beyond all numbers', async () => ({ stream: 'ORDERS', partition: 1, sequence: 2n ** 64n - 1n })],
    [
      'in another partition than it says',
      async () => {
        const { position } = await alice.place();
        return {
          stream: 'ORDERS',
          partition: ((position?.partition ?? 0) + 1) % 8,
          sequence: position?.sequence ?? 0n,
        };
      },
    ],
  ])('%s is INVALID_ARGUMENT and named by its place', async (_, position) => {
    const refused = await asked(position);

    for (const each of refused) {
      expect([each.code, ...Object.keys(each.fields)]).toEqual(['INVALID_ARGUMENT', 'at_least[1]']);
    }
  });

  test('of another journal is INVALID_ARGUMENT where the view is not made from it, and good where it is', async () => {
    const { position } = await olgaClient.call(stockItem, { sku: 'coffee-beans', quantity: 1 });
    const { orderId, position: placed } = await alice.place();
    const atLeast = [placed, position].filter((each) => each !== undefined);

    const refused = await refusal(client.call(getOrder, { orderId, atLeast }));

    expect([refused.code, ...Object.keys(refused.fields)]).toEqual(['INVALID_ARGUMENT', 'at_least[1]']);
    expect((await client.call(getOrderHistory, { orderId, atLeast })).events).toHaveLength(1);
  });
});

describe('a list of orders', () => {
  test('has each order once, the newest first, whatever the size of its pages', async () => {
    const pager = ordersOf(await grpcAs(platform, 'pager'));
    const placed: string[] = [];
    const positions: (Position | undefined)[] = [];
    for (let number = 0; number < 23; number++) {
      const { orderId, position } = await pager.place();
      placed.unshift(orderId);
      positions.push(position);
    }
    const cancelled = placed.filter((_, index) => index % 3 === 0);
    for (const orderId of cancelled) positions.push((await pager.cancel(orderId)).position);
    const atLeast = latestOf(positions);
    await pager.list({ atLeast });

    for (const pageSize of [1, 5, 22, 23, 100]) {
      const pages = await allPages(pager, { pageSize });
      expect(pages.every((page) => page.length <= pageSize)).toBe(true);
      // Those of one millisecond stand in the order of their ids.
      expect([...pages.flat()].sort()).toEqual([...placed].sort());
      const times = pages.flat(1).map((id) => placed.indexOf(id));
      expect(new Set(times).size).toBe(placed.length);
    }
    const orders = (await pager.list({ pageSize: 100 })).orders;
    const times = orders.map(({ placedAt }) => Number(placedAt?.seconds) * 1e3 + (placedAt?.nanos ?? 0) / 1e6);
    expect(times).toEqual(times.toSorted((one, other) => other - one));
    expect((await pager.list()).orders).toHaveLength(20);
    const ofStatus = async (status: OrderStatus) => (await allPages(pager, { pageSize: 4, status })).flat().sort();
    expect(await ofStatus(OrderStatus.CANCELLED)).toEqual(cancelled.toSorted());
    expect(await ofStatus(OrderStatus.PLACED)).toEqual(placed.filter((id) => !cancelled.includes(id)).sort());
    expect(await ofStatus(OrderStatus.SHIPPED)).toEqual([]);
  });

  test('goes on where it was while orders are added', async () => {
    const pager = ordersOf(await grpcAs(platform, 'adder'));
    const before = new Set<string>();
    const positions: (Position | undefined)[] = [];
    const add = async () => {
      const { orderId, position } = await pager.place();
      positions.push(position);
      return orderId;
    };
    for (let number = 0; number < 10; number++) before.add(await add());
    const first = await pager.list({ pageSize: 3, atLeast: latestOf(positions) });

    const added = new Set<string>();
    const found = first.orders.map(({ orderId }) => orderId);
    for (let pageToken = first.nextPageToken; pageToken !== ''; ) {
      added.add(await add());
      const page = await pager.list({ pageSize: 3, pageToken, atLeast: latestOf(positions) });
      found.push(...page.orders.map(({ orderId }) => orderId));
      pageToken = page.nextPageToken;
    }

    expect(added.size).toBeGreaterThan(2);
    expect(found).toHaveLength(10);
    expect(new Set(found)).toEqual(before);
  });

  test("shows a customer its own, and an operator everybody's or one customer's", async () => {
    const [carol, dave] = [ordersOf(await grpcAs(platform, 'carol')), ordersOf(await grpcAs(platform, 'dave'))];
    const hers = await carol.place();
    const his = await dave.place();
    const atLeast = latestOf([hers.position, his.position]);
    const ids = async (orders: typeof olga, fields = {}) =>
      (await orders.list({ atLeast, ...fields })).orders.map(({ orderId }) => orderId);

    expect(await ids(carol)).toEqual([hers.orderId]);
    expect(await ids(carol, { customerId: 'carol' })).toEqual([hers.orderId]);
    expect(await ids(olga, { customerId: 'dave' })).toEqual([his.orderId]);
    expect(await ids(olga, { pageSize: 2 })).toEqual(expect.arrayContaining([hers.orderId, his.orderId]));
    expect(await ids(olga, { customerId: 'nobody' })).toEqual([]);
  });
});

describe('who watches an order', () => {
  test.each(atBothDoors)('sees its history, then each event once and in order, at the $door door', async (client) => {
    const orders = Array.from({ length: 8 }, () => randomUUID());

    const seen = await Promise.all(
      orders.map(async (orderId, index) => {
        await alice.place({ orderId });
        const watchers = [watching(client, orderId, 4)];
        const steps: OrderCommand[] = [
          { type: 'ConfirmOrder', orderId },
          { type: 'ShipOrder', orderId, trackingNumber: 'T1' },
          { type: 'CompleteOrder', orderId },
        ];
        for (const [step, command] of steps.entries()) {
          // Some begin at once, some while it goes on, and some when all has happened.
          if (index % 4 === step) watchers.push(watching(client, orderId, 4));
          await commands.handle({ ...background, key: orderId, command });
        }
        if (index % 4 === 3) watchers.push(watching(client, orderId, 4));
        return Promise.all(watchers);
      }),
    );

    const all = ['1 OrderPlaced', '2 OrderConfirmed', '3 OrderShipped', '4 OrderCompleted'];
    for (const each of seen) expect(each).toEqual([all, all]);
  });

  test('sees nothing of other orders, and what it sees is what the history says', async () => {
    const { orderId } = await alice.place();
    const stop = new AbortController();
    const events = alice.watch(orderId, { signal: stop.signal })[Symbol.asyncIterator]();
    const first = await events.next();
    const next = events.next();
    for (let number = 0; number < 20; number++) await alice.place();

    const { position } = await alice.cancel(orderId);

    const watched = [first.value?.event, (await next).value?.event];
    expect(watched).toEqual(await alice.history(orderId, position));
    stop.abort();
  });
});

describe('a view that is dropped by hand', () => {
  test.each([
    ['orders_v2', (id: string, at: Position | undefined) => alice.get(id, at)],
    ['history_v3', async (id: string, at: Position | undefined) => (await alice.history(id, at))[0]],
  ])('%s: is whole again, and so are queries right after it', async (name, read) => {
    const placed = await Promise.all(Array.from({ length: 30 }, () => alice.place()));
    const before = await Promise.all(placed.map(({ orderId, position }) => read(orderId, position)));

    await drop(name);
    const after = await alice.place();

    expect(await read(after.orderId, after.position)).toBeDefined();
    // Those that are asked for with their position are waited for.
    expect(await Promise.all(placed.map(({ orderId, position }) => read(orderId, position)))).toEqual(before);
  });

  test('while orders are placed, loses none of them', async () => {
    const dropping = (async () => {
      for (const name of ['orders_v2', 'history_v3', 'orders_v2']) await drop(name);
    })();
    const placed = await Promise.all(Array.from({ length: 100 }, () => alice.place()));
    await dropping;

    for (const { orderId, position } of placed) {
      expect(await alice.get(orderId, position)).toMatchObject({ orderId });
      expect(await alice.history(orderId, position)).toHaveLength(1);
    }
  });
});

describe('a message in a journal that is no event', () => {
  const named = (type: string) => {
    const head = headers();
    head.set('ce-type', type);
    head.set('ce-id', randomUUID());
    head.set('ce-version', '1');
    head.set('ce-time', new Date().toISOString());
    return head;
  };

  test.each([
    ['without any headers', undefined],
    ['of a type that there is not', named('causeway.parcels.v1.ParcelSent')],
    ['that says it is an order', named('causeway.orders.v1.OrderPlaced')],
  ])('%s is parked and named, and the others go on', async (_, head) => {
    const broker = await ownConnection(platform.nats.url);
    const orderId = randomUUID();
    const subject = subjectOf('orders', 'order', orderId);

    const { seq } = await broker.js.publish(
      subject,
      Buffer.from([0x0a, 0xff]),
      head === undefined ? {} : { headers: head },
    );

    const neighbours = await Promise.all(
      Array.from({ length: 20 }, () => alice.place({ orderId: keyInPartition(partitionOf(orderId)) })),
    );
    for (const { orderId: other, position } of neighbours) {
      expect(await alice.get(other, position)).toMatchObject({ orderId: other });
      expect(await alice.history(other, position)).toHaveLength(1);
    }
    for (const consumer of ['orders-orders_v2', 'orders-history_v3']) {
      const letter = await parkedIn(consumer, orderId);
      expect(letter?.data).toEqual(new Uint8Array([0x0a, 0xff]));
      expect(letter?.headers.get('Causeway-Dead-Reason')).toBe('CANNOT_DECODE');
      expect(letter?.headers.get('Causeway-Dead-Sequence')).toBe(String(seq));
      expect(letter?.headers.get('Causeway-Dead-Subject')).toBe(subject);
    }
    expect(await refusal(alice.get(orderId))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await refusal(alice.place({ orderId }))).toMatchObject({ code: 'INTERNAL', message: 'internal error' });
  });

  test('in the middle of an order leaves it as it was before', async () => {
    const { orderId, position } = await alice.place();
    await alice.get(orderId, position);
    const broker = await ownConnection(platform.nats.url);

    await broker.js.publish(subjectOf('orders', 'order', orderId), Buffer.from('garbage'));

    await expect.poll(() => parkedIn('orders-orders_v2', orderId)).toBeDefined();
    expect(await alice.get(orderId)).toMatchObject({ version: 1n, status: OrderStatus.PLACED });
    expect(await refusal(alice.cancel(orderId))).toMatchObject({ code: 'INTERNAL' });
  });

  test('in the catalogue is parked there too, and its other items can be stocked and ordered', async () => {
    const broker = await ownConnection(platform.nats.url);
    await broker.js.publish(subjectOf('inventory', 'item', 'broken'), Buffer.from([0xff]), {
      headers: named('causeway.inventory.v1.ItemListed'),
    });

    const unitPrice = { currencyCode: 'EUR', units: 3n };
    const stocked = await olgaClient.call(stockItem, { sku: 'whole', name: 'Whole', unitPrice, quantity: 1 });
    const { orderId, position } = await alice.place({ lines: [{ sku: 'whole', quantity: 1 }] });

    expect(await alice.get(orderId, position)).toMatchObject({ total: { units: 3n } });
    const { item } = await olgaClient.call(getItem, { sku: 'whole', atLeast: latestOf([stocked.position]) });
    expect(item).toMatchObject({ available: 1n });
    for (const consumer of ['inventory-items_v2', 'orders-catalogue_v1']) {
      await expect.poll(() => parkedIn(consumer, 'broken')).toBeDefined();
    }
  });
});

test('an event that is delivered again and late changes nothing', async () => {
  const { orderId, position } = await alice.place();
  const cancelled = await alice.cancel(orderId);
  const before = [await alice.get(orderId, cancelled.position), await alice.history(orderId, cancelled.position)];

  for (const name of ['orders_v2', 'history_v3']) {
    await parts.broker.manager.consumers.reset(
      'ORDERS',
      `orders-${name}-${position?.partition}`,
      Number(position?.sequence),
    );
  }
  const later = await alice.place({ orderId: keyInPartition(position?.partition ?? 0) });
  await alice.get(later.orderId, later.position);
  await alice.history(later.orderId, later.position);

  expect([await alice.get(orderId), await alice.history(orderId)]).toEqual(before);
});

test('no byte of any stream shows whose order it is: no e-mail, no name, no address', async () => {
  const secrets = ['zelda.quist@example.net', 'Zelda Quist', 'Wharf Nineteen', 'Loft Twelve', 'Ballycastle', 'QX7 9ZZ'];
  const [email = '', name = '', line1 = '', line2 = '', city = '', postalCode = ''] = secrets;
  const zelda = ordersOf(await grpcAs(platform, 'customer-26'));
  const placed = await Promise.all(
    Array.from({ length: 5 }, (_, index) =>
      zelda.place({
        ...(index === 0 ? { orderId: '' } : {}),
        requestId: randomUUID(),
        email,
        shipTo: { name, line1, line2, city, postalCode, countryCode: 'IE' },
      }),
    ),
  );
  for (const { orderId, position } of placed) await zelda.get(orderId, position);
  await zelda.cancel(placed[0]?.orderId ?? '', randomUUID());
  await parts.broker.js.publish(subjectOf('orders', 'order', randomUUID()), Buffer.from('nothing'));
  expect(await zelda.get(placed[1]?.orderId ?? '')).toMatchObject({ email, shipTo: { name, line1, line2, city } });

  const bytes = await everyByte(platform.nats.url);

  expect(bytes).toContain(placed[0]?.orderId);
  expect(bytes).toContain('customer-26');
  for (const secret of secrets) {
    expect(bytes.toLowerCase()).not.toContain(secret.toLowerCase());
    // Nor as what a part of an encoding would show.
    for (const offset of [0, 1, 2]) {
      const inside = Buffer.from(secret).subarray(offset).toString('base64').replace(/=+$/, '').slice(0, -1);
      expect(bytes).not.toContain(inside);
    }
  }
});

const background = {
  caller: 'test',
  requestId: '',
  content: new Uint8Array(),
  correlationId: 'test',
  causationId: 'test',
  dataOwner: 'alice',
};

/** The first events that a watcher sees. */
async function watching(client: Client, orderId: string, count: number): Promise<string[]> {
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const { event } of ordersOf(client).watch(orderId, { signal: stop.signal })) {
    seen.push(`${event?.version} ${event?.type.split('.').at(-1)}`);
    if (seen.length === count) break;
  }
  stop.abort();
  return seen;
}

async function allPages(orders: typeof alice, fields: { pageSize: number; status?: OrderStatus }): Promise<string[][]> {
  const pages: string[][] = [];
  let pageToken = '';
  do {
    const page = await orders.list({ ...fields, pageToken });
    pages.push(page.orders.map(({ orderId }) => orderId));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return pages;
}

function keyInPartition(partition: number): string {
  for (;;) {
    const key = randomUUID();
    if (partitionOf(key) === partition) return key;
  }
}

async function drop(collection: string): Promise<void> {
  const client = new MongoClient(platform.mongodbUri);
  const db = client.db(databaseName(platform.mongodbUri, 'orders'));
  // Dropped a moment ago, it may not be there again.
  await vi.waitFor(() => db.dropCollection(collection), { timeout: 10_000 });
  await client.close();
}

async function parkedIn(consumer: string, key: string) {
  const letters = new Journal({ service: 'dead', stream: 'DEAD_LETTERS', maxBytes: 0 }, parts.broker);
  return letters.lastOnLeader(`dead.${consumer}.${partitionOf(key)}.${key}`);
}

/** Everything that the broker stores, as text: subjects, headers, bodies, and what is base64 in them decoded. */
async function everyByte(url: string): Promise<string> {
  const { manager } = await ownConnection(url);
  const found: string[] = [];
  for await (const { config, state } of manager.streams.list()) {
    for (let seq = Math.max(state.first_seq, 1); seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(config.name, { seq });
      if (message === null) continue;
      found.push(message.subject, Buffer.from(message.data).toString('latin1'), Buffer.from(message.data).toString());
      if (message.header === undefined) continue;
      for (const name of message.header.keys()) {
        for (const value of message.header.values(name)) {
          found.push(name, value, decodeURIComponent(value.replaceAll(/%(?![0-9a-f]{2})/gi, '%25')));
          found.push(Buffer.from(value, 'base64').toString('latin1'), Buffer.from(value, 'base64').toString());
        }
      }
    }
  }
  return found.join('\n');
}
