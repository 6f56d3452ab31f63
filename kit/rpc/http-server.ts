import { readFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { CallError } from '../errors.ts';
import type { Health } from '../lifecycle.ts';
import { StartError } from '../process.ts';
import type { Logger } from '../telemetry/logging.ts';
import type { Door } from './door.ts';
import { connectError, type PassedOnError } from './errors.ts';
import type { GrpcServerOptions, RunningServer } from './grpc-server.ts';
import { explainMalformed, understood } from './malformed.ts';
import {
  CORRELATION_HEADER,
  correlationIdOf,
  DeadlinePassed,
  type Incoming,
  type Pipeline,
  ServerStopping,
} from './pipeline.ts';
import { readiness } from './readiness.ts';
import { boundedConnectTimeout, boundedGrpcTimeout } from './timeouts.ts';

export type HttpServerOptions = GrpcServerOptions & {
  logger: Logger;
  /** Left out: `/metrics` is not here. */
  serveMetrics?: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** What else there is on this port: answers what it knows, and says whether it did. */
  serveOther?(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
};

const DRAIN_MS = 5_000;

/**
 * Serves doors over HTTP/1.1 by the protocols Connect (JSON and binary) and gRPC-Web, and what an operator looks at:
 * `/healthz` (the process runs), `/readyz` (it can do its work), `/metrics`.
 */
export async function startHttpServer(
  doors: readonly Door[],
  pipeline: Pipeline,
  options: HttpServerOptions,
): Promise<RunningServer> {
  const stopping = new AbortController();
  let isDraining = false;
  const ready = readiness(
    async () => (isDraining ? { ready: false, reasons: ['this process: it stops'] } : options.health()),
    options.logger,
  );
  const handler = connectNodeAdapter({
    routes: (router) => {
      for (const door of doors) route(router, door, pipeline, stopping.signal);
    },
    // gRPC itself has a server of its own; over HTTP/1.1 its trailers could not be sent.
    grpc: false,
    readMaxBytes: options.maxRequestBytes,
    // A misspelled request_id, or a status that there is not, must not pass for one that was left out.
    jsonOptions: {
      ignoreUnknownFields: false,
      ...(options.registry === undefined ? {} : { registry: options.registry }),
    },
    requestGate: explainMalformed,
    fallback: (request, response) => {
      operate(request as IncomingMessage, response as ServerResponse, options, ready).catch((error: unknown) => {
        options.logger.error({ err: error, path: request.url }, 'a request was not answered');
        response.destroy();
      });
    },
  });
  const answering = new Set<ServerResponse>();
  // A client that has its answer must not come again on the same connection: it finds another process by a new one.
  const sendAway = () => {
    isDraining = true;
    for (const response of answering) response.shouldKeepAlive = false;
  };
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    answering.add(response);
    response.once('close', () => answering.delete(response));
    if (isDraining) response.shouldKeepAlive = false;
    boundTimeouts(request.headers);
    // RFC 9112, 3.2. The library would make an address of it, and throw where nobody catches.
    if (URL.canParse(`http://${request.headers.host ?? 'none'}`)) handler(request, response);
    else answer(response, 400, { code: 'invalid_argument', message: 'the header host is not one' });
  };
  const server =
    options.tls === undefined
      ? createServer(listener)
      : createTlsServer(
          { cert: await readFile(options.tls.certificate), key: await readFile(options.tls.key) },
          listener,
        );
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new StartError(`port ${options.port} can not be opened: ${error.message}`)));
    server.listen(options.port, options.host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    drain: sendAway,
    async stop() {
      stopping.abort(new ServerStopping());
      sendAway();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearTimeout(force);
    },
  };
}

function boundTimeouts(headers: IncomingHttpHeaders): void {
  const { 'grpc-timeout': ofGrpc, 'connect-timeout-ms': ofConnect } = headers;
  if (typeof ofGrpc === 'string') headers['grpc-timeout'] = boundedGrpcTimeout(ofGrpc);
  if (typeof ofConnect === 'string') headers['connect-timeout-ms'] = boundedConnectTimeout(ofConnect);
}

function route(router: ConnectRouter, door: Door, pipeline: Pipeline, stopping: AbortSignal): void {
  const implementation = Object.fromEntries(
    door.service.methods.map((method) => [
      method.localName,
      method.methodKind === 'server_streaming'
        ? serverStream(door, method, pipeline, stopping)
        : unary(door, method, pipeline),
    ]),
  );
  router.service(door.service, implementation as unknown as Partial<ServiceImpl<Door['service']>>);
}

type Request = Parameters<Door['messages']['unary']>[1];

function unary(door: Door, method: DescMethod, pipeline: Pipeline) {
  return async (request: Request, context: HandlerContext) => {
    understood(context);
    try {
      return await pipeline.unary(method, incomingOf(context), (call) => door.messages.unary(method, request, call));
    } catch (error) {
      throw connectError(error as CallError | PassedOnError);
    }
  };
}

function serverStream(door: Door, method: DescMethod, pipeline: Pipeline, stopping: AbortSignal) {
  return async function* (request: Request, context: HandlerContext) {
    understood(context);
    try {
      const answers = pipeline.stream(method, incomingOf(context, stopping), (call) =>
        door.messages.stream(method, request, call),
      );
      // What is thrown at a `yield` is of a connection that is gone: it ends the answers, and is no failure of theirs.
      for await (const answer of answers) yield answer;
    } catch (error) {
      throw connectError(error as CallError | PassedOnError);
    }
  };
}

function incomingOf(context: HandlerContext, stopping?: AbortSignal): Incoming {
  const header = (name: string) => context.requestHeader.get(name) ?? undefined;
  const correlationId = correlationIdOf(header(CORRELATION_HEADER));
  context.responseHeader.set(CORRELATION_HEADER, correlationId);
  const timeoutMs = context.timeoutMs();
  const signal = signalOf(context);
  return {
    header,
    correlationId,
    signal: stopping === undefined ? signal : AbortSignal.any([signal, stopping]),
    deadline: timeoutMs === undefined ? undefined : Date.now() + timeoutMs,
  };
}

/** Aborted when the call ends, and with DeadlinePassed where that is why. */
function signalOf({ signal }: HandlerContext): AbortSignal {
  const ended = new AbortController();
  const end = () => {
    const { reason } = signal;
    const isDeadline = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
    ended.abort(isDeadline ? new DeadlinePassed() : reason);
  };
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  return ended.signal;
}

async function operate(
  request: IncomingMessage,
  response: ServerResponse,
  { serveMetrics, serveOther }: HttpServerOptions,
  readyNow: () => Promise<Health>,
): Promise<void> {
  const path = request.url?.split('?')[0];
  if (path === '/metrics' && serveMetrics !== undefined) return serveMetrics(request, response);
  if (path === '/healthz') return answer(response, 200, { status: 'running' });
  if (path === '/readyz') {
    const { ready, reasons } = await readyNow();
    return answer(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', reasons });
  }
  if (serveOther !== undefined && (await serveOther(request, response))) return;
  // As Connect's clients expect it: a method that there is not is UNIMPLEMENTED on every protocol.
  if (request.method === 'POST')
    return answer(response, 501, { code: 'unimplemented', message: `there is no ${path}` });
  answer(response, 404, { code: 'not_found', message: `there is nothing at ${path}` });
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(`${JSON.stringify(body)}\n`);
}
