import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '#kit/local/free-port.ts';
import { programEnvironment } from '#kit/testing/program-environment.ts';
import { atTheEnd, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { fetchClient } from './interop/fetch-client.ts';
import { grpcJsClient } from './interop/grpc-js-client.ts';
import { type EventJson, type OrderClient, orderRequest, refusal } from './interop/order-client.ts';
import { bearer, nothingFollows } from './platform.ts';
import { type ReceivedSpan, startOtlpReceiver } from './telemetry/otlp-receiver.ts';

/** One of several processes that together are the platform. */
type Part = {
  grpc: string;
  http: string;
  /** What it has logged since its last start. */
  log(): { msg: string; [field: string]: unknown }[];
  signal(signal: NodeJS.Signals): void;
  kill(): Promise<void>;
  /** Starts it, and resolves once it says that it is ready. */
  start(): Promise<void>;
};

let orders: Part;
let gateway: Part;
let ada: string;
let spans: ReceivedSpan[];

beforeAll(async () => {
  const broker = ownNats();
  const parts: Part[] = [];
  atTheEnd(async () => {
    await Promise.all(parts.map((each) => each.kill()));
  });
  const receiver = await startOtlpReceiver();
  spans = receiver.spans;
  const observed = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const servers = { NATS_URL: (await broker).url, MONGODB_URI: sharedMongoUri(), ...observed };
  ada = await bearer('ada');
  const inventory = await part('services/inventory/main.ts', 'SERVICE', servers);
  orders = await part('services/orders/main.ts', 'SERVICE', servers);
  gateway = await part('gateway/main.ts', 'GATEWAY', {
    ...nothingFollows,
    ORDERS_URL: `http://${orders.grpc}`,
    INVENTORY_URL: `http://${inventory.grpc}`,
    RATE_LIMIT: '0',
    ...observed,
  });
  parts.push(inventory, orders, gateway);
  await Promise.all(parts.map((each) => each.start()));
});

/** A process on free ports, not started yet. */
async function part(program: string, prefix: string, settings: Record<string, string>): Promise<Part> {
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const http = `http://127.0.0.1:${httpPort}`;
  const ports = { [`${prefix}_GRPC_PORT`]: String(grpcPort), [`${prefix}_HTTP_PORT`]: String(httpPort) };
  let child: ChildProcess | undefined;
  let printed = '';
  return {
    grpc: `127.0.0.1:${grpcPort}`,
    http,
    log: () =>
      printed
        .split('\n')
        .filter((line) => line.startsWith('{"level"') && line.endsWith('}'))
        .map((line) => JSON.parse(line)),
    signal: (signal) => child?.kill(signal),
    kill: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    start: async () => {
      printed = '';
      const started = spawn(process.execPath, [program], {
        cwd: new URL('..', import.meta.url),
        env: { ...programEnvironment(), LOG_LEVEL: 'debug', ...ports, ...settings },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child = started;
      started.stderr.on('data', (chunk) => {
        printed += chunk;
      });
      await vi.waitFor(
        async () => {
          const status = started.exitCode === null ? await ready(http) : undefined;
          if (status !== 200) throw new Error(`${program} is not ready:\n${printed}`);
        },
        { timeout: 30_000, interval: 50 },
      );
    },
  };
}

/** Status of `/readyz`; undefined where nobody listens. */
async function ready(http: string): Promise<number | undefined> {
  return fetch(`${http}/readyz`).then(
    ({ status }) => status,
    () => undefined,
  );
}

const doors: Record<string, () => OrderClient> = {
  'the gRPC door': () => grpcJsClient(gateway.grpc, ada),
  'the HTTP door': () => fetchClient(gateway.http, ada),
};

describe.each(Object.entries(doors))('three processes, through %s', (_, makeClient) => {
  test('an order is placed, read, watched and cancelled', async () => {
    const client = makeClient();
    const request = orderRequest();
    const placed = await client.place(request);
    expect(await client.place(request)).toEqual(placed);
    expect(await client.read(request.orderId, [placed.position])).toMatchObject({ status: 'ORDER_STATUS_PLACED' });

    const seen: EventJson[] = [];
    for await (const event of client.watch(request.orderId)) {
      seen.push(event);
      if (seen.length === 2) break;
      await client.cancel(request.orderId);
    }

    expect(seen).toMatchObject([
      { type: 'causeway.orders.v1.OrderPlaced', data: { email: request.email } },
      { type: 'causeway.orders.v1.OrderCancelled', data: { reason: 'too late' } },
    ]);
  });

  test('an error of the service comes with its details, from a call and from a stream', async () => {
    const client = makeClient();
    const request = orderRequest();
    const { orderId } = request;

    expect(await refusal(client.place({ ...request, lines: [] }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      fields: ['lines'],
    });
    const unknown = { code: 'NOT_FOUND', message: `there is no order ${orderId}`, reason: 'ORDER_UNKNOWN' };
    expect(await refusal(client.read(orderId))).toMatchObject({ ...unknown, metadata: { order_id: orderId } });
    expect(await refusal(first(client.watch(orderId)))).toMatchObject(unknown);
  });
});

test('a service by itself listens where it is told to, which is on this machine only', async () => {
  for (const port of [orders.grpc, orders.http].map((address) => Number(address.split(':').at(-1)))) {
    // Whatever listens on every address answers here too.
    await expect(connected('127.0.0.2', port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await connected('127.0.0.1', port);
  }
});

test('one trace runs through the gateway and the service behind it', async () => {
  const [traceId, callerId] = [randomUUID().replaceAll('-', ''), 'c0ffee00c0ffee00'];
  const client = grpcJsClient(gateway.grpc, ada, { traceparent: `00-${traceId}-${callerId}-01` });
  await client.place(orderRequest());

  const under = (parentSpanId: string | undefined) =>
    spans.find((span) => span.traceId === traceId && span.parentSpanId === parentSpanId);
  const name = 'causeway.orders.v1.OrderService/PlaceOrder';
  const way = () => {
    const atGateway = under(callerId);
    const passedOn = under(atGateway?.spanId);
    const inOrders = under(passedOn?.spanId);
    return [atGateway, passedOn, inOrders, under(inOrders?.spanId)];
  };
  await expect.poll(way, { timeout: 10_000 }).toMatchObject([
    { name, kind: 'SERVER' },
    { name, kind: 'CLIENT' },
    { name, kind: 'SERVER' },
    { name: 'send ORDERS', kind: 'PRODUCER' },
  ]);
});

test('a client that goes away ends its call in the service too', async () => {
  const correlationId = randomUUID();
  const client = grpcJsClient(gateway.grpc, ada, { 'x-correlation-id': correlationId });
  const request = orderRequest();
  await client.place(request);

  await first(client.watch(request.orderId));

  const ended = () => orders.log().find((line) => line.correlation_id === correlationId && line.code === 'CANCELLED');
  await expect.poll(ended).toMatchObject({ method: 'causeway.orders.v1.OrderService/WatchOrder' });
});

test('the deadline of a call holds while its service hangs', async () => {
  orders.signal('SIGSTOP');
  try {
    const started = performance.now();
    const response = await fetch(`${gateway.http}/causeway.orders.v1.OrderService/PlaceOrder`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: ada, 'connect-timeout-ms': '300' },
      body: JSON.stringify(orderRequest()),
    });

    expect(await response.json()).toMatchObject({ code: 'deadline_exceeded' });
    expect(performance.now() - started).toBeLessThan(2_000);
  } finally {
    orders.signal('SIGCONT');
  }
});

test('a service that dies is UNAVAILABLE within 2 s, unready, and back by itself when it is started again', async () => {
  const request = orderRequest();
  const [byGrpc, byHttp] = Object.values(doors).map((makeClient) => makeClient());
  const placed = await byGrpc?.place(request);

  await orders.kill();

  for (const client of [byGrpc, byHttp]) {
    const started = performance.now();
    expect(await refusal(client?.place(request) ?? Promise.resolve())).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'SERVICE_AWAY',
      retryAfterMs: 1_000,
    });
    expect(performance.now() - started).toBeLessThan(2_000);
    const watched = client === undefined ? Promise.resolve() : first(client.watch(request.orderId));
    expect(await refusal(watched)).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 1_000 });
  }
  expect(await ready(gateway.http)).toBe(503);

  await orders.start();
  await expect.poll(() => ready(gateway.http), { timeout: 10_000 }).toBe(200);
  expect(await byHttp?.place(request)).toEqual(placed);
});

async function connected(host: string, port: number): Promise<void> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

async function first(events: AsyncIterable<EventJson>): Promise<EventJson | undefined> {
  for await (const event of events) return event;
  return undefined;
}
