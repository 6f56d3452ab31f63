import { randomUUID } from 'node:crypto';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  CancelOrderRequestSchema,
  GetOrderHistoryRequestSchema,
  GetOrderRequestSchema,
  ListOrdersRequestSchema,
  PlaceOrderRequestSchema,
} from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { Caller } from '#kit/rpc/call.ts';
import { DEVELOPMENT_KEY, signToken } from '#kit/rpc/identity.ts';

/** What the header `authorization` says for this caller, with the development key. */
export async function bearer(subject: string, role: Caller['role'] = 'customer'): Promise<string> {
  return `Bearer ${await signToken({ subject, role }, DEVELOPMENT_KEY, '1h')}`;
}

/** An order as `npm start` shows one: two lines, an address. */
const order = {
  lines: [
    { sku: 'coffee-beans', quantity: 2 },
    { sku: 'espresso-cup', quantity: 1 },
  ],
  email: 'alice@example.com',
  paymentMethod: 'pm_ok',
  shipTo: {
    name: 'Alice Adams',
    line1: '1 Harbour Road',
    city: 'Galway',
    postalCode: 'H91 XY12',
    countryCode: 'IE',
  },
};

/** Requests that place an order each, with a request id of its own; whose order it is, the token says. */
export function placeOrders(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => placeOrder({ requestId: randomUUID() }));
}

/** One order as a request, encoded. */
export function placeOrder(about: {
  requestId?: string;
  orderId?: string;
  customerId?: string;
  email?: string;
}): Uint8Array {
  return toBinary(PlaceOrderRequestSchema, create(PlaceOrderRequestSchema, { ...order, ...about }));
}

export function cancelOrder(orderId: string): Uint8Array {
  return toBinary(CancelOrderRequestSchema, create(CancelOrderRequestSchema, { orderId, reason: 'no longer needed' }));
}

export function getOrder(orderId: string): Uint8Array {
  return toBinary(GetOrderRequestSchema, create(GetOrderRequestSchema, { orderId }));
}

export function listOrders(filter: MessageInitShape<typeof ListOrdersRequestSchema>): Uint8Array {
  return toBinary(ListOrdersRequestSchema, create(ListOrdersRequestSchema, filter));
}

/** An order's timeline as the console asks for it: with the order as it was after each event. */
export function orderHistory(orderId: string): Uint8Array {
  return toBinary(GetOrderHistoryRequestSchema, create(GetOrderHistoryRequestSchema, { orderId, includeOrder: true }));
}
