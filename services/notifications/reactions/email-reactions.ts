import { EmailKind } from '#gen/causeway/notifications/v1/email_kind_pb.js';
import {
  type OrderCancelled,
  OrderCancelledSchema,
  type OrderConfirmed,
  OrderConfirmedSchema,
  type OrderPlaced,
  OrderPlacedSchema,
  type OrderShipped,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { type PaymentRefunded, PaymentRefundedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import type { Reaction } from '#kit/consumer.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { News } from '../emails/order-email.ts';
import { plain } from '../views/recipients/recipients-view.ts';
import type { Recipients } from './recipients.ts';
import type { Telling } from './telling.ts';

type OrderNews = OrderConfirmed | OrderShipped | OrderCancelled;

/** What is to be told of an order's way. That it was placed is not: who placed it knows. */
export function emailOnOrderProgress(telling: Telling, recipients: Recipients): Reaction<OrderPlaced | OrderNews> {
  return {
    name: 'email-on-order-progress',
    sources: [{ journal: journalOf('orders'), aggregate: 'order' }],
    begins: 'now',
    types: new EventTypes([OrderPlacedSchema, OrderConfirmedSchema, OrderShippedSchema, OrderCancelledSchema]),
    async handle(event, { signal }) {
      if (isPlaced(event)) return recipients.remember(event);
      await telling.tell(event, orderNews(event.data as OrderNews), () => recipients.of(event, signal), signal);
    },
  };
}

export function emailOnPaymentRefunded(telling: Telling, recipients: Recipients): Reaction<PaymentRefunded> {
  return {
    name: 'email-on-payment-refunded',
    sources: [{ journal: journalOf('payments'), aggregate: 'payment' }],
    begins: 'now',
    types: new EventTypes([PaymentRefundedSchema]),
    async handle(event, { signal }) {
      const news: News = { type: 'PaymentRefunded', amount: plain(event.data.amount) };
      const find = () => recipients.ofOrder(event.key, signal);
      await telling.tell(event, { kind: EmailKind.PAYMENT_REFUNDED, news }, find, signal);
    },
  };
}

function isPlaced(event: RecordedEvent<OrderPlaced | OrderNews>): event is RecordedEvent<OrderPlaced> {
  return event.data.$typeName === 'causeway.orders.v1.OrderPlaced';
}

function orderNews(data: OrderNews): { kind: EmailKind; news: News } {
  switch (data.$typeName) {
    case 'causeway.orders.v1.OrderConfirmed':
      return { kind: EmailKind.ORDER_CONFIRMED, news: { type: 'OrderConfirmed' } };
    case 'causeway.orders.v1.OrderShipped':
      return { kind: EmailKind.ORDER_SHIPPED, news: { type: 'OrderShipped', trackingNumber: data.trackingNumber } };
    case 'causeway.orders.v1.OrderCancelled':
      return { kind: EmailKind.ORDER_CANCELLED, news: { type: 'OrderCancelled', reason: data.reason } };
    default:
      return data satisfies never;
  }
}
