import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { DeliveryStatus, WebhookService } from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import { DeadLetterDesk } from '#kit/dead-letter-desk.ts';
import { partitionOf } from '#kit/partitions.ts';
import type { Logger } from '#kit/telemetry/logging.ts';
import { ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { type Receiver, startReceiver } from './testing/receiver.ts';
import { quick, type Running, running } from './testing/running.ts';

const { createEndpoint, setEndpointEnabled, listEndpoints, listDeliveries } = WebhookService.method;

const consumer = 'integration-deliver-on-delivery-requested';
const servers = async () => ({ natsUrl: (await ownNats()).url, mongodbUri: sharedMongoUri() });

let service: Running;
const logged: string[] = [];

beforeAll(async () => {
  const log = (fields: object, message: string) => void logged.push(`${JSON.stringify(fields)} ${message}`);
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  service = await running(await servers(), { logger });
});

/** Until a delivery about the order, to this endpoint, has come so far. */
async function becomes(orderId: string, endpointId: string, status: DeliveryStatus, of: Running = service) {
  const latest = async () => (await of.deliveries({ key: orderId, endpointId }))[0];
  await expect.poll(async () => (await latest())?.status).toBe(status);
  return (await latest()) as NonNullable<Awaited<ReturnType<typeof latest>>>;
}

const about = ({ received }: Receiver, orderId: string) => received.filter(({ body }) => body.includes(orderId));

describe('an endpoint', () => {
  const url = 'http://127.0.0.1:9/hooks';

  test('is made with a secret that is shown by the answer alone, and by that to the same request again', async () => {
    const request = { url, types: ['causeway.public.v1.StockDepleted'], requestId: randomUUID() };
    const made = await service.call(createEndpoint, request);
    const again = await service.call(createEndpoint, request);

    expect(made).toMatchObject({ version: 1n, position: { stream: 'WEBHOOKS' } });
    expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(again).toEqual(made);
    const atLeast = made.position === undefined ? [] : [made.position];
    const { endpoints } = await service.call(listEndpoints, { atLeast });
    expect(endpoints.find(({ endpointId }) => endpointId === made.endpointId)).toMatchObject({
      ...{ url, types: request.types, enabled: true, version: 1n },
    });
    expect(JSON.stringify(endpoints, (_, value) => String(value))).not.toContain('whsec_');
    await service.call(setEndpointEnabled, { endpointId: made.endpointId, enabled: false });
    expect((await service.call(createEndpoint, request)).secret).toBe(made.secret);
  });

  test('has its secret nowhere in the clear: in no message, no document, no line of the log', async () => {
    const { secret, position } = await service.call(createEndpoint, { url, requestId: randomUUID() });
    await service.call(listEndpoints, { atLeast: position === undefined ? [] : [position] });
    const bytes = Buffer.from(secret.replace('whsec_', ''), 'base64');
    const forms = [secret, secret.slice(6), bytes.toString('hex'), Buffer.from(secret).toString('base64').slice(0, -4)];
    const { manager } = service.parts.broker;
    const told: string[] = [...logged];
    const { state } = await manager.streams.info('WEBHOOKS');
    for (let seq = 1; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage('WEBHOOKS', { seq });
      const header = message?.header.get('Causeway-State') ?? '';
      told.push(Buffer.from(message?.data ?? []).toString('latin1'), Buffer.from(header, 'base64').toString('latin1'));
    }
    for (const { name } of await service.parts.db.listCollections().toArray()) {
      told.push(JSON.stringify(await service.parts.db.collection(name).find().toArray()));
    }
    expect(told.length).toBeGreaterThan(4);
    expect(told.filter((each) => forms.some((form) => each.includes(form)))).toEqual([]);
  });

  test('of a request without an id is another one each time', async () => {
    const [one, other] = [await service.call(createEndpoint, { url }), await service.call(createEndpoint, { url })];
    expect(one.endpointId).not.toBe(other.endpointId);
    expect(one.secret).not.toBe(other.secret);
  });

  test('of a request id is the only one: used for anything else it is ALREADY_EXISTS', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const { endpointId } = await service.call(createEndpoint, { url, requestId: first });
    await service.call(setEndpointEnabled, { endpointId, enabled: false, requestId: second });

    const others = [
      service.call(createEndpoint, { url: `${url}/other`, requestId: first }),
      service.call(createEndpoint, { url, requestId: second }),
      service.call(setEndpointEnabled, { endpointId, enabled: true, requestId: first }),
      service.call(setEndpointEnabled, { endpointId, enabled: true, requestId: second }),
    ];
    for (const other of others) await expect(other).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const again = await service.call(setEndpointEnabled, { endpointId, enabled: false, requestId: second });
    expect(again.version).toBe(2n);
  });

  test('is nobody’s business but an operator’s', async () => {
    const customer = { subject: 'alice', role: 'customer' } as const;
    const calls = [
      service.call(createEndpoint, { url }, customer),
      service.call(setEndpointEnabled, { endpointId: randomUUID(), enabled: false }, customer),
      service.call(listEndpoints, {}, customer),
      service.call(listDeliveries, {}, customer),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  test('is not listed with its deliveries before what its caller knows is shown', async () => {
    const { position } = await service.call(createEndpoint, { url });
    const atLeast = position === undefined ? [] : [position];
    const future = atLeast.map((each) => ({ ...each, sequence: each.sequence + 1_000n }));

    expect((await service.call(listDeliveries, { atLeast })).nextPageToken).toBe('');
    await expect(service.call(listDeliveries, { atLeast: future })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { violations: [{ field: 'at_least[0]' }] },
    });
  });

  test('that can not be is said to be wrong, by its field', async () => {
    const violating = (field: string) => ({ code: 'INVALID_ARGUMENT', details: { violations: [{ field }] } });
    for (const wrong of ['ftp://shop.example/', 'http://user:word@127.0.0.1/', 'hooks']) {
      await expect(service.call(createEndpoint, { url: wrong })).rejects.toMatchObject(violating('url'));
    }
    const types = ['causeway.public.v1.OrderCompleted', 'causeway.orders.v1.OrderCompleted'];
    await expect(service.call(createEndpoint, { url, types })).rejects.toMatchObject(violating('types[1]'));
    const endpointId = randomUUID();
    const unknown = service.call(setEndpointEnabled, { endpointId, enabled: true });
    await expect(unknown).rejects.toMatchObject({ code: 'NOT_FOUND', details: { reason: 'ENDPOINT_UNKNOWN' } });
  });
});

describe('a delivery', () => {
  test('is what Standard Webhooks says, signed, and shown with its attempt', async () => {
    const receiver = await startReceiver();
    const endpointId = await service.add(receiver);
    // The very next thing that happens after an endpoint was made is told.
    const orderId = await service.completeOrder();
    const delivery = await becomes(orderId, endpointId, DeliveryStatus.DELIVERED);

    const [received, ...others] = about(receiver, orderId);
    expect(others).toEqual([]);
    expect(received?.verified).toEqual({
      type: 'causeway.public.v1.OrderCompleted',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      data: {
        orderId,
        customerId: 'alice',
        total: { currencyCode: 'EUR', units: '25', nanos: 500_000_000 },
        completedAt: expect.stringMatching(/Z$/),
      },
    });
    expect(received).toMatchObject({ id: delivery.deliveryId, headers: { 'content-type': 'application/json' } });
    expect(delivery).toMatchObject({ endpointId, eventType: 'causeway.public.v1.OrderCompleted', key: orderId });
    expect(delivery.attempts).toMatchObject([{ httpStatus: 204, error: '' }]);
  });

  test('that fails is tried again until it works, the same each time', async () => {
    const receiver = await startReceiver();
    const endpointId = await service.add(receiver);
    receiver.next(500, (response) => response.writeHead(302, { location: receiver.url }).end());
    const orderId = await service.completeOrder();
    const delivery = await becomes(orderId, endpointId, DeliveryStatus.DELIVERED);

    expect(delivery.attempts.map(({ httpStatus }) => httpStatus)).toEqual([500, 302, 204]);
    expect(delivery.attempts.map(({ error }) => error)).toEqual([
      'the endpoint answered 500',
      'the endpoint answered 302',
      '',
    ]);
    const all = about(receiver, orderId);
    expect(all).toHaveLength(3);
    expect(new Set(all.map(({ id, body }) => `${id} ${body}`)).size).toBe(1);
    for (const { verified } of all) expect(verified).toBeDefined();
  });

  test('is not tried again before the receiver said so', async () => {
    const receiver = await startReceiver();
    const endpointId = await service.add(receiver);
    const at: number[] = [];
    receiver.always = (response) => {
      at.push(performance.now());
      if (at.length === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else response.writeHead(204).end();
    };
    await becomes(await service.completeOrder(), endpointId, DeliveryStatus.DELIVERED);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('to who only wants to know of other types is not made', async () => {
    const [some, all] = [await startReceiver(), await startReceiver()];
    const [ofSome, ofAll] = [
      await service.add(some, ['causeway.public.v1.StockDepleted', 'causeway.public.v1.OrderCancelled']),
      await service.add(all, ['causeway.public.v1.OrderCompleted']),
    ];
    const orderId = await service.completeOrder();
    await becomes(orderId, ofAll, DeliveryStatus.DELIVERED);
    expect(await service.deliveries({ endpointId: ofSome })).toEqual([]);
    expect(some.received).toEqual([]);
  });

  test('is not made of what happened while its endpoint was disabled, and again of what happens afterwards', async () => {
    const [receiver, other] = [await startReceiver(), await startReceiver()];
    const [endpointId, ofOther] = [await service.add(receiver), await service.add(other)];
    await service.call(setEndpointEnabled, { endpointId, enabled: false });
    await becomes(await service.completeOrder(), ofOther, DeliveryStatus.DELIVERED);
    await service.call(setEndpointEnabled, { endpointId, enabled: true });
    const orderId = await service.completeOrder();
    await becomes(orderId, endpointId, DeliveryStatus.DELIVERED);

    expect(await service.deliveries({ endpointId })).toHaveLength(1);
    expect(receiver.received).toHaveLength(1);
  });

  test('to an endpoint that is disabled before it could be made is dropped, and says so', async () => {
    const receiver = await startReceiver();
    const endpointId = await service.add(receiver);
    receiver.always = (response) => {
      void service.call(setEndpointEnabled, { endpointId, enabled: false }).then(() => response.writeHead(503).end());
    };
    const orderId = await service.completeOrder();
    const delivery = await becomes(orderId, endpointId, DeliveryStatus.DROPPED);

    expect(delivery).toMatchObject({ droppedReason: 'the endpoint is disabled', attempts: [{ httpStatus: 503 }] });
    expect(receiver.received).toHaveLength(1);
  });

  test('that is answered 410 Gone disables its endpoint', async () => {
    const receiver = await startReceiver(410);
    const endpointId = await service.add(receiver);
    const delivery = await becomes(await service.completeOrder(), endpointId, DeliveryStatus.DROPPED);

    expect(delivery).toMatchObject({
      droppedReason: 'the endpoint answered 410 Gone',
      attempts: [{ httpStatus: 410, error: 'the endpoint answered 410' }],
    });
    const endpoint = async () =>
      (await service.call(listEndpoints, {})).endpoints.find((each) => each.endpointId === endpointId);
    await expect.poll(async () => (await endpoint())?.enabled).toBe(false);
    expect(await endpoint()).toMatchObject({ disabledReason: 'it answered 410 Gone', version: 2n });
  });

  test('is listed by status and page by page, the newest first', async () => {
    const receiver = await startReceiver();
    const endpointId = await service.add(receiver);
    const orders: string[] = [];
    for (let number = 0; number < 5; number++) {
      orders.unshift(await service.completeOrder());
      await becomes(orders[0] ?? '', endpointId, DeliveryStatus.DELIVERED);
    }
    const keys: string[] = [];
    let pageToken = '';
    do {
      const status = DeliveryStatus.DELIVERED;
      const page = await service.call(listDeliveries, { endpointId, status, pageSize: 2, pageToken });
      keys.push(...page.deliveries.map(({ key }) => key));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(keys).toEqual(orders);
    const pending = await service.call(listDeliveries, { endpointId, status: DeliveryStatus.PENDING });
    expect(pending.deliveries).toEqual([]);
    const wrong = service.call(listDeliveries, { pageToken: 'x' });
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('a delivery that is given up', () => {
  test('is a dead letter, and made when it is replayed: the same, with the same id', async () => {
    const receiver = await startReceiver(500);
    const endpointId = await service.add(receiver);
    const orderId = await service.completeOrder();
    const failed = await becomes(orderId, endpointId, DeliveryStatus.FAILED);
    expect(failed.attempts).toHaveLength(quick.consumer.maxAttempts);
    const desk = new DeadLetterDesk(service.parts.broker);
    const key = failed.deliveryId;
    const row = { consumer, partition: partitionOf(key), key };
    await expect.poll(() => desk.rows({ consumer, key })).toMatchObject([{ ...row, count: 1 }]);

    // In vain first: it stays given up.
    expect(await desk.replay(row)).toMatchObject({ handled: 0, remaining: 1, error: 'the endpoint answered 500' });
    await expect.poll(async () => (await service.deliveries({ endpointId }))[0]?.attempts.length).toBe(5);
    await becomes(orderId, endpointId, DeliveryStatus.FAILED);
    receiver.always = 204;
    expect(await desk.replay(row)).toMatchObject({ handled: 1, remaining: 0 });

    const delivery = await becomes(orderId, endpointId, DeliveryStatus.DELIVERED);
    expect(delivery.attempts).toHaveLength(6);
    expect(new Set(about(receiver, orderId).map(({ id, body }) => `${id} ${body}`)).size).toBe(1);
  });
});

describe('whatever dies, a delivery', () => {
  test('is made again with the same id where its process died between the call and its note', async () => {
    const all = await servers();
    const first = await running(all);
    const receiver = await startReceiver();
    const endpointId = await first.add(receiver);
    let died: Promise<unknown> | undefined;
    receiver.next((response) => {
      died = first.parts.broker.connection.close().then(() => response.writeHead(204).end());
    });
    const orderId = await first.completeOrder();
    await expect.poll(() => died).toBeDefined();
    await died;

    const second = await running(all);
    const delivery = await becomes(orderId, endpointId, DeliveryStatus.DELIVERED, second);
    expect(about(receiver, orderId).map(({ id }) => id)).toEqual([delivery.deliveryId, delivery.deliveryId]);
  });

  test('that was made is not made again, and not asked for twice, whatever is handed out again', async () => {
    const all = await servers();
    const first = await running(all);
    const receiver = await startReceiver();
    const endpointId = await first.add(receiver);
    const orders = [await first.completeOrder(), await first.completeOrder()];
    for (const orderId of orders) await becomes(orderId, endpointId, DeliveryStatus.DELIVERED, first);
    await first.stop();
    const { manager } = first.parts.broker;
    for (const stream of ['ORDERS', 'PUBLIC', 'WEBHOOKS']) {
      for await (const { name } of manager.consumers.list(stream)) await manager.consumers.delete(stream, name);
    }
    const messages = async () => (await manager.streams.info('WEBHOOKS')).state.messages;
    const before = await messages();

    // Its consumers are new to the broker, and get everything once more.
    const second = await running(all);
    const orderId = await second.completeOrder();
    await becomes(orderId, endpointId, DeliveryStatus.DELIVERED, second);
    const left = async () => {
      let sum = 0;
      for await (const { num_pending, num_ack_pending } of manager.consumers.list('WEBHOOKS')) {
        sum += num_pending + num_ack_pending;
      }
      return sum;
    };
    await expect.poll(left).toBe(0);
    expect(receiver.received).toHaveLength(3);
    expect(await messages()).toBe(before + 2);
  });
});

describe('an endpoint that does not answer', () => {
  test('holds none of the others up while it hangs: it never has all of a partition’s lanes', async () => {
    const consumer = { ...quick.consumer, maxKeys: 2, drainMs: 100 };
    const options = { consumer, traffic: { ...quick.traffic, callsWhenWell: 1 }, timeoutMs: 60_000 };
    const own = await running(await servers(), { options });
    const [hanging, good] = [await startReceiver(() => {}), await startReceiver()];
    for (const receiver of [hanging, good]) await own.add(receiver);
    const orders = await Promise.all(Array.from({ length: 24 }, () => own.completeOrder()));

    await expect.poll(() => good.received.length).toBe(24);
    expect(new Set(good.received.map(({ verified }) => verified?.data.orderId))).toEqual(new Set(orders));
    expect(hanging.received.length).toBeGreaterThan(0);
    expect(hanging.received.length).toBeLessThanOrEqual(8);
  });

  test('is not waited for longer than the limit, which is said', async () => {
    const receiver = await startReceiver();
    const endpointId = await service.add(receiver);
    receiver.next(() => {});
    const delivery = await becomes(await service.completeOrder(), endpointId, DeliveryStatus.DELIVERED);
    expect(delivery.attempts.map(({ error }) => error)).toEqual(['no answer after 400 ms', '']);
    expect(delivery.attempts[0]?.durationMs).toBeGreaterThanOrEqual(390);
  });

  test('and is down has only some wait for it: others are given up at once, and can be replayed', async () => {
    const slowly = { minMs: 60_000, maxMs: 120_000 };
    const traffic = { ...quick.traffic, failuresUntilDown: 2, waitingWhenDown: 2 };
    const options = { ...quick, consumer: { ...quick.consumer, maxAttempts: 9, backoff: slowly }, traffic };
    const own = await running(await servers(), { options });
    const down = await startReceiver(500);
    const endpointId = await own.add(down);
    for (const count of [1, 2]) {
      await own.completeOrder();
      await expect.poll(() => down.received.length).toBe(count);
      await expect
        .poll(async () => (await own.deliveries({ endpointId })).flatMap((each) => each.attempts).length)
        .toBe(count);
    }
    const orderId = await own.completeOrder();
    const given = await becomes(orderId, endpointId, DeliveryStatus.FAILED, own);

    expect(given.attempts).toMatchObject([{ httpStatus: 0, error: expect.stringMatching(/^not tried/) }]);
    expect(down.received).toHaveLength(2);
    const key = given.deliveryId;
    const desk = new DeadLetterDesk(own.parts.broker);
    await expect.poll(() => desk.rows({ consumer, key })).toMatchObject([{ first: { reason: 'REFUSED' } }]);
  });
});

describe('in production', () => {
  let own: Running;
  const url = 'https://93.184.215.14/hooks';

  beforeAll(async () => {
    const settings = { environment: 'production', webhookPrivateTargets: undefined } as const;
    own = await running(await servers(), { settings });
  });

  test('an endpoint is https, and on the public internet', async () => {
    for (const wrong of ['http://shop.example/', 'https://127.0.0.1/', 'https://[::1]/', 'https://localhost/']) {
      await expect(own.call(createEndpoint, { url: wrong })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect((await own.call(createEndpoint, { url })).secret).not.toBe('');
  });

  test('fifty endpoints are enabled at most, and who made one is answered again all the same', async () => {
    const requestId = randomUUID();
    const { endpointId } = await own.call(createEndpoint, { url, requestId });
    const enabled = async () => (await own.call(listEndpoints, {})).endpoints.filter((each) => each.enabled).length;
    const refused = { code: 'FAILED_PRECONDITION', details: { reason: 'TOO_MANY_ENDPOINTS' } };
    await expect.poll(enabled).toBe(2);
    for (let count = 2; count < 50; count++) await own.call(createEndpoint, { url });
    await expect(own.call(createEndpoint, { url })).rejects.toMatchObject(refused);
    expect(await own.call(createEndpoint, { url, requestId })).toMatchObject({ endpointId });

    await own.call(setEndpointEnabled, { endpointId, enabled: false });
    await own.call(createEndpoint, { url });
    await expect(own.call(setEndpointEnabled, { endpointId, enabled: true })).rejects.toMatchObject(refused);
  });
});
