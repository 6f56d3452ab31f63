import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { anyIs, anyUnpack, durationMs } from '@bufbuild/protobuf/wkt';
import {
  type ChannelCredentials,
  status as Code,
  credentials,
  Client as GrpcClient,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect } from 'vitest';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import {
  type HistoryEvent,
  OrderService,
  type PlaceOrderRequestSchema,
  type PlaceOrderResponse,
} from '#gen/causeway/orders/v1/orders_service_pb.js';
import { eventRegistry } from '#gen/events.js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '#gen/google/rpc/error_details_pb.js';
import { type Status, StatusSchema } from '#gen/google/rpc/status_pb.js';
import { asBuffer } from '#kit/rpc/bytes.ts';
import type { Caller } from '#kit/rpc/call.ts';
import { atTheEnd } from '#kit/testing/servers.ts';
import { bearer, type Doors } from './platform.ts';

/** An error as every client gets it, whatever the protocol. */
export class Refused extends Error {
  override name = 'Refused';
  /** Name of the canonical code. */
  readonly code: string;
  /** google.rpc.BadRequest: what is wrong, by field. */
  readonly fields: Record<string, string>;
  /** google.rpc.ErrorInfo. */
  readonly reason: string | undefined;
  readonly metadata: Record<string, string>;
  /** google.rpc.RetryInfo. */
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, details: Status['details'] = []) {
    super(message);
    this.code = code;
    const unpacked = <Desc extends DescMessage>(desc: Desc) =>
      details.filter((any) => anyIs(any, desc)).map((any) => anyUnpack(any, desc) as MessageShape<Desc>);
    const violations = unpacked(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
    const [info] = unpacked(ErrorInfoSchema);
    const delay = unpacked(RetryInfoSchema)[0]?.retryDelay;
    this.fields = Object.fromEntries(violations.map(({ field, description }) => [field, description]));
    this.reason = info?.reason;
    this.metadata = info?.metadata ?? {};
    this.retryAfterMs = delay === undefined ? undefined : durationMs(delay);
  }
}

export type CallOptions = {
  /** The client stops waiting after so long, and tells the server. */
  timeoutMs?: number;
  signal?: AbortSignal;
};

/** A caller at one of the doors. */
export type Client = {
  door: 'gRPC' | 'Connect';
  /** @throws Refused */
  call<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input>,
    options?: CallOptions,
  ): Promise<MessageShape<Output>>;
  /** @throws Refused */
  stream<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodServerStreaming<Input, Output>,
    request: MessageInitShape<Input>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<Output>>;
};

/** Both doors for one caller. */
export async function clients(doors: Doors, subject: string, role: Caller['role'] = 'customer'): Promise<Client[]> {
  const authorization = await bearer(subject, role);
  return [grpcClient(doors, authorization), connectClient(doors, authorization)];
}

/** A caller at the gRPC door. */
export async function grpcAs(doors: Doors, subject: string, role: Caller['role'] = 'customer'): Promise<Client> {
  return grpcClient(doors, await bearer(subject, role));
}

/** A client of the real @grpc/grpc-js, closed when the test, or its file, ends. @param authorization empty: no token. */
export function grpcClient(
  { grpc }: Doors,
  authorization: string,
  channel: ChannelCredentials = credentials.createInsecure(),
): Client {
  const client = new GrpcClient(grpc, channel, {
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 200,
    // Each of a channel's own: one test's broken connection is not another's.
    'grpc.use_local_subchannel_pool': 1,
  });
  atTheEnd(async () => client.close());
  const metadata = new Metadata();
  if (authorization !== '') metadata.set('authorization', authorization);
  return {
    door: 'gRPC',
    call: (method, request, { timeoutMs, signal } = {}) =>
      new Promise((resolve, reject) => {
        const call = client.makeUnaryRequest(
          pathOf(method),
          asBuffer,
          (bytes) => fromBinary(method.output, bytes),
          toBinary(method.input, create(method.input, request)),
          metadata,
          timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
          (error, answer) => (error === null ? resolve(answer as never) : reject(refusedByGrpc(error))),
        );
        signal?.addEventListener('abort', () => call.cancel(), { once: true });
      }),
    async *stream(method, request, { timeoutMs, signal } = {}) {
      const call = client.makeServerStreamRequest(
        pathOf(method),
        asBuffer,
        (bytes) => fromBinary(method.output, bytes),
        toBinary(method.input, create(method.input, request)),
        metadata,
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
      );
      const cancel = () => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      try {
        for await (const answer of call) yield answer as never;
      } catch (error) {
        throw refusedByGrpc(error as ServiceError);
      } finally {
        signal?.removeEventListener('abort', cancel);
        call.cancel();
      }
    },
  };
}

/** Connect's JSON by plain fetch. @param authorization empty: no token. */
export function connectClient({ http }: Doors, authorization: string): Client {
  const headersOf = (contentType: string, timeoutMs: number | undefined) => ({
    'content-type': contentType,
    ...(authorization === '' ? {} : { authorization }),
    ...(timeoutMs === undefined ? {} : { 'connect-timeout-ms': String(timeoutMs) }),
  });
  return {
    door: 'Connect',
    async call(method, request, { timeoutMs, signal } = {}) {
      const response = await fetch(`${http}${pathOf(method)}`, {
        method: 'POST',
        headers: headersOf('application/json', timeoutMs),
        body: jsonOf(method.input, request),
        signal: signal ?? null,
      });
      const body = (await response.json()) as JsonValue;
      if (!response.ok) throw refusedByConnect(body as ConnectErrorJson);
      return fromJson(method.output, body, { registry: eventRegistry }) as never;
    },
    async *stream(method, request, { timeoutMs, signal } = {}) {
      const response = await fetch(`${http}${pathOf(method)}`, {
        method: 'POST',
        headers: headersOf('application/connect+json', timeoutMs),
        body: enveloped(jsonOf(method.input, request)),
        signal: signal ?? null,
      });
      for await (const { last, json } of envelopes(response.body as AsyncIterable<Uint8Array>)) {
        if (!last) yield fromJson(method.output, json, { registry: eventRegistry }) as never;
        else if ((json as StreamEnd).error !== undefined) throw refusedByConnect((json as StreamEnd).error);
      }
    },
  };
}

function pathOf({ parent, name }: DescMethodUnary | DescMethodServerStreaming): string {
  return `/${parent.typeName}/${name}`;
}

function jsonOf<Input extends DescMessage>(type: Input, request: MessageInitShape<Input>): string {
  return JSON.stringify(toJson(type, create(type, request)));
}

export function refusedByGrpc({ code, details, metadata }: ServiceError): Refused {
  const [encoded] = metadata?.get('grpc-status-details-bin') ?? [];
  const status = Buffer.isBuffer(encoded) ? fromBinary(StatusSchema, encoded) : undefined;
  const name = Code[code] ?? String(code);
  if (status !== undefined) expect([Code[status.code], status.message]).toEqual([name, details]);
  return new Refused(name, details, status?.details);
}

export type ConnectErrorJson = { code: string; message?: string; details?: { type: string; value: string }[] };
type StreamEnd = { error: ConnectErrorJson };

export function refusedByConnect({ code, message = '', details = [] }: ConnectErrorJson): Refused {
  const name = code === 'canceled' ? 'CANCELLED' : code.toUpperCase();
  const status = create(StatusSchema, {
    details: details.map(({ type, value }) => ({
      typeUrl: `type.googleapis.com/${type}`,
      value: Buffer.from(value, 'base64'),
    })),
  });
  return new Refused(name, message, status.details);
}

/** A message of a Connect stream: a byte of flags, four of length, then the message. */
function enveloped(message: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(message);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return new Uint8Array(Buffer.concat([head, bytes]));
}

async function* envelopes(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<{ last: boolean; json: JsonValue }> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of chunks) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
      const end = 5 + bytes.readUInt32BE(1);
      yield { last: (bytes[0] ?? 0) === 2, json: JSON.parse(bytes.subarray(5, end).toString()) };
      bytes = bytes.subarray(end);
    }
  }
}

/** What a call is refused with. It says nothing of what is inside: no stack, no file, no part's name. */
export async function refusal(call: Promise<unknown>): Promise<Refused> {
  const outcome = await call.then(
    (answer) => answer,
    (error) => error,
  );
  if (!(outcome instanceof Refused)) expect(outcome).toBeInstanceOf(Refused);
  const refused = outcome as Refused;
  const said = `${refused.message} ${Object.values(refused.fields).join(' ')} ${Object.values(refused.metadata).join(' ')}`;
  expect(said).not.toMatch(
    /\n\s*at |\.[jt]s\b|node_modules|[A-Z]\w*Error\b|[Mm]ongo|NATS|nats|[Jj]et[Ss]tream|ECONN|127\.0\.0\.1/,
  );
  return refused;
}

/** Another order each time. */
export function anOrder(
  fields: Partial<MessageInitShape<typeof PlaceOrderRequestSchema>> = {},
): Exclude<MessageInitShape<typeof PlaceOrderRequestSchema>, { $typeName: string }> {
  return {
    orderId: randomUUID(),
    lines: [{ sku: 'coffee-beans', quantity: 2 }],
    email: 'ada@example.org',
    paymentMethod: 'pm_ok',
    shipTo: { name: 'Ada King', line1: '12 Square', city: 'London', postalCode: 'SW1', countryCode: 'GB' },
    ...fields,
  } as never;
}

/** What a client does with orders, in few words. */
export function ordersOf(client: Client) {
  const { placeOrder, cancelOrder, getOrder, listOrders, getOrderHistory, watchOrder } = OrderService.method;
  return {
    place: (fields: Parameters<typeof anOrder>[0] = {}, options?: CallOptions) =>
      client.call(placeOrder, anOrder(fields), options),
    cancel: (orderId: string, requestId = '', options?: CallOptions) =>
      client.call(cancelOrder, { orderId, reason: 'changed my mind', requestId }, options),
    get: async (orderId: string, ...atLeast: (Position | undefined)[]) =>
      (await client.call(getOrder, { orderId, atLeast: atLeast.filter((each) => each !== undefined) })).order,
    list: (fields: MessageInitShape<typeof listOrders.input> = {}) => client.call(listOrders, fields),
    history: async (orderId: string, ...atLeast: (Position | undefined)[]): Promise<HistoryEvent[]> =>
      (await client.call(getOrderHistory, { orderId, atLeast: atLeast.filter((each) => each !== undefined) })).events,
    watch: (orderId: string, options?: CallOptions) => client.stream(watchOrder, { orderId }, options),
  };
}

/** Orders that were acknowledged, and how often a call had to be made again. */
export type Load = { acknowledged: PlaceOrderResponse[]; repeated: number };

/**
 * Places one order after the other until the signal aborts, each again and again until it is acknowledged, as a client
 * does that must not lose one. @throws what says that the platform will never take it.
 */
export async function keepPlacing(client: Client, load: Load, until: AbortSignal): Promise<void> {
  while (!until.aborted) {
    const order = anOrder();
    for (;;) {
      try {
        load.acknowledged.push(await client.call(OrderService.method.placeOrder, order, { timeoutMs: 5_000 }));
        break;
      } catch (error) {
        if (!maySucceedLater(error)) throw error;
        load.repeated++;
        await delay(50 + Math.random() * 50);
      }
    }
  }
}

/** Whether a client does right to make the same call again. */
function maySucceedLater(error: unknown): boolean {
  if (error instanceof Refused)
    return ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED', 'CANCELLED'].includes(error.code);
  // What fetch says of a connection that is refused or lost.
  return error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError');
}

/** How long a call took, in ms, with what it was refused with. */
export async function timedRefusal(call: Promise<unknown>): Promise<{ refused: Refused; ms: number }> {
  const started = performance.now();
  const refused = await refusal(call);
  return { refused, ms: performance.now() - started };
}

/** All that an iterable gives until it ends. */
export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** What `/readyz` answers. */
export async function readiness({ http }: Doors): Promise<number> {
  return (await fetch(`${http}/readyz`)).status;
}

/** How many events the journal of orders holds under each key that has any. */
export async function eventsByOrder(natsUrl: string): Promise<Map<string, number>> {
  const connection = await connect({ servers: natsUrl });
  try {
    const { streams } = await jetstreamManager(connection, { checkAPI: false });
    const { state } = await streams.info('ORDERS', { subjects_filter: 'orders.event.*.order.*' });
    return new Map(
      Object.entries(state.subjects ?? {}).map(([subject, count]) => [subject.split('.').at(-1) ?? '', count]),
    );
  } finally {
    await connection.close();
  }
}

/** The latest position of each partition. */
export function latestOf(positions: readonly (Position | undefined)[]): Position[] {
  const latest = new Map<string, Position>();
  for (const position of positions) {
    if (position === undefined) continue;
    const known = latest.get(`${position.stream} ${position.partition}`);
    if (known === undefined || known.sequence < position.sequence) {
      latest.set(`${position.stream} ${position.partition}`, position);
    }
  }
  return [...latest.values()];
}
