import type { Filter } from 'mongodb';
import type { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { queried } from '#kit/database.ts';
import { invalid } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import type { Stored } from '#kit/view.ts';
import type { OrderDocument } from './orders-view.ts';

type OrdersProjection = Projection<OrderDocument>;

export type OrderFilter = { customerId: string | undefined; status: OrderStatus | undefined };

/** A page of orders, the newest first, and the token of the next page; empty after the last. */
export async function listOrders(
  { collection }: OrdersProjection,
  { customerId, status }: OrderFilter,
  pageSize: number,
  pageToken: string,
): Promise<{ orders: Stored<OrderDocument>[]; nextPageToken: string }> {
  const filter = {
    ...(customerId === undefined ? {} : { customerId }),
    ...(status === undefined ? {} : { status }),
    // Checkpoints stand in the same collection, and have no revision.
    revision: { $gte: 1 },
    ...(pageToken === '' ? {} : after(pageToken)),
  } as Filter<Stored<OrderDocument>>;
  const page = collection
    .find(filter)
    .sort({ placedAt: -1, _id: -1 })
    .limit(pageSize + 1);
  const found = await queried(collection, () => page.toArray());
  const orders = found.slice(0, pageSize) as Stored<OrderDocument>[];
  const last = orders.at(-1);
  return { orders, nextPageToken: found.length > pageSize && last !== undefined ? tokenOf(last) : '' };
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
