import { eventRegistry } from '#gen/events.js';
import type { Health } from '#kit/lifecycle.ts';
import { identitySettings, type PlatformSettings } from '#kit/platform-settings.ts';
import type { Started } from '#kit/process.ts';
import type { Door } from '#kit/rpc/door.ts';
import { drained, startGrpcServer } from '#kit/rpc/grpc-server.ts';
import { startHttpServer } from '#kit/rpc/http-server.ts';
import { Identity } from '#kit/rpc/identity.ts';
import { callLimit } from '#kit/rpc/limit.ts';
import { Pipeline } from '#kit/rpc/pipeline.ts';
import type { Logger } from '#kit/telemetry/logging.ts';
import type { Telemetry } from '#kit/telemetry/setup.ts';
import { AsyncApi } from './asyncapi/asyncapi.ts';
import { ConsoleFiles } from './console-files.ts';
import { CONSOLE_DIST } from './console-sources.ts';
import { type GatewaySettings, tlsFiles } from './settings.ts';

/** Larger requests are refused; the largest order has a tenth of it. */
const MAX_REQUEST_BYTES = 1024 ** 2;
/** Each holds memory and a subscription for as long as its caller likes. */
const STREAMS_PER_CALLER = 64;
/** Also of those who need no token, such as who watches the health; a busy client has some hundreds at a time. */
const MAX_CALLS_PER_CONNECTION = 1_000;
/** So that those who call all day use gateways that came after them too. */
const MAX_CONNECTION_AGE_MS = 60_000;

export type GatewayParts = {
  /** What is behind it, in this process or in others. */
  doors: readonly Door[];
  /** Whether an order can be placed and read. */
  health(): Promise<Health>;
  logger: Logger;
  telemetry: Pick<Telemetry, 'serveMetrics'>;
  /** Why the console's page may not be there: nothing but the page needs it. */
  whyNoConsole?: (() => string) | undefined;
};

/**
 * The edge: every call comes in here, by gRPC on one port and by Connect, gRPC-Web or JSON on the other, and takes the
 * same way: token, rate limit, deadline, then the service that owns the method.
 */
export async function startGateway(
  { doors, health, logger, telemetry, whyNoConsole }: GatewayParts,
  settings: GatewaySettings & PlatformSettings,
  started: Started,
): Promise<{ grpcPort: number; httpPort: number }> {
  const identity = new Identity(identitySettings(settings));
  const limit = callLimit({ perSecond: settings.rateLimit, streamsPerCaller: STREAMS_PER_CALLER });
  const pipeline = new Pipeline({ identity, limit, logger });
  const common = {
    host: settings.host,
    tls: tlsFiles(settings),
    maxRequestBytes: MAX_REQUEST_BYTES,
    registry: eventRegistry,
    health,
  };
  const { metricsPort } = settings;
  const { serveMetrics } = telemetry;
  const grpc = await startGrpcServer(doors, pipeline, {
    ...common,
    port: settings.grpcPort,
    maxCallsPerConnection: MAX_CALLS_PER_CONNECTION,
    maxConnectionAgeMs: MAX_CONNECTION_AGE_MS,
  });
  started.add('the gRPC door', grpc.stop);
  const page = new ConsoleFiles(CONSOLE_DIST, { traceUrl: settings.traceUrl, whyAbsent: whyNoConsole });
  const asyncApi = new AsyncApi(doors, logger);
  const http = await startHttpServer(doors, pipeline, {
    ...common,
    port: settings.httpPort,
    serveMetrics: metricsPort === undefined ? serveMetrics : undefined,
    serveOther: async (request, response) =>
      (await asyncApi.serve(request, response)) || (await page.serve(request, response)),
    logger,
  });
  const servers = [grpc, http];
  // All at once: what they wait for, one after the other, could take longer than a stop may.
  started.add('the doors', () => Promise.all(servers.map((server) => server.stop())));
  if (metricsPort !== undefined) {
    const inTheClear = { ...common, tls: undefined, port: metricsPort };
    // After the doors: who is told there that this process runs, finds them open.
    servers.push(await startHttpServer([], pipeline, { ...inTheClear, serveMetrics, logger }));
  }
  started.beforeStop(() => drained(servers, settings.drainDelayMs));
  return { grpcPort: grpc.port, httpPort: http.port };
}
