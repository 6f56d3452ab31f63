import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import {
  createConnectTransport as createConnectWebTransport,
  createGrpcWebTransport as createGrpcWebWebTransport,
} from '@connectrpc/connect-web';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventRegistry } from '#gen/events.js';
import { bearer, nothingFollows, type TestPlatform, testPlatform } from '../platform.ts';
import { bufCurlClient } from './buf-curl-client.ts';
import { connectClient, withHeaders } from './connect-client.ts';
import { fetchClient, readByGet } from './fetch-client.ts';
import { grpcJsClient } from './grpc-js-client.ts';
import { type EventJson, type OrderClient, orderRequest, type Position, refusal } from './order-client.ts';

let platform: TestPlatform;
let ada: string;

beforeAll(async () => {
  platform = await testPlatform({ environment: nothingFollows });
  ada = await bearer('ada');
});

const clients: Record<string, () => OrderClient> = {
  'a grpc-js client': () => grpcJsClient(platform.grpc, ada),
  'a connect-node client over gRPC': () => connectClient(createGrpcTransport(at(`http://${platform.grpc}`))),
  'a connect-node client over Connect, binary': () =>
    connectClient(createConnectTransport({ ...at(platform.http), httpVersion: '1.1', useBinaryFormat: true })),
  'a connect-node client over Connect, JSON and HTTP GET': () =>
    connectClient(
      createConnectTransport({ ...at(platform.http), httpVersion: '1.1', useBinaryFormat: false, useHttpGet: true }),
    ),
  'a connect-node client over gRPC-Web': () =>
    connectClient(createGrpcWebTransport({ ...at(platform.http), httpVersion: '1.1' })),
  'a connect-web client over gRPC-Web': () => connectClient(createGrpcWebWebTransport(at(platform.http))),
  'a connect-web client over Connect': () => connectClient(createConnectWebTransport(at(platform.http))),
  'plain fetch with JSON': () => fetchClient(platform.http, ada),
  'buf curl by reflection': () => bufCurlClient(platform.grpc, ada),
};

function at(baseUrl: string) {
  return { baseUrl, interceptors: [withHeaders({ authorization: ada })], jsonOptions: { registry: eventRegistry } };
}

describe.concurrent.each(Object.entries(clients))('%s', (_, makeClient) => {
  test('places an order, reads it back, and sees what happens to it as it happens', async () => {
    const client = makeClient();
    const request = orderRequest();

    const placed = await client.place(request);
    expect(placed).toMatchObject({ orderId: request.orderId, version: '1', position: { stream: 'ORDERS' } });
    const order = await client.read(request.orderId, [placed.position]);
    expect(order).toMatchObject({
      orderId: request.orderId,
      status: 'ORDER_STATUS_PLACED',
      lines: [{ sku: 'espresso-cup', quantity: 2 }, { sku: 'coffee-beans' }],
      total: { currencyCode: 'EUR' },
    });

    const seen: EventJson[] = [];
    const cancelled: Position[] = [];
    for await (const event of client.watch(request.orderId)) {
      seen.push(event);
      if (seen.length === 1) cancelled.push((await client.cancel(request.orderId)).position);
      if (seen.length === 2) break;
    }
    expect(seen).toMatchObject([
      {
        type: 'causeway.orders.v1.OrderPlaced',
        version: '1',
        actor: 'ada',
        data: {
          '@type': 'type.googleapis.com/causeway.orders.v1.OrderPlaced',
          email: 'ada@example.com',
          shipTo: { name: 'Ada Byron' },
        },
      },
      {
        type: 'causeway.orders.v1.OrderCancelled',
        version: '2',
        data: { '@type': 'type.googleapis.com/causeway.orders.v1.OrderCancelled', reason: 'too late' },
      },
    ]);
    expect(await client.read(request.orderId, cancelled)).toMatchObject({ status: 'ORDER_STATUS_CANCELLED' });
  });

  test('is told what is wrong with a request, field by field', async () => {
    const request = orderRequest();
    const [first] = request.lines;
    const refused = makeClient().place({ ...request, lines: [...request.lines, { ...first, sku: 'x', quantity: 0 }] });

    expect(await refusal(refused)).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['lines[2].quantity'] });
  });

  test('is told the reason of a refusal, by a unary call and by a stream', async () => {
    const client = makeClient();
    const { orderId } = orderRequest();
    const unknown = { code: 'NOT_FOUND', reason: 'ORDER_UNKNOWN' };

    expect(await refusal(client.read(orderId))).toMatchObject({ ...unknown, metadata: { order_id: orderId } });
    expect(await refusal(first(client.watch(orderId)))).toMatchObject(unknown);
  });
});

describe('plain fetch', () => {
  test('reads by HTTP GET what has no side effects', async () => {
    const request = orderRequest();
    const placed = await fetchClient(platform.http, ada).place(request);

    const query = { orderId: request.orderId, atLeast: [placed.position] };
    const response = await readByGet(platform.http, ada, 'GetOrder', query);

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ order: { orderId: request.orderId } });
    const history = await readByGet(platform.http, ada, 'GetOrderHistory', query);
    expect(await history.json()).toMatchObject({ events: [{ type: 'causeway.orders.v1.OrderPlaced' }] });
    expect((await readByGet(platform.http, ada, 'ListOrders', {})).status).toBe(200);
  });

  test('can not place an order by HTTP GET', async () => {
    const request = orderRequest();

    expect((await readByGet(platform.http, ada, 'PlaceOrder', request)).status).toBe(405);

    expect(await refusal(fetchClient(platform.http, ada).read(request.orderId))).toMatchObject({ code: 'NOT_FOUND' });
  });
});

async function first(events: AsyncIterable<EventJson>): Promise<EventJson | undefined> {
  for await (const event of events) return event;
  return undefined;
}
