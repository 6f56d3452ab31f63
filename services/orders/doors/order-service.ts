import { randomUUID } from 'node:crypto';
import { create, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import {
  CancelOrderRequestSchema,
  CancelOrderResponseSchema,
  GetOrderHistoryResponseSchema,
  GetOrderResponseSchema,
  type ListOrdersRequest,
  ListOrdersResponseSchema,
  OrderService,
  PlaceOrderRequestSchema,
  PlaceOrderResponseSchema,
  type ShippingAddress,
  WatchOrderResponseSchema,
} from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError, invalid } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import type { Call } from '#kit/rpc/call.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { Address, CancelOrder, Order, OrderCommand } from '../domain/order.ts';
import { type HistoryDocument, historyEvent, historyOf, type PastEvent } from '../views/history/history-view.ts';
import { orderOverTime } from '../views/history/order-over-time.ts';
import { listOrders, type OrderFilter } from '../views/orders/order-queries.ts';
import { type OrderDocument, orderMessage } from '../views/orders/orders-view.ts';
import { type Prices, pricedLines } from './priced-lines.ts';

/** Order ids that are made from a customer and a request id (UUIDv5). The namespace is fixed for ever. */
const orderIdOf = uuidsIn('6b0f3f3e-6f0c-5d0e-9b65-3a1f0d3c1f11');

const DEFAULT_PAGE_SIZE = 20;
/** Of the orders in a history: clients read answers of up to 4 MB, and its events take some of that. */
const MAX_ORDERS_BYTES = 2 * 1024 ** 2;

export type OrderDoorParts = {
  handle(request: CommandRequest<OrderCommand>): Promise<CommandResult<Order>>;
  /** The order as its journal's leader knows it. */
  stateOf(orderId: string): Promise<Order | undefined>;
  prices: Prices;
  orders: Projection<OrderDocument>;
  history: Projection<HistoryDocument>;
  watch(orderId: string, maySee: (customerId: string) => boolean, signal: AbortSignal): AsyncIterable<PastEvent>;
};

/** OrderService: what clients ask for, turned into commands on orders and queries on views. */
export function orderDoor({ handle, stateOf, prices, orders, history, watch }: OrderDoorParts): Door {
  /**
   * Ties a request id to the order that it is used for, under the order id that would be made from it: where that is
   * the order itself, placing it does so already.
   * @throws CallError ALREADY_EXISTS where the request id was used for something else.
   */
  async function useRequestId(customerId: string, requestId: string, usedForOrderId: string, asked: Asked) {
    const orderId = orderIdFrom(customerId, requestId);
    if (requestId === '' || orderId === usedForOrderId) return;
    await handle({ ...asked, key: orderId, creates: true, command: { type: 'UseRequestId', orderId, usedForOrderId } });
  }

  return door(OrderService, {
    async placeOrder(request, call) {
      const customerId = payingCustomer(request.customerId, call);
      const { requestId } = request;
      const orderId = request.orderId.toLowerCase() || orderIdFrom(customerId, requestId);
      const lines = await pricedLines(request.lines, prices);
      const asked = {
        ...cause(call, requestId),
        content: contentOf(PlaceOrderRequestSchema, { ...request, orderId, customerId, requestId: '' }),
        dataOwner: customerId,
      };
      // An order id that was made from the request id ties the two together by itself.
      if (request.orderId !== '') await useRequestId(customerId, requestId, orderId, asked);
      const result = await handle({
        ...asked,
        key: orderId,
        creates: true,
        command: {
          type: 'PlaceOrder',
          orderId,
          customerId,
          lines,
          paymentMethod: request.paymentMethod,
          email: request.email,
          shipTo: address(request.shipTo),
        },
      });
      return create(PlaceOrderResponseSchema, { orderId, version: BigInt(result.version), position: result.position });
    },

    async cancelOrder(request, call) {
      const orderId = request.orderId.toLowerCase();
      const asked = {
        ...cause(call, request.requestId),
        content: contentOf(CancelOrderRequestSchema, { ...request, orderId, requestId: '' }),
      };
      if (request.requestId !== '') {
        // No request id is used up, and nothing stored, for an order that there is not.
        const order = await stateOf(orderId);
        if (order === undefined || !('customerId' in order) || !maySee(order.customerId, call))
          throw unknownOrder(orderId);
        await useRequestId(call.caller.subject, request.requestId, orderId, asked);
      }
      const result = await handle({
        ...asked,
        key: orderId,
        command: { type: 'CancelOrder', orderId, reason: request.reason, asked: askedBy(call) },
      });
      return create(CancelOrderResponseSchema, { version: BigInt(result.version), position: result.position });
    },

    async getOrder(request, call) {
      const { find } = await orders.reached(request.atLeast, call.signal);
      const orderId = request.orderId.toLowerCase();
      const order = await find(orderId);
      if (order === undefined || !maySee(order.customerId, call)) throw unknownOrder(orderId);
      return create(GetOrderResponseSchema, { order: orderMessage(order) });
    },

    async listOrders(request, call) {
      const page = await listOrders(
        await orders.reached(request.atLeast, call.signal),
        orderFilter(request, call),
        request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize,
        request.pageToken,
      );
      return create(ListOrdersResponseSchema, {
        orders: page.orders.map(orderMessage),
        nextPageToken: page.nextPageToken,
      });
    },

    async getOrderHistory(request, call) {
      const reader = await history.reached(request.atLeast, call.signal);
      const orderId = request.orderId.toLowerCase();
      const events = await historyOf(reader, orderId, (customerId) => maySee(customerId, call));
      const orderAfter = request.includeOrder
        ? orderOverTime(orderId, { maxBytes: MAX_ORDERS_BYTES })
        : () => undefined;
      return create(GetOrderHistoryResponseSchema, {
        events: events.map((event) => historyEvent(event, orderAfter(event))),
      });
    },

    async *watchOrder(request, call) {
      const orderId = request.orderId.toLowerCase();
      const isSeen = (customerId: string) => maySee(customerId, call);
      const orderAfter = request.includeOrder ? orderOverTime(orderId) : () => undefined;
      for await (const event of watch(orderId, isSeen, call.signal)) {
        yield create(WatchOrderResponseSchema, { event: historyEvent(event, orderAfter(event)) });
      }
    },
  });
}

/** Another customer's order is as good as none: its existence is nobody else's business. */
function unknownOrder(orderId: string): CallError {
  return new CallError('NOT_FOUND', `there is no order ${orderId}`, {
    reason: 'ORDER_UNKNOWN',
    metadata: { order_id: orderId },
  });
}

function maySee(customerId: string, { caller }: Call): boolean {
  return caller.role === 'operator' || caller.subject === customerId;
}

function askedBy({ caller }: Call): CancelOrder['asked'] {
  return caller.role === 'operator' ? { by: 'operator' } : { by: 'customer', customerId: caller.subject };
}

function payingCustomer(customerId: string, { caller }: Call): string {
  if (caller.role === 'operator') {
    if (customerId === '') throw invalid('customer_id', 'an operator has to say for whom');
    return customerId;
  }
  return ownCustomer(customerId, caller.subject);
}

function listedCustomer(customerId: string, { caller }: Call): string | undefined {
  if (caller.role === 'operator') return customerId === '' ? undefined : customerId;
  return ownCustomer(customerId, caller.subject);
}

function orderFilter({ customerId, status, email, correlationId }: ListOrdersRequest, call: Call): OrderFilter {
  const listed = listedCustomer(customerId, call);
  return {
    ...(listed === undefined ? {} : { customerId: listed }),
    ...(status === OrderStatus.UNSPECIFIED ? {} : { status }),
    ...(email === '' ? {} : { email }),
    ...(correlationId === '' ? {} : { correlationId }),
  };
}

function ownCustomer(customerId: string, subject: string): string {
  if (customerId !== '' && customerId !== subject) {
    throw new CallError('PERMISSION_DENIED', 'customer_id: a customer acts for itself only', {
      reason: 'NOT_YOUR_CUSTOMER_ID',
      violations: [{ field: 'customer_id', description: 'a customer acts for itself only' }],
    });
  }
  return subject;
}

/** What a request carries beside its command. */
type Asked = Omit<CommandRequest<OrderCommand>, 'key' | 'command' | 'creates'>;

/** The id of an order whose request names none. Without a request id, two requests are two orders. */
function orderIdFrom(customerId: string, requestId: string): string {
  return requestId === '' ? randomUUID() : orderIdOf(`${customerId}\n${requestId}`);
}

function address(shipTo: ShippingAddress | undefined): Address {
  const { name = '', line1 = '', line2 = '', city = '', postalCode = '', countryCode = '' } = shipTo ?? {};
  return { name, line1, line2, city, postalCode, countryCode };
}

function cause({ caller, correlationId }: Call, requestId: string) {
  return { caller: caller.subject, requestId, correlationId, causationId: requestId === '' ? randomUUID() : requestId };
}

/** What a repeat of a request must equal. The method is part of it. */
function contentOf<Schema extends typeof PlaceOrderRequestSchema | typeof CancelOrderRequestSchema>(
  schema: Schema,
  request: MessageShape<Schema>,
): Uint8Array {
  return Buffer.concat([Buffer.from(schema.typeName), toBinary(schema, request)]);
}
