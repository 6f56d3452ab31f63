import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createRegistry, type DescMethod, type Registry } from '@bufbuild/protobuf';
import {
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { HealthImplementation, type ServingStatus } from 'grpc-health-check';
import type { CallError } from '../errors.ts';
import type { Health } from '../lifecycle.ts';
import { StartError } from '../process.ts';
import { asBuffer } from './bytes.ts';
import type { Door } from './door.ts';
import { grpcStatus, type PassedOnError } from './errors.ts';
import { explainMalformedGrpc } from './grpc-malformed.ts';
import { CORRELATION_HEADER, correlationIdOf, type Incoming, type Pipeline, ServerStopping } from './pipeline.ts';
import { addReflection } from './reflection.ts';

export type GrpcServerOptions = {
  host: string;
  /** 0: any free one. */
  port: number;
  /** Larger requests are refused with RESOURCE_EXHAUSTED before they are read. */
  maxRequestBytes: number;
  /** Calls at a time on one connection, anybody's; more wait at the client. Left out: any number. */
  maxCallsPerConnection?: number;
  /**
   * A connection that is older is ended as soon as the calls on it are: whoever comes again finds out where there are
   * replicas now, and uses them all. Left out: it may be of any age.
   */
  maxConnectionAgeMs?: number;
  /** Paths of a certificate chain and its key, PEM. */
  tls?: { certificate: string; key: string } | undefined;
  /** Types that may stand in a google.protobuf.Any: for JSON, and for those who ask by reflection. */
  registry?: Registry;
  health(): Promise<Health>;
};

/** A server of calls, by whatever protocol. */
export type RunningServer = {
  port: number;
  /** Goes on, and says that it is not ready: who is told goes elsewhere. */
  drain(): void;
  /** Takes no new calls, ends streams with UNAVAILABLE, lets other calls finish for some seconds, then closes. */
  stop(): Promise<void>;
};

/** Lets callers go elsewhere, for so long, before the servers are stopped. */
export async function drained(servers: readonly RunningServer[], delayMs: number): Promise<void> {
  for (const server of servers) server.drain();
  await delay(delayMs);
}

const HEALTH_INTERVAL_MS = 1_000;
/** While it is not ready, whoever waits for it is told soon after it is. */
const UNREADY_INTERVAL_MS = 100;
const DRAIN_MS = 5_000;
const LOOK_MS = 20;
/** Looks with nothing at hand: time for what was answered last to reach its caller, and for what was sent last to come. */
const QUIET_LOOKS = 10;
const KEEPALIVE_MS = 30_000;

type Unary = ServerUnaryCall<Buffer, Uint8Array>;
type Streaming = ServerWritableStream<Buffer, Uint8Array>;

/** How many calls the doors have at hand. */
type Calls = { atHand: number };

/** Serves doors over gRPC (HTTP/2, in the clear unless there is a certificate), with health and reflection. */
export async function startGrpcServer(
  doors: readonly Door[],
  pipeline: Pipeline,
  options: GrpcServerOptions,
): Promise<RunningServer> {
  explainMalformedGrpc();
  const server = new Server({
    'grpc.max_receive_message_length': options.maxRequestBytes,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    // Nobody asks for the library's own statistics of each call and stream.
    'grpc.enable_channelz': 0,
    ...(options.maxCallsPerConnection === undefined
      ? {}
      : { 'grpc.max_concurrent_streams': options.maxCallsPerConnection }),
    ...(options.maxConnectionAgeMs === undefined ? {} : { 'grpc.max_connection_age_ms': options.maxConnectionAgeMs }),
  });
  const stopping = new AbortController();
  const calls: Calls = { atHand: 0 };
  for (const door of doors) {
    const methods = door.service.methods.map((method) => [method.name, definition(method)] as const);
    const handlers = door.service.methods.map(
      (method) =>
        [
          method.name,
          method.methodKind === 'server_streaming'
            ? serverStream(door, method, pipeline, calls, stopping.signal)
            : unary(door, method, pipeline, calls),
        ] as const,
    );
    server.addService(Object.fromEntries(methods), Object.fromEntries(handlers));
  }
  addReflection(
    server,
    doors.map(({ service }) => service),
    options.registry ?? createRegistry(),
  );
  const health = new HealthImplementation();
  health.addToServer(server);
  const port = await bind(server, options);
  const stopHealth = keepHealth(health, doors, options.health);
  return {
    port,
    drain: stopHealth,
    async stop() {
      stopHealth();
      stopping.abort(new ServerStopping());
      await drain(server, calls);
    },
  };
}

/** Messages stay bytes here: what is in them is the business of whoever answers. */
function definition(method: DescMethod): MethodDefinition<Uint8Array, Uint8Array> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: method.methodKind === 'server_streaming',
    requestSerialize: asBuffer,
    requestDeserialize: asBuffer,
    responseSerialize: asBuffer,
    responseDeserialize: asBuffer,
  };
}

function unary(door: Door, method: DescMethod, pipeline: Pipeline, calls: Calls): UntypedHandleCall {
  return async (call: Unary, callback: sendUnaryData<Uint8Array>) => {
    calls.atHand++;
    const incoming = incomingOf(call);
    try {
      const answer = await pipeline.unary(method, incoming, (admitted) =>
        door.bytes.unary(method, call.request, admitted),
      );
      call.sendMetadata(correlation(incoming));
      callback(null, answer);
    } catch (error) {
      callback(statusOf(error as CallError | PassedOnError, incoming));
    } finally {
      calls.atHand--;
      // The library says `cancelled` of every call that is over, also of one that was answered.
      call.removeAllListeners('cancelled');
    }
  };
}

function serverStream(
  door: Door,
  method: DescMethod,
  pipeline: Pipeline,
  calls: Calls,
  stopping: AbortSignal,
): UntypedHandleCall {
  return async (call: Streaming) => {
    calls.atHand++;
    const incoming = incomingOf(call, stopping);
    try {
      call.sendMetadata(correlation(incoming));
      const answers = pipeline.stream(method, incoming, (admitted) =>
        door.bytes.stream(method, call.request, admitted),
      );
      for await (const answer of answers) {
        if (!call.write(answer)) await writable(call, incoming.signal);
      }
      call.end();
    } catch (error) {
      call.emit('error', statusOf(error as CallError | PassedOnError, incoming));
    } finally {
      calls.atHand--;
    }
  };
}

/** A slow reader is waited for, so that what it has not read yet does not pile up here. */
function writable(call: Streaming, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}

function incomingOf(call: Unary | Streaming, stopping?: AbortSignal): Incoming {
  const gone = new AbortController();
  call.on('cancelled', () => gone.abort());
  const deadline = call.getDeadline();
  const header = (name: string) => call.metadata.get(name)[0]?.toString();
  return {
    header,
    correlationId: correlationIdOf(header(CORRELATION_HEADER)),
    signal: stopping === undefined ? gone.signal : AbortSignal.any([gone.signal, stopping]),
    deadline: deadline instanceof Date ? deadline.getTime() : Number.isFinite(deadline) ? deadline : undefined,
  };
}

function correlation({ correlationId }: Incoming): Metadata {
  const metadata = new Metadata();
  metadata.set(CORRELATION_HEADER, correlationId);
  return metadata;
}

function statusOf(error: CallError | PassedOnError, incoming: Incoming) {
  return grpcStatus(error, correlation(incoming));
}

async function bind(server: Server, { host, port, tls }: GrpcServerOptions): Promise<number> {
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { cert_chain: await readFile(tls.certificate), private_key: await readFile(tls.key) },
        ]);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(`${host.includes(':') ? `[${host}]` : host}:${port}`, credentials, (error, bound) =>
    error === null ? resolve(bound) : reject(new StartError(`port ${port} can not be opened: ${error.message}`)),
  );
  return promise;
}

/** Answers grpc.health.v1 for each service, and for the server as a whole under the empty name. */
function keepHealth(health: HealthImplementation, doors: readonly Door[], ask: () => Promise<Health>): () => void {
  const names = ['', ...doors.map(({ service }) => service.typeName)];
  let said: ServingStatus | undefined;
  // Only what is new: whoever watches is sent all that is set.
  const say = (status: ServingStatus) => {
    if (status === said) return;
    said = status;
    for (const name of names) health.setStatus(name, status);
  };
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const look = async () => {
    const { ready } = await ask().catch(() => ({ ready: false }));
    if (stopped) return;
    say(ready ? 'SERVING' : 'NOT_SERVING');
    timer = setTimeout(look, ready ? HEALTH_INTERVAL_MS : UNREADY_INTERVAL_MS);
  };
  say('NOT_SERVING');
  void look();
  return () => {
    stopped = true;
    clearTimeout(timer);
    say('NOT_SERVING');
  };
}

/**
 * Waits for the calls that the doors have at hand, and for nobody else: who watches the server's health, or keeps a
 * connection open, would never let it go.
 */
async function drain(server: Server, calls: Calls): Promise<void> {
  const { promise: finished, resolve } = Promise.withResolvers<void>();
  server.tryShutdown(() => resolve());
  const began = performance.now();
  let quiet = 0;
  const look = setInterval(() => {
    // Looks are counted, not time: a process that stood still has read nothing meanwhile of what was sent to it.
    quiet = calls.atHand > 0 ? 0 : quiet + 1;
    if (quiet < QUIET_LOOKS && performance.now() - began < DRAIN_MS) return;
    server.forceShutdown();
    resolve();
  }, LOOK_MS);
  await finished;
  clearInterval(look);
}
