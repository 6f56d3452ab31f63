import { expect, onTestFinished, test } from 'vitest';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { connectDatabase } from '#kit/database.ts';
import { sharedMongoUri } from '#kit/testing/servers.ts';
import { collectionOf, type Stored } from '#kit/view.ts';
import { readerOf } from '#kit/view-reader.ts';
import { listOrders, type OrderFilter } from './order-queries.ts';
import { type OrderDocument, ordersView } from './orders-view.ts';

const anyOrder: OrderFilter = {};

/** 60 orders of two customers, three of each moment, some cancelled; ids say nothing of the time. */
async function filledView() {
  const { db, close } = connectDatabase(sharedMongoUri(), 'orders');
  onTestFinished(close);
  const collection = db.collection<Stored<OrderDocument>>(collectionOf(ordersView));
  await collection.createIndexes([...(ordersView.indexes ?? [])]);
  const orders = Array.from({ length: 60 }, (_, number) => ({
    _id: `o-${String((number * 37) % 60).padStart(2, '0')}`,
    customerId: number % 4 === 0 ? 'bert' : 'anna',
    status: number % 5 === 0 ? OrderStatus.CANCELLED : OrderStatus.PLACED,
    emailKey: number % 3 === 0 ? 'office@example.com' : 'me@example.com',
    correlationId: `call-${Math.floor(number / 12)}`,
    placedAt: new Date(1_000_000 + Math.floor(number / 3)),
    revision: 1,
  }));
  await collection.insertMany([...orders].sort(() => Math.random() - 0.5) as never);
  await collection.insertOne({ _id: 'checkpoint:0', positions: {}, generation: 1, owner: '' } as never);
  const view = readerOf(collection);
  const newestFirst = orders.toSorted(
    (one, other) => other.placedAt.getTime() - one.placedAt.getTime() || (other._id < one._id ? -1 : 1),
  );

  /** The ids on all pages. */
  async function pages(filter: OrderFilter, pageSize: number): Promise<string[][]> {
    const found: string[][] = [];
    let token = '';
    do {
      const page = await listOrders(view, filter, pageSize, token);
      found.push(page.orders.map(({ _id }) => _id));
      token = page.nextPageToken;
    } while (token !== '' && found.length < 100);
    return found;
  }
  return { view, collection, newestFirst, pages };
}

test('every order is on one page, the newest first, also where several are of the same moment', async () => {
  const { newestFirst, pages } = await filledView();
  for (const pageSize of [1, 7, 20, 59, 60, 61]) {
    const found = await pages(anyOrder, pageSize);
    expect(found.flat()).toEqual(newestFirst.map(({ _id }) => _id));
    expect(found).toHaveLength(Math.ceil(60 / pageSize));
  }
});

test('a page of large orders ends before it is too large for an answer, and the next one goes on', async () => {
  const { collection, newestFirst, pages } = await filledView();
  const large = Array.from({ length: 100 }, () => ({ sku: 'coffee-beans', name: '\u{1F600}'.repeat(200) }));
  await collection.updateMany({ revision: 1 }, { $set: { lines: large } } as never);

  const found = await pages(anyOrder, 60);

  expect(found.flat()).toEqual(newestFirst.map(({ _id }) => _id));
  // 60 orders of more than 80,000 bytes each.
  expect(found.length).toBeGreaterThanOrEqual(3);
  for (const page of found) expect(page.length * 80_000).toBeLessThan(2_100_000);
});

test('an order that is larger than a page may be is on one by itself', async () => {
  const { collection, pages } = await filledView();
  const huge = { customerId: 'carl', cancellationReason: 'x'.repeat(3_000_000) };
  await collection.updateMany({ _id: { $in: ['o-01', 'o-02', 'o-03'] } }, { $set: huge } as never);

  const found = await pages({ customerId: 'carl' }, 60);

  expect(found.map(({ length }) => length)).toEqual([1, 1, 1]);
});

test('a list has only what it was asked for, whatever is asked for together', async () => {
  const { newestFirst, pages } = await filledView();
  const choices = {
    customerId: ['bert', 'nobody', undefined],
    status: [OrderStatus.CANCELLED, undefined],
    email: ['Office@Example.com', undefined],
    correlationId: ['call-2', undefined],
  };
  const filters = choices.customerId.flatMap((customerId) =>
    choices.status.flatMap((status) =>
      choices.email.flatMap((email) =>
        choices.correlationId.map((correlationId) => ({ customerId, status, email, correlationId })),
      ),
    ),
  );
  for (const { customerId, status, email, correlationId } of filters) {
    const wanted = newestFirst.filter(
      (order) =>
        order.customerId === (customerId ?? order.customerId) &&
        order.status === (status ?? order.status) &&
        order.emailKey === (email?.toLowerCase() ?? order.emailKey) &&
        order.correlationId === (correlationId ?? order.correlationId),
    );
    const filter = {
      ...(customerId === undefined ? {} : { customerId }),
      ...(status === undefined ? {} : { status }),
      ...(email === undefined ? {} : { email }),
      ...(correlationId === undefined ? {} : { correlationId }),
    };
    expect((await pages(filter, 4)).flat()).toEqual(wanted.map(({ _id }) => _id));
  }
});

test('an order that is placed while somebody turns pages is not on the later ones, and pushes none out', async () => {
  const { view, collection, newestFirst } = await filledView();
  const first = await listOrders(view, anyOrder, 30, '');
  const late = { _id: 'o-99', customerId: 'anna', status: OrderStatus.PLACED, placedAt: new Date(), revision: 1 };
  await collection.insertOne(late as never);
  const second = await listOrders(view, anyOrder, 30, first.nextPageToken);
  expect([...first.orders, ...second.orders].map(({ _id }) => _id)).toEqual(newestFirst.map(({ _id }) => _id));
});

test('what is no token of a page is the fault of that field', async () => {
  const { view } = await filledView();
  for (const token of ['nonsense', Buffer.from('yesterday o-1').toString('base64url')]) {
    await expect(listOrders(view, anyOrder, 10, token)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { violations: [{ field: 'page_token' }] },
    });
  }
});
