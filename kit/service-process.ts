import type { Service } from './lifecycle.ts';
import { hasSampleData, identitySettings, masterKey, platformSettings } from './platform-settings.ts';
import { runProcess, StartError } from './process.ts';
import { drained, startGrpcServer } from './rpc/grpc-server.ts';
import { startHttpServer } from './rpc/http-server.ts';
import { Identity } from './rpc/identity.ts';
import { unlimited } from './rpc/limit.ts';
import { Pipeline } from './rpc/pipeline.ts';
import { openServiceParts, type ServiceParts, startService } from './service-parts.ts';
import { port, readSettings, type Settings, type SettingValues, text } from './settings.ts';
import { createLogger } from './telemetry/logging.ts';
import { startTelemetry } from './telemetry/setup.ts';

/** What a service in a process of its own is told beside the platform's settings. */
export const serviceSettings = {
  host: text(
    'SERVICE_HOST',
    '127.0.0.1',
    'address that a service that runs by itself listens on, without TLS; `0.0.0.0`: every one',
  ),
  grpcPort: port('SERVICE_GRPC_PORT', 9091, 'its port for gRPC; the gateway finds it there'),
  httpPort: port('SERVICE_HTTP_PORT', 9464, 'its port for `/healthz`, `/readyz` and `/metrics`'),
};

const MAX_REQUEST_BYTES = 1024 ** 2;

/**
 * Runs one service as a process: its settings from the environment, its doors on a gRPC port of its own.
 * @param own what this service alone is told.
 */
export function runService<Own extends Settings = Record<never, never>>(
  name: string,
  compose: (parts: ServiceParts, settings: SettingValues<Own>) => Promise<Service>,
  own: Own = {} as Own,
): Promise<void> {
  return runProcess(async (started) => {
    const settings = readSettings({ ...platformSettings, ...serviceSettings }, process.env);
    const ownSettings = readSettings(own, process.env);
    const { natsUrl, mongodbUri } = settings;
    if (natsUrl === undefined || mongodbUri === undefined) {
      throw new StartError('NATS_URL and MONGODB_URI must be set for a service that runs by itself');
    }
    const logger = createLogger(name, settings.logLevel);
    const telemetry = startTelemetry({ serviceName: name, ...settings });
    started.add('telemetry', telemetry.stop);
    const parts = await openServiceParts(
      name,
      {
        natsUrl,
        natsCreds: settings.natsCreds,
        replicas: settings.streamReplicas,
        journalMaxBytes: settings.journalMaxBytes,
        mongodbUri,
        personalDataKey: masterKey(settings),
        sampleData: hasSampleData(settings),
      },
      logger,
    );
    started.add('connections', parts.close);
    const service = await compose(parts, ownSettings);
    started.add(name, service.stop);
    await startService(service, parts);
    // The caller is limited at the gateway, and checked here again: a service trusts no network.
    const identity = new Identity(identitySettings(settings));
    const pipeline = new Pipeline({ identity, limit: unlimited, logger });
    const common = { host: settings.host, maxRequestBytes: MAX_REQUEST_BYTES, health: () => service.health() };
    const grpc = await startGrpcServer(service.doors, pipeline, { ...common, port: settings.grpcPort });
    started.add('gRPC', grpc.stop);
    const http = await startHttpServer([], pipeline, {
      ...common,
      port: settings.httpPort,
      serveMetrics: telemetry.serveMetrics,
      logger,
    });
    started.add('HTTP', http.stop);
    started.beforeStop(() => drained([grpc, http], settings.drainDelayMs));
    logger.info({ grpcPort: grpc.port, httpPort: http.port }, `${name} is running`);
    started.add('the log', () => logger.info({}, `${name} stops`));
  });
}
