import { useInfiniteQuery } from '@connectrpc/connect-query';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { type Order, OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Moment } from '../../parts/moment.tsx';
import { moneyText } from '../../parts/money.ts';
import { More } from '../../parts/more.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { useSession } from '../../session.ts';
import { StatusBadge } from './order-status.tsx';

/** What a list of orders is about; what is left out leaves any. */
export type OrderFilter = { status?: OrderStatus; customerId?: string; email?: string; correlationId?: string };

const PAGE_SIZE = 25;
const REFRESH_MS = 5_000;
/** Pages that are kept fresh: who has turned more looks for something older. */
const FRESH_PAGES = 2;

export function useOrders(filter: OrderFilter, enabled = true) {
  return useInfiniteQuery(
    OrderService.method.listOrders,
    { ...filter, pageSize: PAGE_SIZE, pageToken: '' },
    {
      enabled,
      pageParamKey: 'pageToken',
      getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined,
      refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) <= FRESH_PAGES ? REFRESH_MS : false),
    },
  );
}

const columns: readonly Column<Order>[] = [
  {
    name: 'Order',
    cell: ({ orderId }) => (
      <Link href={`/orders/${orderId}`} className="mono breaks">
        {orderId}
      </Link>
    ),
  },
  { name: 'Status', cell: ({ status }) => <StatusBadge status={status} /> },
  { name: 'Customer', cell: ({ customerId }) => <span className="breaks">{customerId}</span> },
  { name: 'Items', cell: ({ lines }) => lines.map(({ name, quantity }) => `${quantity} × ${name}`).join(', ') },
  { name: 'Total', cell: ({ total }) => moneyText(total), isNumber: true },
  { name: 'Placed', cell: ({ placedAt }) => <Moment at={placedAt} /> },
];

/** Orders, the newest first; refreshed as long as somebody looks. */
export function OrderList({ filter, empty }: { filter: OrderFilter; empty: ReactNode }) {
  const query = useOrders(filter);
  const isOperator = useSession()?.role === 'operator';
  return (
    <Answer query={query} isEmpty={({ pages }) => pages.every(({ orders }) => orders.length === 0)} empty={empty}>
      {({ pages }) => (
        <>
          <Table
            caption="Orders, the newest first"
            columns={columns.filter(({ name }) => isOperator || name !== 'Customer')}
            rows={distinct(pages.flatMap(({ orders }) => orders))}
            keyOf={({ orderId }) => orderId}
          />
          <More query={query} />
        </>
      )}
    </Answer>
  );
}

/** Orders that were placed between two pages move others to the next one. */
function distinct(orders: readonly Order[]): Order[] {
  return [...new Map(orders.map((order) => [order.orderId, order])).values()];
}
