import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { OrderService, type PlaceOrderResponse } from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { StoredMessage } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { journalOf } from '#kit/streams.ts';
import { ownConnection } from '#kit/testing/reacting.ts';
import { ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { anOrder, type Client, clients, connectClient, grpcAs, ordersOf, refusal } from './clients.ts';
import { bearer, nothingFollows, testPlatform } from './platform.ts';

const platform = await testPlatform({ environment: nothingFollows });
const aliceClient = await grpcAs(platform, 'alice');
const alice = ordersOf(aliceClient);
const bob = ordersOf(await grpcAs(platform, 'bob'));
const olga = ordersOf(await grpcAs(platform, 'olga', 'operator'));
const stock = stockOf(await grpcAs(platform, 'olga', 'operator'));
const { placeOrder, cancelOrder } = OrderService.method;
const { getItem, listItems, stockItem } = InventoryService.method;

const differs = { code: 'ALREADY_EXISTS', reason: 'REQUEST_DIFFERS' };

describe('placing an order', () => {
  test('100 times at once with one order id makes one order, one event and one answer', async () => {
    const order = anOrder();
    const both = await clients(platform, 'alice');

    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => (both[index % 2] as Client).call(placeOrder, order)),
    );

    expect(new Set(answers.map(({ orderId, version }) => `${orderId} ${version}`))).toEqual(
      new Set([`${order.orderId} 1`]),
    );
    expect(await eventsOf(order.orderId)).toHaveLength(1);
    expect(positionsOf(answers)).toEqual(positionsOf([answers[0]]));
  });

  test('100 times at once with one request id and no order id makes one order', async () => {
    const requestId = randomUUID();

    const answers = await Promise.all(Array.from({ length: 100 }, () => alice.place({ orderId: '', requestId })));

    const ids = new Set(answers.map(({ orderId }) => orderId));
    expect(ids.size).toBe(1);
    expect(await eventsOf([...ids][0])).toHaveLength(1);
  });

  test('twice with one request id gets the same answer, at both doors', async () => {
    const requestId = randomUUID();
    const other = ordersOf(connectClient(platform, await bearer('alice')));

    const first = await alice.place({ orderId: '', requestId });
    const second = await other.place({ orderId: '', requestId });

    expect(second).toEqual(first);
  });

  test('again after it was cancelled answers as the first time, and does not place it again', async () => {
    const order = { orderId: '', requestId: randomUUID() };
    const first = await alice.place(order);
    await alice.cancel(first.orderId);

    const again = await alice.place(order);

    expect(again).toMatchObject({ orderId: first.orderId, version: 1n });
    expect(again.position?.sequence).toBeGreaterThan(first.position?.sequence ?? 0n);
    expect(await alice.get(first.orderId, again.position)).toMatchObject({ status: OrderStatus.CANCELLED });
  });

  test('with neither order id nor request id is another order each time', async () => {
    const [one, other] = [await alice.place({ orderId: '' }), await alice.place({ orderId: '' })];

    expect(one.orderId).not.toBe(other.orderId);
  });

  test('with the order id in capitals is the same order', async () => {
    const order = anOrder();
    const first = await aliceClient.call(placeOrder, order);

    const second = await aliceClient.call(placeOrder, { ...order, orderId: order.orderId?.toUpperCase() ?? '' });

    expect(second).toEqual(first);
  });

  test('with a known order id and other content is ALREADY_EXISTS', async () => {
    const order = anOrder();
    await aliceClient.call(placeOrder, order);

    for (const changed of [
      { email: 'eve@example.org' },
      { lines: [{ sku: 'coffee-beans', quantity: 3 }] },
      { paymentMethod: 'pm_slow' },
    ]) {
      expect(await refusal(alice.place({ ...order, ...changed }))).toMatchObject(differs);
    }
    expect(await eventsOf(order.orderId)).toHaveLength(1);
  });

  test("with another customer's order id is ALREADY_EXISTS and changes nothing", async () => {
    const { orderId } = await alice.place();

    expect(await refusal(bob.place({ orderId }))).toMatchObject({ code: 'ALREADY_EXISTS' });

    expect(await eventsOf(orderId)).toHaveLength(1);
    expect(await refusal(bob.get(orderId))).toMatchObject({ code: 'NOT_FOUND' });
  });

  test('by two customers with one request id makes two orders', async () => {
    const requestId = randomUUID();

    const [one, other] = await Promise.all([
      alice.place({ orderId: '', requestId }),
      bob.place({ orderId: '', requestId }),
    ]);

    expect(one.orderId).not.toBe(other.orderId);
    expect(await alice.get(one.orderId, one.position)).toMatchObject({ customerId: 'alice' });
    expect(await bob.get(other.orderId, other.position)).toMatchObject({ customerId: 'bob' });
  });

  test('by an operator for a customer is the order that the customer would have placed', async () => {
    const request = { orderId: '', requestId: randomUUID() };

    const placed = await olga.place({ ...request, customerId: 'alice' });

    expect(await alice.get(placed.orderId, placed.position)).toMatchObject({ customerId: 'alice' });
  });

  test('with lines in the same sku adds up, and the total is exact', async () => {
    await stock({ sku: 'third', name: 'A third', unitPrice: { currencyCode: 'EUR', nanos: 333_333_333 }, quantity: 1 });
    const { orderId, position } = await alice.place({
      lines: [
        { sku: 'third', quantity: 3 },
        { sku: 'third', quantity: 1 },
      ],
    });

    expect((await alice.get(orderId, position))?.total).toMatchObject({ units: 1n, nanos: 333_333_332 });
  });

  test('with lines in two currencies is INVALID_ARGUMENT', async () => {
    await stock({ sku: 'dollars', name: 'In dollars', unitPrice: { currencyCode: 'USD', units: 1n }, quantity: 1 });

    const refused = await refusal(
      alice.place({
        lines: [
          { sku: 'dollars', quantity: 1 },
          { sku: 'grinder', quantity: 1 },
        ],
      }),
    );

    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MIXED_CURRENCIES' });
    expect(Object.keys(refused.fields)).toEqual(['lines']);
  });
});

describe('a request id with other content is ALREADY_EXISTS', () => {
  test('when both times the order id is made from it', async () => {
    const requestId = randomUUID();
    await alice.place({ orderId: '', requestId });

    expect(
      await refusal(alice.place({ orderId: '', requestId, lines: [{ sku: 'grinder', quantity: 1 }] })),
    ).toMatchObject(differs);
  });

  test('when the first time the order id was made from it', async () => {
    const requestId = randomUUID();
    const orderId = randomUUID();
    await alice.place({ orderId: '', requestId });

    expect(await refusal(alice.place({ orderId, requestId }))).toMatchObject(differs);
    expect(await eventsOf(orderId)).toEqual([]);
  });

  test('when the first time the order id was given', async () => {
    const requestId = randomUUID();
    await alice.place({ requestId });

    expect(await refusal(alice.place({ orderId: '', requestId }))).toMatchObject(differs);
  });

  test('when each time another order id is given', async () => {
    const requestId = randomUUID();
    const order = anOrder({ requestId });
    const first = await aliceClient.call(placeOrder, order);
    const second = randomUUID();

    expect(await refusal(alice.place({ ...order, orderId: second }))).toMatchObject(differs);
    expect(await eventsOf(second)).toEqual([]);
    expect(await aliceClient.call(placeOrder, order)).toEqual(first);
  });

  test('when a cancel takes the request id of its own order', async () => {
    const requestId = randomUUID();
    const { orderId } = await alice.place({ orderId: '', requestId });

    expect(await refusal(alice.cancel(orderId, requestId))).toMatchObject(differs);
    expect(await eventsOf(orderId)).toHaveLength(1);
  });

  test('when a cancel takes the request id of an order whose id was given', async () => {
    const requestId = randomUUID();
    const { orderId } = await alice.place({ requestId });

    expect(await refusal(alice.cancel(orderId, requestId))).toMatchObject(differs);
    expect(await eventsOf(orderId)).toHaveLength(1);
  });

  test("when a cancel takes another order's request id", async () => {
    const requestId = randomUUID();
    await alice.place({ orderId: '', requestId });
    const { orderId } = await alice.place();

    expect(await refusal(alice.cancel(orderId, requestId))).toMatchObject(differs);
    expect(await eventsOf(orderId)).toHaveLength(1);
  });

  test('when an order takes the request id of a cancel', async () => {
    const requestId = randomUUID();
    const { orderId } = await alice.place();
    await alice.cancel(orderId, requestId);

    expect(await refusal(alice.place({ orderId: '', requestId }))).toMatchObject(differs);
    expect(await refusal(alice.place({ requestId }))).toMatchObject(differs);
  });

  test('when two orders are cancelled with it', async () => {
    const requestId = randomUUID();
    const [one, other] = [await alice.place(), await alice.place()];
    await alice.cancel(one.orderId, requestId);

    expect(await refusal(alice.cancel(other.orderId, requestId))).toMatchObject(differs);
    expect(await eventsOf(other.orderId)).toHaveLength(1);
  });

  test('when one order is cancelled with it for two reasons', async () => {
    const requestId = randomUUID();
    const { orderId } = await alice.place();
    await alice.cancel(orderId, requestId);

    const again = aliceClient.call(cancelOrder, { orderId, requestId, reason: 'another one' });

    expect(await refusal(again)).toMatchObject(differs);
  });
});

describe('cancelling an order', () => {
  test('50 times at once with one request id makes one event, and all get the same answer', async () => {
    const { orderId } = await alice.place();
    const requestId = randomUUID();

    const answers = await Promise.all(Array.from({ length: 50 }, () => alice.cancel(orderId, requestId)));

    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([2n]));
    expect(await eventsOf(orderId)).toHaveLength(2);
  });

  test('50 times at once without a request id makes one event, and all get the same answer', async () => {
    const { orderId } = await alice.place();
    const both = (await clients(platform, 'alice')).map(ordersOf);

    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => (both[index % 2] as typeof alice).cancel(orderId)),
    );

    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([2n]));
    expect(await eventsOf(orderId)).toHaveLength(2);
  });

  test('50 times at once with 50 request ids makes one event, and all get the same answer', async () => {
    const { orderId } = await alice.place();

    const answers = await Promise.all(Array.from({ length: 50 }, () => alice.cancel(orderId, randomUUID())));

    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([2n]));
    expect(await eventsOf(orderId)).toHaveLength(2);
  });

  test('again, also by somebody else who may, changes nothing', async () => {
    const { orderId } = await alice.place();
    const first = await alice.cancel(orderId);

    const again = [await alice.cancel(orderId), await olga.cancel(orderId)];

    for (const each of again) expect(each).toEqual(first);
    expect(await alice.get(orderId, first.position)).toMatchObject({
      status: OrderStatus.CANCELLED,
      version: 2n,
      cancellationReason: 'changed my mind',
    });
  });

  test('that there is not is NOT_FOUND, also where its id stands for a request id that was used', async () => {
    const requestId = randomUUID();
    const byRequest = await alice.place({ orderId: '', requestId: randomUUID() });
    const { orderId } = await alice.place({ requestId });
    const unused = randomUUID();
    for (const id of ['', unused]) {
      const refused = await refusal(alice.cancel(randomUUID(), id));
      expect(refused).toMatchObject({ code: 'NOT_FOUND', reason: 'ORDER_UNKNOWN' });
    }
    // Nothing was stored for it: the request id is as good as before.
    expect(await alice.place({ requestId: unused })).toMatchObject({ version: 1n });

    const noted = (await journalOfOrders()).filter(({ headers }) => headers.get('ce-type').endsWith('.RequestIdUsed'));
    const notes = noted.map(({ headers }) => headers.get('ce-subject'));
    expect(notes.length).toBeGreaterThan(0);
    expect(notes).not.toContain(byRequest.orderId);
    expect(notes).not.toContain(orderId);
    for (const id of notes.slice(-3)) {
      const asked = [alice.cancel(id), alice.get(id), alice.history(id), olga.get(id), olga.history(id)];
      for (const refused of await Promise.all(asked.map(refusal))) {
        expect(refused).toMatchObject({ code: 'NOT_FOUND', reason: 'ORDER_UNKNOWN' });
      }
    }
  });

  test('that was placed by a call just before never misses it', async () => {
    for (let round = 0; round < 20; round++) {
      const { orderId } = await alice.place();
      expect(await alice.cancel(orderId)).toMatchObject({ version: 2n });
    }
  });
});

describe('the catalogue', () => {
  test('an item that is listed can be ordered by the next call', async () => {
    for (let round = 0; round < 10; round++) {
      const sku = `new-${randomUUID()}`;
      await stock({ sku, name: 'Brand new', unitPrice: { currencyCode: 'EUR', units: 7n }, quantity: 1 });

      const { orderId, position } = await alice.place({ lines: [{ sku, quantity: 2 }] });

      expect(await alice.get(orderId, position)).toMatchObject({
        lines: [{ name: 'Brand new' }],
        total: { units: 14n },
      });
    }
  });

  test('an order placed before a price change keeps its price, one placed after it has the new one', async () => {
    const sku = `item-${randomUUID()}`;
    const order = anOrder({ lines: [{ sku, quantity: 1 }] });
    await stock({ sku, name: 'Old name', unitPrice: { currencyCode: 'EUR', units: 10n }, quantity: 5 });
    const before = await aliceClient.call(placeOrder, order);

    await stock({
      sku,
      name: 'New name',
      unitPrice: { currencyCode: 'EUR', units: 12n, nanos: 500_000_000 },
      quantity: 0,
    });

    const placed = async () => {
      const { orderId, position } = await alice.place({ lines: [{ sku, quantity: 1 }] });
      return alice.get(orderId, position);
    };
    // The change comes to orders as an event, a moment after it was acknowledged.
    await expect.poll(placed).toMatchObject({
      lines: [{ name: 'New name', unitPrice: { units: 12n, nanos: 500_000_000 } }],
      total: { units: 12n, nanos: 500_000_000 },
    });
    expect(await aliceClient.call(placeOrder, order)).toEqual(before);
    expect(await alice.get(before.orderId, before.position)).toMatchObject({
      lines: [{ name: 'Old name', unitPrice: { units: 10n, nanos: 0 } }],
      total: { units: 10n, nanos: 0 },
    });
  });

  test('a restock adds to what there is, once per request id', async () => {
    const sku = `item-${randomUUID()}`;
    const requestId = randomUUID();
    await stock({ sku, name: 'Item', unitPrice: { currencyCode: 'EUR', units: 1n }, quantity: 5 });

    const answers = await Promise.all(Array.from({ length: 20 }, () => stock({ sku, quantity: 3, requestId })));

    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([2n]));
    const position = answers[0]?.position;
    expect((await aliceClient.call(getItem, { sku, atLeast: position ? [position] : [] })).item).toMatchObject({
      available: 8n,
      reserved: 0n,
      version: 2n,
      name: 'Item',
    });
    expect(await refusal(stock({ sku, quantity: 4, requestId }))).toMatchObject(differs);
  });

  test('a request id is not used for a second item, and the second is left as it is', async () => {
    const [first, second] = [`item-${randomUUID()}`, `item-${randomUUID()}`];
    const item = { name: 'Item', unitPrice: { currencyCode: 'EUR', units: 1n }, quantity: 5 };
    const requestId = randomUUID();
    await stock({ sku: second, ...item });
    await stock({ sku: first, ...item, requestId });

    expect(await refusal(stock({ sku: second, quantity: 3, requestId }))).toMatchObject(differs);

    expect((await stock({ sku: second, quantity: 0 })).version).toBe(1n);
    expect((await stock({ sku: first, ...item, requestId })).version).toBe(1n);
  });

  test('a request id belongs to its caller: another operator may use the same', async () => {
    const sku = `item-${randomUUID()}`;
    const requestId = randomUUID();
    await stock({ sku, name: 'Item', unitPrice: { currencyCode: 'EUR', units: 1n }, quantity: 5, requestId });

    expect((await stockOf(await grpcAs(platform, 'otto', 'operator'))({ sku, quantity: 3, requestId })).version).toBe(
      2n,
    );
  });

  test('restocks at the same time all count', async () => {
    const sku = `item-${randomUUID()}`;
    await stock({ sku, name: 'Item', unitPrice: { currencyCode: 'EUR', units: 1n }, quantity: 0 });

    const answers = await Promise.allSettled(
      Array.from({ length: 30 }, () => stock({ sku, quantity: 1, requestId: randomUUID() })),
    );

    const done = answers.filter(({ status }) => status === 'fulfilled').length;
    for (const answer of answers) {
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'ABORTED', reason: 'CONTENTION' });
    }
    const last = await stock({ sku, quantity: 1 });
    expect(last.version).toBe(BigInt(done + 2));
    const { item } = await aliceClient.call(getItem, { sku, atLeast: last.position ? [last.position] : [] });
    expect(item?.available).toBe(BigInt(done + 1));
  });

  test('what changes nothing makes no event', async () => {
    const answers = [
      await stock({ sku: 'espresso-cup', quantity: 0 }),
      await stock({ sku: 'espresso-cup', name: 'Espresso cup', quantity: 0 }),
    ];

    expect(answers.map(({ version }) => version)).toEqual([1n, 1n]);
  });

  test('a new item needs a name and a price, and says which is missing', async () => {
    const sku = `item-${randomUUID()}`;
    const unitPrice = { currencyCode: 'EUR', units: 1n };

    const [noName, noPrice] = [
      await refusal(stock({ sku, unitPrice, quantity: 1 })),
      await refusal(stock({ sku, name: 'Item', quantity: 1 })),
    ];

    expect(noName).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ITEM_INCOMPLETE' });
    expect(Object.keys(noName.fields)).toEqual(['name']);
    expect(Object.keys(noPrice.fields)).toEqual(['unit_price']);
  });

  test('is listed by sku, page by page, each item once', async () => {
    const skus = async (pageSize: number) => {
      const found: string[] = [];
      let pageToken = '';
      do {
        const page = await aliceClient.call(listItems, { pageSize, pageToken });
        expect(page.items.length).toBeLessThanOrEqual(pageSize);
        found.push(...page.items.map(({ sku }) => sku));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      return found;
    };

    const inPages = await skus(3);

    expect(inPages).toEqual(await skus(100));
    expect(inPages).toEqual([...new Set(inPages)].sort());
    expect(inPages).toEqual(
      expect.arrayContaining(['coffee-beans', 'espresso-cup', 'grinder', 'last-one', 'sold-out']),
    );
  });
});

test('the sample items are there at the first start, once after the second, and keep what was changed', async () => {
  const nats = await ownNats();
  const mongodbUri = sharedMongoUri();
  const items = async (client: Client) => (await client.call(listItems, {})).items;
  const first = await testPlatform({ nats, mongodbUri, environment: nothingFollows });
  const operator = await grpcAs(first, 'olga', 'operator');
  await expect
    .poll(async () => (await items(operator)).map(({ sku, available }) => [sku, available]))
    .toEqual([
      ['coffee-beans', 1_000_000n],
      ['espresso-cup', 1_000_000n],
      ['grinder', 1_000_000n],
      ['last-one', 1n],
      ['sold-out', 0n],
    ]);
  const { position } = await stockOf(operator)({
    sku: 'last-one',
    unitPrice: { currencyCode: 'EUR', units: 120n },
    quantity: 4,
  });
  await operator.call(getItem, { sku: 'last-one', atLeast: position ? [position] : [] });
  const before = await items(operator);
  await first.stop();

  const second = await testPlatform({ nats, mongodbUri, environment: nothingFollows });

  const after = await items(await grpcAs(second, 'alice'));
  expect(after).toEqual(before);
  expect(after[3]).toMatchObject({ sku: 'last-one', available: 5n, unitPrice: { units: 120n }, version: 2n });
  const again = ordersOf(await grpcAs(second, 'alice'));
  const { orderId, position: at } = await again.place({ lines: [{ sku: 'last-one', quantity: 1 }] });
  expect(await again.get(orderId, at)).toMatchObject({ total: { units: 120n } });
});

type StockItem = Parameters<typeof aliceClient.call<typeof stockItem.input, typeof stockItem.output>>[1];

function stockOf(client: Client) {
  return (request: StockItem) => client.call(stockItem, request);
}

/** What the journal holds of an order. */
async function eventsOf(orderId: string | undefined): Promise<StoredMessage[]> {
  const broker = await ownConnection(platform.nats.url);
  return new Journal(journalOf('orders'), broker).history(subjectOf('orders', 'order', orderId ?? ''));
}

/** All that the journal holds. */
async function journalOfOrders(): Promise<StoredMessage[]> {
  const broker = await ownConnection(platform.nats.url);
  return new Journal(journalOf('orders'), broker).history('orders.event.>');
}

function positionsOf(answers: readonly (PlaceOrderResponse | undefined)[]): Set<bigint | undefined> {
  return new Set(answers.map((answer) => answer?.position?.sequence));
}
