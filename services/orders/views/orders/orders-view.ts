import { create, type MessageShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type Address,
  type OrderCancelled,
  OrderCancelledSchema,
  type OrderCompleted,
  OrderCompletedSchema,
  type OrderConfirmed,
  OrderConfirmedSchema,
  type OrderPlaced,
  OrderPlacedSchema,
  type OrderShipped,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { type Order, OrderSchema } from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { MoneySchema } from '#gen/google/type/money_pb.js';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { View } from '#kit/view.ts';

type Money = { currencyCode: string; units: number; nanos: number };

/** An order as people read it. */
export type OrderDocument = {
  customerId: string;
  status: OrderStatus;
  lines: { sku: string; name: string; quantity: number; unitPrice: Money }[];
  total: Money;
  paymentMethod: string;
  email: string;
  /** As addresses are looked for: in lower case. */
  emailKey: string;
  shipTo: Omit<Address, '$typeName' | '$unknown'>;
  placedAt: Date;
  updatedAt: Date;
  version: number;
  cancellationReason: string;
  trackingNumber: string;
  /** Of the event that placed it. */
  correlationId: string;
};

type OrderEvent = OrderPlaced | OrderConfirmed | OrderShipped | OrderCompleted | OrderCancelled;

export const ordersView: View<OrderDocument, OrderEvent> = {
  name: 'orders',
  version: 2,
  sources: [{ journal: journalOf('orders'), aggregate: 'order' }],
  types: new EventTypes([
    OrderPlacedSchema,
    OrderConfirmedSchema,
    OrderShippedSchema,
    OrderCompletedSchema,
    OrderCancelledSchema,
  ]),
  indexes: [
    { key: { correlationId: 1, placedAt: -1, _id: -1 } },
    { key: { emailKey: 1, placedAt: -1, _id: -1 } },
    { key: { emailKey: 1, status: 1, placedAt: -1, _id: -1 } },
    { key: { customerId: 1, emailKey: 1, status: 1, placedAt: -1, _id: -1 } },
    { key: { customerId: 1, emailKey: 1, placedAt: -1, _id: -1 } },
    { key: { customerId: 1, status: 1, placedAt: -1, _id: -1 } },
    { key: { customerId: 1, placedAt: -1, _id: -1 } },
    { key: { status: 1, placedAt: -1, _id: -1 } },
    { key: { placedAt: -1, _id: -1 } },
  ],

  ownerField: 'customerId',
  erased: (order) => ({ ...order, email: '', emailKey: '', shipTo: addressOf(undefined) }),

  project(order, { data, time, version, correlationId }) {
    if (data.$typeName === 'causeway.orders.v1.OrderPlaced') return placed(data, { time, version, correlationId });
    if (order === undefined) return undefined;
    const changed = { ...order, updatedAt: time, version };
    switch (data.$typeName) {
      case 'causeway.orders.v1.OrderConfirmed':
        return { ...changed, status: OrderStatus.CONFIRMED };
      case 'causeway.orders.v1.OrderShipped':
        return { ...changed, status: OrderStatus.SHIPPED, trackingNumber: data.trackingNumber };
      case 'causeway.orders.v1.OrderCompleted':
        return { ...changed, status: OrderStatus.COMPLETED };
      case 'causeway.orders.v1.OrderCancelled':
        return { ...changed, status: OrderStatus.CANCELLED, cancellationReason: data.reason };
      default:
        return data satisfies never;
    }
  },
};

type Placing = Pick<RecordedEvent, 'time' | 'version' | 'correlationId'>;

function placed(event: OrderPlaced, { time, version, correlationId }: Placing): OrderDocument {
  return {
    customerId: event.customerId,
    status: OrderStatus.PLACED,
    lines: event.lines.map(({ sku, name, quantity, unitPrice }) => ({
      sku,
      name,
      quantity,
      unitPrice: money(unitPrice),
    })),
    total: money(event.total),
    paymentMethod: event.paymentMethod,
    email: event.email,
    emailKey: emailKey(event.email),
    shipTo: addressOf(event.shipTo),
    placedAt: time,
    updatedAt: time,
    version,
    cancellationReason: '',
    trackingNumber: '',
    correlationId,
  };
}

/** Where the order goes; all empty where the customer was erased. */
function addressOf(shipTo: Address | undefined): OrderDocument['shipTo'] {
  const { name = '', line1 = '', line2 = '', city = '', postalCode = '', countryCode = '' } = shipTo ?? {};
  return { name, line1, line2, city, postalCode, countryCode };
}

/** What two addresses that differ in case only have in common. */
export function emailKey(email: string): string {
  return email.toLowerCase();
}

function money(amount: MessageShape<typeof MoneySchema> | undefined): Money {
  return { currencyCode: amount?.currencyCode ?? '', units: Number(amount?.units ?? 0n), nanos: amount?.nanos ?? 0 };
}

/** The order as the API shows it. */
export function orderMessage(document: OrderDocument & { _id: string }): Order {
  return create(OrderSchema, {
    orderId: document._id,
    customerId: document.customerId,
    status: document.status,
    lines: document.lines.map((line) => ({ ...line, unitPrice: moneyInit(line.unitPrice) })),
    total: moneyInit(document.total),
    version: BigInt(document.version),
    placedAt: timestampFromDate(document.placedAt),
    updatedAt: timestampFromDate(document.updatedAt),
    cancellationReason: document.cancellationReason,
    email: document.email,
    shipTo: document.shipTo,
    paymentMethod: document.paymentMethod,
    trackingNumber: document.trackingNumber,
    correlationId: document.correlationId,
  });
}

function moneyInit({ currencyCode, units, nanos }: Money) {
  return { currencyCode, units: BigInt(units), nanos };
}
