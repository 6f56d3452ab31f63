import { randomBytes, randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { connectBroker } from '#kit/broker.ts';
import { Header } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { journalOf } from '#kit/streams.ts';
import { type OwnServer, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { fetchClient, readByGet } from '../interop/fetch-client.ts';
import { grpcJsClient } from '../interop/grpc-js-client.ts';
import { orderRequest } from '../interop/order-client.ts';
import { bearer, nothingFollows, type PlatformProcess, platformProcess } from '../platform.ts';
import { type ReceivedSpan, startOtlpReceiver } from './otlp-receiver.ts';
import { seriesIn } from './prometheus.ts';

let nats: OwnServer;
let platform: PlatformProcess;
let spans: ReceivedSpan[];
let ada: string;

beforeAll(async () => {
  const broker = ownNats();
  const receiver = await startOtlpReceiver();
  spans = receiver.spans;
  nats = await broker;
  ada = await bearer('ada');
  platform = await platformProcess({
    ...nothingFollows,
    NATS_URL: nats.url,
    MONGODB_URI: sharedMongoUri(),
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    LOG_LEVEL: 'debug',
    RATE_LIMIT: '0',
  });
});

/** What the caller of a call sends along, as its own tracing would. */
function callersTrace() {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01`, correlationId: `checkout-${randomUUID()}` };
}

type Trace = ReturnType<typeof callersTrace>;

async function placeIn({ traceparent, correlationId }: Trace) {
  const request = orderRequest();
  const client = grpcJsClient(platform.grpc, ada, { traceparent, 'x-correlation-id': correlationId });
  const placed = await client.place(request);
  await client.read(request.orderId, [placed.position]);
  return { request, ...placed };
}

type LogLine = Record<string, unknown> & { level: string; msg: string };

function logLines(): LogLine[] {
  return platform
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{"level"'))
    .map((line) => JSON.parse(line));
}

async function metrics(): Promise<string> {
  return (await fetch(`${platform.http}/metrics`)).text();
}

describe('one trace', () => {
  test("runs from the client's call through the publish and the projection to the write in the database", async () => {
    const trace = callersTrace();
    await placeIn(trace);

    const named = (name: string) => spans.find((span) => span.traceId === trace.traceId && span.name === name);
    // A span is sent when it has ended, a parent later than its children.
    const query = () => named('causeway.orders.v1.OrderService/GetOrder');
    const late = ['bulkWrite orders_v2', 'process orders-orders_v2', 'process orders-history_v3'];
    await expect.poll(() => late.filter((name) => named(name) === undefined), { timeout: 10_000 }).toEqual([]);
    await expect.poll(query, { timeout: 10_000 }).toMatchObject({ kind: 'SERVER', parentSpanId: trace.spanId });
    const call = named('causeway.orders.v1.OrderService/PlaceOrder');
    expect(call).toMatchObject({
      kind: 'SERVER',
      parentSpanId: trace.spanId,
      attributes: { 'rpc.response.status_code': 'OK' },
      failed: false,
    });
    const published = named('send ORDERS');
    expect(published).toMatchObject({
      kind: 'PRODUCER',
      parentSpanId: call?.spanId,
      attributes: { 'messaging.system': 'nats', 'messaging.destination.name': 'ORDERS' },
    });
    const projected = named('process orders-orders_v2');
    expect(projected).toMatchObject({
      kind: 'CONSUMER',
      parentSpanId: published?.spanId,
      attributes: { 'messaging.consumer.group.name': 'orders-orders_v2', 'messaging.batch.message_count': '1' },
    });
    expect(named('bulkWrite orders_v2')).toMatchObject({
      kind: 'CLIENT',
      parentSpanId: projected?.spanId,
      attributes: { 'db.system.name': 'mongodb', 'db.operation.name': 'bulkWrite', 'db.collection.name': 'orders_v2' },
    });
    expect(named('process orders-history_v3')).toMatchObject({ kind: 'CONSUMER', parentSpanId: published?.spanId });
    expect(spans.find((span) => span.parentSpanId === query()?.spanId)).toMatchObject({
      name: 'find orders_v2',
      kind: 'CLIENT',
    });
  });

  test('is in the log lines of the call, with its correlation id and its order', async () => {
    const { traceId, ...rest } = callersTrace();
    const { orderId } = await placeIn({ traceId, ...rest });

    const lines = logLines().filter((line) => line.trace_id === traceId);

    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'debug',
        msg: 'called',
        method: 'causeway.orders.v1.OrderService/PlaceOrder',
        code: 'OK',
        correlation_id: rest.correlationId,
        aggregate: `order ${orderId}`,
      }),
    );
  });

  test("is in the headers of the stored event, and in the order's history", async () => {
    const trace = callersTrace();
    const { orderId, position } = await placeIn(trace);
    const broker = await connectBroker({ url: nats.url, name: 'test' });
    const stored = await new Journal(journalOf('orders'), broker).last(subjectOf('orders', 'order', orderId));
    await broker.close();

    expect(stored?.headers.get(Header.traceparent)).toMatch(new RegExp(`^00-${trace.traceId}-[0-9a-f]{16}-01$`));
    expect(stored?.headers.get(Header.correlation)).toBe(trace.correlationId);
    const query = { orderId, atLeast: [position] };
    const history = await readByGet(platform.http, ada, 'GetOrderHistory', query);
    expect(await history.json()).toMatchObject({
      events: [{ traceId: trace.traceId, correlationId: trace.correlationId }],
    });
  });

  test('of many orders at once: the batch that writes them is linked with the publish of each of them', async () => {
    const client = grpcJsClient(platform.grpc, ada);
    await Promise.all(Array.from({ length: 100 }, () => client.place(orderRequest())));

    const batch = () => spans.find((span) => span.name === 'process orders-orders_v2' && span.links.length > 1);
    await expect.poll(batch, { timeout: 10_000 }).toBeDefined();
    const published = () => spans.filter((span) => span.name === 'send ORDERS').map(({ spanId }) => spanId);
    await expect.poll(published, { timeout: 10_000 }).toEqual(expect.arrayContaining(batch()?.links ?? []));
    expect(batch()).toMatchObject({
      kind: 'CONSUMER',
      parentSpanId: '',
      attributes: { 'messaging.batch.message_count': String(batch()?.links.length) },
    });
  });
});

describe('/metrics', () => {
  test('shows calls, commands by result, publishes, what consumers did, and how far views are behind', async () => {
    const request = orderRequest();
    const client = fetchClient(platform.http, ada);
    const { position } = await client.place(request);
    await client.read(request.orderId, [position]);
    await expect(client.place({ ...request, email: 'eve@example.com' })).rejects.toThrow();

    const text = await metrics();

    const rpc = { rpc_method: 'causeway.orders.v1.OrderService/PlaceOrder' };
    const calls = 'rpc_server_call_duration_seconds_count';
    expect(seriesIn(text, calls, { ...rpc, rpc_response_status_code: 'OK' })).toBeGreaterThan(0);
    expect(seriesIn(text, calls, { ...rpc, rpc_response_status_code: 'ALREADY_EXISTS' })).toBeGreaterThan(0);
    expect(seriesIn(text, 'causeway_commands_total', { aggregate: 'order', result: 'done' })).toBeGreaterThan(0);
    expect(seriesIn(text, 'causeway_commands_total', { aggregate: 'order', result: 'ALREADY_EXISTS' })).toBeGreaterThan(
      0,
    );
    expect(seriesIn(text, 'causeway_events_total', { stream: 'ORDERS', type: 'OrderPlaced' })).toBeGreaterThan(0);
    expect(seriesIn(text, 'causeway_partitions_owned', { service: 'orders' })).toBe(8);
    expect(seriesIn(text, 'causeway_dead_letters', { consumer: 'orders-history_v3' })).toBe(0);
    const published = { messaging_destination_name: 'ORDERS', result: 'done' };
    expect(seriesIn(text, 'messaging_client_operation_duration_seconds_count', published)).toBeGreaterThan(0);
    const consumed = { messaging_consumer_group_name: 'orders-orders_v2', outcome: 'done' };
    expect(seriesIn(text, 'messaging_process_duration_seconds_count', consumed)).toBeGreaterThan(0);
    expect(seriesIn(text, 'messaging_client_consumed_messages_total', consumed)).toBeGreaterThan(0);
    expect(seriesIn(text, 'causeway_projection_delay_seconds_count', { view: 'orders' })).toBeGreaterThan(0);
    expect(seriesIn(text, 'causeway_stream_bytes', { stream: 'ORDERS' })).toBeGreaterThan(0);
    expect(seriesIn(text, 'process_memory_usage_bytes', {})).toBeGreaterThan(1_000_000);
    expect(seriesIn(text, 'process_cpu_time_seconds_total', {})).toBeGreaterThan(0);
    expect(seriesIn(text, 'nodejs_eventloop_delay_p99_seconds', {})).toBeGreaterThan(0);
    expect(seriesIn(text, 'causeway_stream_bytes_limit', { stream: 'ORDERS' })).toBeGreaterThan(1_000_000);
    for (const consumer of ['orders-orders_v2-0', 'orders-history_v3-7']) {
      expect(seriesIn(text, 'causeway_consumer_lag', { stream: 'ORDERS', consumer })).toBe(0);
      expect(seriesIn(text, 'causeway_consumer_redelivered', { stream: 'ORDERS', consumer })).toBe(0);
    }
    expect(seriesIn(text, 'causeway_consumer_lag', { stream: 'INVENTORY', consumer: 'inventory-items_v2-0' })).toBe(0);
  });

  test('shows what a consumer has given up', async () => {
    const broker = await connectBroker({ url: nats.url, name: 'test' });
    await broker.js.publish(subjectOf('orders', 'order', randomUUID()), 'no event');
    await broker.close();

    const consumer = 'orders-orders_v2';
    await expect
      .poll(async () => seriesIn(await metrics(), 'causeway_dead_letters', { consumer }), { timeout: 10_000 })
      .toBe(1);
    const parked = { consumer, reason: 'CANNOT_DECODE' };
    await expect.poll(async () => seriesIn(await metrics(), 'causeway_consumer_parked_total', parked)).toBe(1);
  });
});

describe('the log', () => {
  const aboutCalls = (code: string) => logLines().filter((line) => line.msg === 'called' && line.code === code);

  test('has a line for a refusal, with its reason, and says what went well only when it is asked for', async () => {
    const request = orderRequest();
    const client = fetchClient(platform.http, ada);
    await client.place(request);
    await expect(client.place({ ...request, paymentMethod: 'pm_declined' })).rejects.toThrow();

    const aggregate = `order ${request.orderId}`;
    expect(aboutCalls('ALREADY_EXISTS').at(-1)).toMatchObject({ level: 'info', aggregate });
    expect(aboutCalls('OK').at(-1)).toMatchObject({ level: 'debug' });
  });

  test('has no personal data in it, whatever happened', async () => {
    const { email, shipTo } = orderRequest();

    expect(logLines().length).toBeGreaterThan(100);
    for (const personal of [email, shipTo.name, shipTo.line1]) expect(platform.output()).not.toContain(personal);
  });

  test('warns of a call that could not be answered because the broker is away', async () => {
    await nats.kill();
    await expect(fetchClient(platform.http, ada).place(orderRequest())).rejects.toThrow();

    expect(aboutCalls('UNAVAILABLE').at(-1)).toMatchObject({ level: 'warn', service: 'gateway' });
  });

  test('says when the process started and that it stops', async () => {
    await platform.kill('SIGTERM');

    const said = logLines().map(({ level, msg }) => `${level}: ${msg}`);
    expect(said).toContain('info: the platform is running');
    expect(said).toContain('info: the platform stops');
  });
});
