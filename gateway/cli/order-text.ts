import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import type { HistoryEvent, Order } from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { Money } from '#gen/google/type/money_pb.js';
import { printable, properties, shortType, table, time } from './printing.ts';

export function orderTable(orders: readonly Order[]): string {
  return table(
    ['ORDER', 'STATUS', 'PLACED', 'TOTAL', 'CUSTOMER', 'E-MAIL'],
    orders.map((order) => [
      order.orderId,
      statusWord(order.status),
      time(order.placedAt),
      amount(order.total),
      order.customerId,
      order.email,
    ]),
  );
}

/** An order as it is after its last event, and its timeline: a cause before its effects, and what took several attempts. */
export function orderText(events: readonly HistoryEvent[]): string {
  const order = events.findLast((event) => event.order !== undefined)?.order;
  const timeline = table(
    ['TIME', 'STREAM', 'EVENT', 'BY', 'ATTEMPTS', 'ORDER'],
    events.map((event) => [
      time(event.time),
      event.position?.stream ?? '',
      shortType(event.type),
      event.actor,
      event.attempts > 1 ? String(event.attempts) : '',
      event.order === undefined ? '' : statusWord(event.order.status),
    ]),
  );
  return order === undefined ? timeline : `${aboutOrder(order)}\n\n${timeline}`;
}

function aboutOrder(order: Order): string {
  return properties([
    ['order', order.orderId],
    ['status', statusWord(order.status)],
    ['why', order.cancellationReason],
    ['customer', order.customerId],
    ['e-mail', order.email],
    ['lines', order.lines.map(({ quantity, sku }) => `${quantity} ${sku}`).join(', ')],
    ['total', amount(order.total)],
    ['payment', order.paymentMethod],
    ['tracking', order.trackingNumber],
    ['correlation', order.correlationId],
  ]);
}

/** An event of an order's timeline, as it happens. */
export function timelineLine(event: HistoryEvent): string {
  const retried = event.attempts > 1 ? `, after ${event.attempts} attempts` : '';
  const status = event.order === undefined ? '' : `  (${statusWord(event.order.status)})`;
  const words = [time(event.time), (event.position?.stream ?? '').padEnd(10), shortType(event.type)];
  return `${words.join('  ')}, by ${printable(event.actor)}${retried}${status}`;
}

function statusWord(status: OrderStatus): string {
  return OrderStatus[status]?.toLowerCase() ?? String(status);
}

function amount(total: Money | undefined): string {
  if (total === undefined) return '';
  const cents = String(Math.round(total.nanos / 10_000_000)).padStart(2, '0');
  return `${total.units}.${cents} ${total.currencyCode}`;
}
