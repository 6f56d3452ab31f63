import { BSON, type Filter, type FindCursor } from 'mongodb';
import type { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { invalid } from '#kit/errors.ts';
import type { Stored } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';
import { emailKey, type OrderDocument } from './orders-view.ts';

/** What is left out: any. */
export type OrderFilter = { customerId?: string; status?: OrderStatus; email?: string; correlationId?: string };

/**
 * Clients read answers of up to 4 MB, and a hundred of the largest orders have 9. A page ends before it is that large,
 * and goes on with the next one.
 */
const MAX_PAGE_BYTES = 2 * 1024 ** 2;
/** Documents that are read at a time: most pages are one read, and the largest does not read much for nothing. */
const READ_AT_A_TIME = 32;

/** A page of orders, the newest first, and the token of the next page; empty after the last. */
export async function listOrders(
  { query }: ViewReader<OrderDocument>,
  filter: OrderFilter,
  pageSize: number,
  pageToken: string,
): Promise<{ orders: Stored<OrderDocument>[]; nextPageToken: string }> {
  const wanted = {
    ...conditions(filter),
    // Checkpoints stand in the same collection, and have no revision.
    revision: { $gte: 1 },
    ...(pageToken === '' ? {} : after(pageToken)),
  } as Filter<Stored<OrderDocument>>;
  const { orders, isLast } = await query((documents) => {
    const found = documents.find(wanted).sort({ placedAt: -1, _id: -1 });
    return onePage(found.limit(pageSize + 1).batchSize(READ_AT_A_TIME) as Orders, pageSize);
  });
  const last = orders.at(-1);
  return { orders, nextPageToken: isLast || last === undefined ? '' : tokenOf(last) };
}

/**
 * Each filter, and each that they make together, has an index in the order of a list. With a correlation id one index is
 * enough: what it finds is looked through for the rest, which therefore stands where no index is looked for.
 */
function conditions({ correlationId, email, customerId, status }: OrderFilter): Filter<OrderDocument> {
  const others = {
    ...(customerId === undefined ? {} : { customerId }),
    ...(email === undefined ? {} : { emailKey: emailKey(email) }),
    ...(status === undefined ? {} : { status }),
  };
  return correlationId === undefined ? others : { correlationId, ...beside(others) };
}

function beside(others: Filter<OrderDocument>): Filter<OrderDocument> {
  return Object.keys(others).length === 0 ? {} : { $and: [{ $or: [others] }] };
}

type Orders = FindCursor<Stored<OrderDocument>>;

/** The first orders, as many as fit on a page; one at least. */
async function onePage(found: Orders, pageSize: number) {
  const orders: Stored<OrderDocument>[] = [];
  let bytes = 0;
  for await (const order of found) {
    bytes += BSON.calculateObjectSize(order);
    if (orders.length === pageSize || (orders.length > 0 && bytes > MAX_PAGE_BYTES)) return { orders, isLast: false };
    orders.push(order);
  }
  return { orders, isLast: true };
}

function tokenOf({ placedAt, _id }: Stored<OrderDocument>): string {
  return Buffer.from(`${placedAt.getTime()} ${_id}`).toString('base64url');
}

function after(token: string) {
  const [time, id] = Buffer.from(token, 'base64url').toString().split(' ');
  const placedAt = new Date(Number(time));
  if (id === undefined || Number.isNaN(placedAt.getTime())) throw invalid('page_token', 'is not a token of this list');
  // The first condition says nothing new, but where an index has to begin.
  return { placedAt: { $lte: placedAt }, $or: [{ placedAt: { $lt: placedAt } }, { _id: { $lt: id } }] };
}
