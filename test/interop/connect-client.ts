import { type DescMessage, fromJson, type MessageShape, toJson } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import {
  CancelOrderRequestSchema,
  CancelOrderResponseSchema,
  GetOrderRequestSchema,
  GetOrderResponseSchema,
  OrderService,
  PlaceOrderRequestSchema,
  PlaceOrderResponseSchema,
  WatchOrderResponseSchema,
} from '#gen/causeway/orders/v1/orders_service_pb.js';
import { eventRegistry } from '#gen/events.js';
import {
  type Cancelled,
  type EventJson,
  type OrderClient,
  type OrderJson,
  type Placed,
  RefusedCall,
} from './order-client.ts';

/** A client of Connect's making over any of its transports. */
export function connectClient(transport: Transport): OrderClient {
  const client = createClient(OrderService, transport);
  return {
    place: (order) =>
      told(async () =>
        json<Placed>(PlaceOrderResponseSchema, await client.placeOrder(fromJson(PlaceOrderRequestSchema, order))),
      ),
    read: (orderId, atLeast = []) =>
      told(async () => {
        const answer = await client.getOrder(fromJson(GetOrderRequestSchema, { orderId, atLeast }));
        return json<{ order: OrderJson }>(GetOrderResponseSchema, answer).order;
      }),
    cancel: (orderId) =>
      told(async () => {
        const request = fromJson(CancelOrderRequestSchema, { orderId, reason: 'too late' });
        return json<Cancelled>(CancelOrderResponseSchema, await client.cancelOrder(request));
      }),
    async *watch(orderId) {
      const ended = new AbortController();
      try {
        for await (const answer of client.watchOrder({ orderId }, { signal: ended.signal })) {
          yield json<{ event: EventJson }>(WatchOrderResponseSchema, answer).event;
        }
      } catch (error) {
        throw refusedCall(error);
      } finally {
        ended.abort();
      }
    },
  };
}

/** Adds headers to every call. */
export function withHeaders(headers: Record<string, string>): Interceptor {
  return (next) => (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
}

function json<Json>(type: DescMessage, message: MessageShape<DescMessage>): Json {
  return toJson(type, message, { registry: eventRegistry }) as Json;
}

async function told<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    throw refusedCall(error);
  }
}

function refusedCall(error: unknown): RefusedCall {
  const { code, rawMessage, details } = ConnectError.from(error);
  const name = Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
  return new RefusedCall(
    name,
    rawMessage,
    details.flatMap((detail) =>
      'value' in detail && 'type' in detail ? [{ type: detail.type, value: detail.value }] : [],
    ) as {
      type: string;
      value: Uint8Array;
    }[],
  );
}
