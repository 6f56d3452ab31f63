import { randomUUID } from 'node:crypto';
import { create, type DescField, type DescMessage, getOption, toBinary } from '@bufbuild/protobuf';
import { credentials, Client as GrpcClient, Metadata } from '@grpc/grpc-js';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { field as rulesOf } from '#gen/buf/validate/validate_pb.js';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderService, PlaceOrderRequestSchema } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { DEVELOPMENT_KEY } from '#kit/rpc/identity.ts';
import { atTheEnd } from '#kit/testing/servers.ts';
import {
  all,
  anOrder,
  type ConnectErrorJson,
  clients,
  connectClient,
  grpcClient,
  ordersOf,
  type Refused,
  refusal,
  refusedByConnect,
  refusedByGrpc,
} from './clients.ts';
import { bearer, nothingFollows, testPlatform } from './platform.ts';

const platform = await testPlatform({ environment: nothingFollows });
const alice = await clients(platform, 'alice');
const operators = await clients(platform, 'olga', 'operator');
const token = await bearer('alice');
const { placeOrder, cancelOrder, getOrder, getOrderHistory, listOrders, watchOrder } = OrderService.method;
const { listItems, getItem, stockItem } = InventoryService.method;

const address = { name: 'Ada', line1: '12 Square', city: 'London', postalCode: 'SW1', countryCode: 'GB' };
const line = { sku: 'coffee-beans', quantity: 1 };

describe.each(alice)('at the $door door', (client) => {
  const place = (fields: Parameters<typeof anOrder>[0]) => refusal(client.call(placeOrder, anOrder(fields)));

  test.each<[string, Parameters<typeof anOrder>[0], string]>([
    ['an unknown sku', { lines: [{ sku: 'no-such-thing', quantity: 1 }] }, 'lines[0].sku'],
    ['an unknown sku in a later line', { lines: [line, { sku: 'no-such-thing', quantity: 1 }] }, 'lines[1].sku'],
    ['a sku that can not be one', { lines: [{ sku: 'coffee beans', quantity: 1 }] }, 'lines[0].sku'],
    ['a sku that is a subject', { lines: [{ sku: '*', quantity: 1 }] }, 'lines[0].sku'],
    ['no lines', { lines: [] }, 'lines'],
    ['101 lines', { lines: Array.from({ length: 101 }, () => line) }, 'lines'],
    ['a quantity of 0', { lines: [{ sku: 'coffee-beans', quantity: 0 }] }, 'lines[0].quantity'],
    ['a quantity of 10,001', { lines: [line, { sku: 'grinder', quantity: 10_001 }] }, 'lines[1].quantity'],
    ['an order id that is no UUID', { orderId: 'order-1' }, 'order_id'],
    ['a malformed e-mail', { email: 'ada at example.org' }, 'email'],
    ['no e-mail', { email: '' }, 'email'],
    ['an e-mail of 255 characters', { email: `${'a'.repeat(64)}@${'b'.repeat(186)}.org` }, 'email'],
    ['a country in lower case', { shipTo: { ...address, countryCode: 'gb' } }, 'ship_to.country_code'],
    ['a country in words', { shipTo: { ...address, countryCode: 'Ireland' } }, 'ship_to.country_code'],
    ['no name', { shipTo: { ...address, name: '' } }, 'ship_to.name'],
    ['no street', { shipTo: { ...address, line1: '' } }, 'ship_to.line1'],
    ['no city', { shipTo: { ...address, city: '' } }, 'ship_to.city'],
    ['no postal code', { shipTo: { ...address, postalCode: '' } }, 'ship_to.postal_code'],
    ['no address', { shipTo: undefined as never }, 'ship_to'],
    ['a name of 101 characters', { shipTo: { ...address, name: 'a'.repeat(101) } }, 'ship_to.name'],
    ['a second line of 201 characters', { shipTo: { ...address, line2: 'a'.repeat(201) } }, 'ship_to.line2'],
    ['a request id of 65 characters', { requestId: 'r'.repeat(65) }, 'request_id'],
    ['no payment method', { paymentMethod: '' }, 'payment_method'],
    ['a payment method that can not be one', { paymentMethod: 'card 4111' }, 'payment_method'],
    ['a customer id that can not be one', { customerId: 'alice adams' }, 'customer_id'],
  ])('an order with %s is INVALID_ARGUMENT and names the field', async (_, fields, field) => {
    const refused = await place(fields);

    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(Object.keys(refused.fields)).toEqual([field]);
    expect(refused.message).toContain(field);
  });

  test('every field that is wrong is named at once', async () => {
    const refused = await place({
      email: 'ada',
      lines: [{ sku: 'coffee-beans', quantity: 0 }],
      requestId: 'r'.repeat(65),
    });

    expect(Object.keys(refused.fields).sort()).toEqual(['email', 'lines[0].quantity', 'request_id']);
  });

  test.each([20, 100])('of %i empty lines, ten fields are named and the rest is counted', async (count) => {
    const refused = await place({ lines: Array.from({ length: count }, () => ({})) });

    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(Object.keys(refused.fields)).toHaveLength(10);
    expect(refused.message).toMatch(new RegExp(`^lines\\[0\\].sku: .*; and ${2 * count - 3} more$`));
  });

  test('a megabyte of empty lines is INVALID_ARGUMENT for their number alone, and the next caller is heard', async () => {
    // At the gRPC door two bytes a line, at the other one three.
    const count = client.door === 'gRPC' ? 500_000 : 300_000;

    const refused = place({ lines: Array.from({ length: count }, () => ({})) });

    const [{ code, fields, message }, placed] = await Promise.all([refused, ordersOf(client).place()]);
    expect({ code, fields: Object.keys(fields) }).toEqual({ code: 'INVALID_ARGUMENT', fields: ['lines'] });
    expect(message.length).toBeLessThan(100);
    expect(placed).toMatchObject({ version: 1n });
  });

  test('the largest order that the contract allows is taken, and can be cancelled', async () => {
    const orders = ordersOf(client);
    const widest = (length: number) => '\u{1F600}'.repeat(length);
    const { orderId, version } = await orders.place({
      requestId: `${widest(56)} ${client.door}`,
      lines: Array.from({ length: 100 }, () => ({ sku: 'coffee-beans', quantity: 10_000 })),
      shipTo: {
        name: widest(100),
        line1: widest(200),
        line2: widest(200),
        city: widest(100),
        postalCode: widest(20),
        countryCode: 'GB',
      },
    });
    expect(version).toBe(1n);

    const reason = widest(500);
    const cancelled = await client.call(cancelOrder, { orderId, reason, requestId: `${widest(55)} ${client.door}` });

    expect(cancelled.version).toBe(2n);
    expect(await orders.get(orderId, cancelled.position)).toMatchObject({
      cancellationReason: reason,
      total: { units: 18_500_000n },
      shipTo: { name: widest(100) },
    });
  });

  test("an order for another customer is PERMISSION_DENIED, and so is a list of another's orders", async () => {
    const expected = { code: 'PERMISSION_DENIED', reason: 'NOT_YOUR_CUSTOMER_ID' };
    for (const refused of [
      await place({ customerId: 'bob' }),
      await refusal(client.call(listOrders, { customerId: 'bob' })),
    ]) {
      expect(refused).toMatchObject(expected);
      expect(Object.keys(refused.fields)).toEqual(['customer_id']);
    }
  });

  test.each([
    ['an unknown status', { status: 99 }, 'status'],
    ['a page of 101', { pageSize: 101 }, 'page_size'],
    ['a page token that is none', { pageToken: 'what?' }, 'page_token'],
    ['a page token of 201 characters', { pageToken: 't'.repeat(201) }, 'page_token'],
    ['17 positions', { atLeast: Array.from({ length: 17 }, () => ({ stream: 'ORDERS', sequence: 1n })) }, 'at_least'],
    [
      'a partition that there is not',
      { atLeast: [{ stream: 'ORDERS', partition: 8, sequence: 1n }] },
      'at_least[0].partition',
    ],
    ['a sequence of 0', { atLeast: [{ stream: 'ORDERS', partition: 1, sequence: 0n }] }, 'at_least[0].sequence'],
    ['a stream that can not be one', { atLeast: [{ stream: 'orders.>', sequence: 1n }] }, 'at_least[0].stream'],
  ])('a list with %s is INVALID_ARGUMENT and names the field', async (_, fields, field) => {
    const refused = await refusal(client.call(listOrders, fields));

    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(Object.keys(refused.fields)).toEqual([field]);
  });

  test('an id that is none is INVALID_ARGUMENT in every method that takes one', async () => {
    const orderId = 'order-1';
    const refused = [
      await refusal(client.call(getOrder, { orderId })),
      await refusal(client.call(getOrderHistory, { orderId })),
      await refusal(client.call(cancelOrder, { orderId, reason: 'why not' })),
      await refusal(all(client.stream(watchOrder, { orderId }))),
    ];
    for (const each of refused)
      expect([each.code, ...Object.keys(each.fields)]).toEqual(['INVALID_ARGUMENT', 'order_id']);
    const item = await refusal(client.call(getItem, { sku: 'a.b' }));
    expect([item.code, ...Object.keys(item.fields)]).toEqual(['INVALID_ARGUMENT', 'sku']);
  });

  test('a cancel without a reason, or with one of 501 characters, is INVALID_ARGUMENT', async () => {
    for (const reason of ['', 'r'.repeat(501)]) {
      const refused = await refusal(client.call(cancelOrder, { orderId: randomUUID(), reason }));
      expect([refused.code, ...Object.keys(refused.fields)]).toEqual(['INVALID_ARGUMENT', 'reason']);
    }
  });

  test('an order that there is not is NOT_FOUND in every method', async () => {
    const orderId = randomUUID();
    const refused = [
      await refusal(client.call(getOrder, { orderId })),
      await refusal(client.call(getOrderHistory, { orderId })),
      await refusal(client.call(cancelOrder, { orderId, reason: 'why not' })),
      await refusal(all(client.stream(watchOrder, { orderId }))),
    ];
    for (const each of refused) expect(each).toMatchObject({ code: 'NOT_FOUND', reason: 'ORDER_UNKNOWN' });
    expect(await refusal(client.call(getItem, { sku: 'nothing' }))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'ITEM_UNKNOWN',
    });
  });

  test("another customer's order is NOT_FOUND in every method, and says the same as one that there is not", async () => {
    const bob = ordersOf((await clients(platform, 'bob'))[0] as (typeof alice)[0]);
    const { orderId, position } = await bob.place();
    await bob.get(orderId, position);
    await bob.history(orderId, position);
    const ask = (id: string) => [
      refusal(client.call(getOrder, { orderId: id })),
      refusal(client.call(getOrderHistory, { orderId: id })),
      refusal(client.call(cancelOrder, { orderId: id, reason: 'not mine' })),
      refusal(all(client.stream(watchOrder, { orderId: id }))),
    ];
    const unknown = randomUUID();

    const others = await Promise.all(ask(orderId));

    const nobodys = await Promise.all(ask(unknown));
    for (const [index, other] of others.entries()) {
      expect(other).toMatchObject({ code: 'NOT_FOUND', reason: 'ORDER_UNKNOWN' });
      expect(other.message.replace(orderId, unknown)).toBe(nobodys[index]?.message);
    }
    expect(await bob.get(orderId)).toMatchObject({ version: 1n });
  });

  test('a request of 5 MB is RESOURCE_EXHAUSTED, and the platform goes on', async () => {
    const refused = await refusal(client.call(placeOrder, anOrder({ email: 'a'.repeat(5 * 1024 ** 2) })));

    expect(refused.code).toBe('RESOURCE_EXHAUSTED');
    expect(await ordersOf(client).place()).toMatchObject({ version: 1n });
  });

  test('stock is for operators: a customer gets PERMISSION_DENIED', async () => {
    const refused = await refusal(client.call(stockItem, { sku: 'coffee-beans', quantity: 1 }));

    expect(refused).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'ROLE_MISSING',
      metadata: { role: 'operator' },
    });
    expect((await client.call(getItem, { sku: 'coffee-beans' })).item?.version).toBe(1n);
  });
});

describe.each(operators)('an operator at the $door door', (client) => {
  test('has to say for whom an order is', async () => {
    const refused = await refusal(client.call(placeOrder, anOrder()));

    expect([refused.code, ...Object.keys(refused.fields)]).toEqual(['INVALID_ARGUMENT', 'customer_id']);
  });

  test.each([
    ['without a currency', { currencyCode: '', units: 1n }],
    ['below nothing', { currencyCode: 'EUR', units: -1n }],
    ['with too many nanos', { currencyCode: 'EUR', nanos: 1_000_000_000 }],
    ['beyond all bounds', { currencyCode: 'EUR', units: 1_000_000_001n }],
  ])('can not give an item a price %s', async (_, unitPrice) => {
    const refused = await refusal(client.call(stockItem, { sku: 'new-thing', name: 'New', unitPrice, quantity: 1 }));

    expect([refused.code, ...Object.keys(refused.fields)]).toEqual(['INVALID_ARGUMENT', 'unit_price']);
  });

  test('can not list an item that is incomplete, or stock too much of one', async () => {
    const unitPrice = { currencyCode: 'EUR', units: 1n };
    const field = async (
      request: Parameters<typeof client.call<typeof stockItem.input, typeof stockItem.output>>[1],
    ) => {
      const refused = await refusal(client.call(stockItem, request));
      expect(refused.code).toBe('INVALID_ARGUMENT');
      return Object.keys(refused.fields);
    };

    expect(await field({ sku: 'new-thing', unitPrice, quantity: 1 })).toEqual(['name']);
    expect(await field({ sku: 'new-thing', name: 'New', quantity: 1 })).toEqual(['unit_price']);
    expect(await field({ sku: 'grinder', quantity: 1_000_001 })).toEqual(['quantity']);
    expect(await field({ sku: 'grinder', name: 'n'.repeat(201), quantity: 1 })).toEqual(['name']);
    expect(await refusal(client.call(getItem, { sku: 'new-thing' }))).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a token', () => {
  const key = (secret: string) => new TextEncoder().encode(secret);
  const claims = (role?: string) => withoutEnd(role).setExpirationTime('1h');
  const withoutEnd = (role?: string) =>
    new SignJWT(role === undefined ? {} : { role }).setProtectedHeader({ alg: 'HS256' });
  const bad: Record<string, { reason: string; authorization: () => Promise<string> | string }> = {
    'that is missing': { reason: 'TOKEN_MISSING', authorization: () => '' },
    'that is no bearer token': { reason: 'TOKEN_MISSING', authorization: () => 'Basic YWxpY2U6cGFzcw==' },
    'that is garbage': { reason: 'TOKEN_INVALID', authorization: () => 'Bearer garbage' },
    'that looks like one': { reason: 'TOKEN_INVALID', authorization: () => 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA' },
    'that has expired': { reason: 'TOKEN_EXPIRED', authorization: () => bearer('alice', 'customer', '-1s') },
    'signed with another key': {
      reason: 'TOKEN_INVALID',
      authorization: async () =>
        `Bearer ${await claims('customer')
          .setSubject('alice')
          .sign(key('x'.repeat(32)))}`,
    },
    'signed with nothing (alg: none)': {
      reason: 'TOKEN_INVALID',
      authorization: () =>
        `Bearer ${new UnsecuredJWT({ role: 'operator' }).setSubject('alice').setExpirationTime('1h').encode()}`,
    },
    'that never expires': {
      reason: 'TOKEN_INVALID',
      authorization: async () =>
        `Bearer ${await withoutEnd('customer').setSubject('alice').sign(key(DEVELOPMENT_KEY))}`,
    },
    'without a role': {
      reason: 'TOKEN_INVALID',
      authorization: async () => `Bearer ${await claims().setSubject('alice').sign(key(DEVELOPMENT_KEY))}`,
    },
    'with a role that there is not': {
      reason: 'TOKEN_INVALID',
      authorization: async () => `Bearer ${await claims('root').setSubject('alice').sign(key(DEVELOPMENT_KEY))}`,
    },
    'without a subject': {
      reason: 'TOKEN_INVALID',
      authorization: async () => `Bearer ${await claims('customer').sign(key(DEVELOPMENT_KEY))}`,
    },
    'that begins later': {
      reason: 'TOKEN_INVALID',
      authorization: async () =>
        `Bearer ${await claims('customer').setSubject('alice').setNotBefore('1h').sign(key(DEVELOPMENT_KEY))}`,
    },
  };

  test.each(Object.entries(bad))('%s is UNAUTHENTICATED at both doors, for calls and for streams', async (_, each) => {
    const authorization = await each.authorization();
    for (const client of [grpcClient(platform, authorization), connectClient(platform, authorization)]) {
      const orderId = randomUUID();
      const refused = [
        await refusal(client.call(placeOrder, anOrder())),
        await refusal(client.call(listItems, {})),
        await refusal(all(client.stream(watchOrder, { orderId }))),
      ];
      for (const one of refused) expect(one).toMatchObject({ code: 'UNAUTHENTICATED', reason: each.reason });
    }
  });
});

describe('what is no message', () => {
  test('is INVALID_ARGUMENT at the gRPC door', async () => {
    const refused = await rawGrpc('/causeway.orders.v1.OrderService/PlaceOrder', Buffer.from([0x0a, 0xff]));

    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(Object.keys(refused.fields)).toEqual(['PlaceOrderRequest']);
  });

  test.each([
    ['protobuf that ends too early', 'application/proto', Buffer.from([0x0a, 0xff])],
    ['text in place of protobuf', 'application/proto', Buffer.from('order, please')],
    ['JSON that ends too early', 'application/json', Buffer.from('{"lines": [')],
    ['JSON of another kind', 'application/json', Buffer.from('[]')],
    ['a text where a list belongs', 'application/json', Buffer.from('{"lines": "coffee-beans"}')],
    ['a text where a number belongs', 'application/json', Buffer.from('{"lines": [{"quantity": "two"}]}')],
    ['a number below nothing', 'application/json', Buffer.from('{"lines": [{"quantity": -1}]}')],
    ['a field that there is not', 'application/json', Buffer.from(JSON.stringify({ requestID: 'r' }))],
    ['bytes that are no UTF-8', 'application/json', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
  ])('is INVALID_ARGUMENT at the Connect door: %s', async (_, contentType, body) => {
    const { status, refused } = await rawConnect('causeway.orders.v1.OrderService/PlaceOrder', contentType, body);

    expect(status).toBe(400);
    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(Object.keys(refused.fields)).toEqual(['PlaceOrderRequest']);
  });

  test('is INVALID_ARGUMENT over gRPC-Web too', async () => {
    const body = Buffer.from([0, 0, 0, 0, 2, 0x0a, 0xff]);
    const response = await fetch(`${platform.http}/causeway.orders.v1.OrderService/PlaceOrder`, {
      method: 'POST',
      headers: { 'content-type': 'application/grpc-web+proto', authorization: token },
      body,
    });
    const said = `${JSON.stringify([...response.headers])}${await response.text()}`;

    expect(said).toMatch(/grpc-status["',: ]*3\b/);
    expect(said).toContain('grpc-status-details-bin');
  });

  test('an unknown name of a status is INVALID_ARGUMENT, and not any status', async () => {
    const body = Buffer.from('{"status": "ORDER_STATUS_LOST"}');

    const { status, refused } = await rawConnect(
      'causeway.orders.v1.OrderService/ListOrders',
      'application/json',
      body,
    );

    expect(status).toBe(400);
    expect(refused.code).toBe('INVALID_ARGUMENT');
  });

  test('an unknown number of a status in JSON is INVALID_ARGUMENT and names the field', async () => {
    const body = Buffer.from('{"status": 99}');

    const { refused } = await rawConnect('causeway.orders.v1.OrderService/ListOrders', 'application/json', body);

    expect([refused.code, ...Object.keys(refused.fields)]).toEqual(['INVALID_ARGUMENT', 'status']);
  });

  test('of a kind that nobody reads is told so', async () => {
    const response = await fetch(`${platform.http}/causeway.orders.v1.OrderService/PlaceOrder`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', authorization: token },
      body: 'order, please',
    });

    expect(response.status).toBe(415);
  });
});

describe('every list in a request', () => {
  const listsIn = ({ fields }: DescMessage): DescField[] =>
    fields.flatMap((field) => [
      ...(field.fieldKind === 'list' || field.fieldKind === 'map' ? [field] : []),
      ...('message' in field && field.message !== undefined ? listsIn(field.message) : []),
    ]);
  const lists = [OrderService, InventoryService].flatMap(({ methods }) =>
    methods.flatMap(({ input }) => listsIn(input)),
  );

  test.each(lists.map((list) => [list.toString(), list] as const))('is bounded by the contract: %s', (_, list) => {
    const { type } = getOption(list, rulesOf);
    expect(type.case === 'repeated' ? Number(type.value.maxItems) : 0).toBeGreaterThan(0);
  });
});

describe('what there is not', () => {
  test.each(['causeway.orders.v1.OrderService/StealOrder', 'causeway.orders.v1.NoService/PlaceOrder'])(
    'the method %s is UNIMPLEMENTED at both doors',
    async (path) => {
      expect((await rawGrpc(`/${path}`, Buffer.alloc(0))).code).toBe('UNIMPLEMENTED');
      const { status, refused } = await rawConnect(path, 'application/json', Buffer.from('{}'));
      expect([status, refused.code]).toEqual([501, 'UNIMPLEMENTED']);
    },
  );

  test('a page is 404', async () => {
    expect((await fetch(`${platform.http}/nothing/here`)).status).toBe(404);
  });

  test('fields that a newer client knows are left alone at the gRPC door', async () => {
    const known = toBinary(PlaceOrderRequestSchema, create(PlaceOrderRequestSchema, anOrder()));
    const unknownField = Buffer.from([0xf8, 0x3f, 0x01]);

    await expect(
      rawGrpc('/causeway.orders.v1.OrderService/PlaceOrder', Buffer.concat([known, unknownField])),
    ).rejects.toThrow('was not refused');
  });
});

/** What these bytes, sent as a message, are refused with. */
function rawGrpc(path: string, bytes: Buffer): Promise<Refused> {
  const client = new GrpcClient(platform.grpc, credentials.createInsecure());
  atTheEnd(async () => client.close());
  const metadata = new Metadata();
  metadata.set('authorization', token);
  const same = (value: Buffer) => value;
  const call = new Promise((resolve, reject) =>
    client.makeUnaryRequest(path, same, same, bytes, metadata, (error, answer) =>
      error === null ? resolve(answer) : reject(refusedByGrpc(error)),
    ),
  );
  return refusal(call.then(() => Promise.reject(new Error('was not refused'))));
}

async function rawConnect(path: string, contentType: string, body: Uint8Array<ArrayBuffer>) {
  const response = await fetch(`${platform.http}/${path}`, {
    method: 'POST',
    headers: { 'content-type': contentType, authorization: token },
    body,
  });
  const refused = await refusal(
    response.json().then((error) => Promise.reject(refusedByConnect(error as ConnectErrorJson))),
  );
  return { status: response.status, refused };
}
