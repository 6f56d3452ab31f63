import { Started } from '#kit/process.ts';
import { openServiceParts, type ServiceParts, startService } from '#kit/service-parts.ts';
import { readSettings } from '#kit/settings.ts';
import { type Logger, silent } from '#kit/telemetry/logging.ts';
import { atTheEnd, type OwnServer, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { startGateway } from '../../gateway/gateway.ts';
import { allSettings, compositions, type RunSettings } from '../../gateway/platform.ts';
import { type Backend, healthOfNeeded, type ServiceName } from '../../gateway/services.ts';
import { payments } from '../../services/payments/payments.ts';
import type { PaymentProvider } from '../../services/payments/reactions/payment-provider.ts';
import type { Doors } from '../platform.ts';

/** What is other than in production. */
export type Changes = {
  environment?: Record<string, string>;
  /** How far ahead a service's clock is, in ms; behind where it is less than 0. */
  clocksAheadMs?: Partial<Record<ServiceName, number>>;
  /** How many of a service there are; 1 where it is not named. */
  replicas?: Partial<Record<ServiceName, number>>;
  provider?: (parts: ServiceParts) => PaymentProvider;
  /** Of all services. */
  logger?: Logger;
};

/** The platform in this process, put together by hand, on a synced broker of its own. */
export async function assemble(changes: Changes = {}): Promise<Doors & { nats: OwnServer; mongodbUri: string }> {
  const broker = ownNats({ syncAlways: true });
  const doors = assembleAt(broker, changes);
  return { nats: await broker, ...(await doors) };
}

/** A broker, and each service's credentials there. */
export type AtBroker = { url: string; credentialsOf?(name: ServiceName): string };

/** The same, on a broker that is asked for before this is called, so that it ends last. */
export async function assembleAt(
  broker: AtBroker | Promise<AtBroker>,
  changes: Changes = {},
): Promise<Doors & { mongodbUri: string }> {
  const started = new Started();
  atTheEnd(() => started.stop());
  const { url: natsUrl, credentialsOf } = await broker;
  const mongodbUri = sharedMongoUri();
  const settings = readSettings(allSettings, {
    GATEWAY_GRPC_PORT: '0',
    GATEWAY_HTTP_PORT: '0',
    RATE_LIMIT: '0',
    ...changes.environment,
  });
  const backends: Backend[] = [];
  for (const name of Object.keys(compositions) as ServiceName[]) {
    for (let replica = changes.replicas?.[name] ?? 1; replica > 0; replica--) {
      const servers = { natsUrl, natsCreds: credentialsOf?.(name), mongodbUri };
      backends.push(await backend(name, changes, servers, settings, started));
    }
  }
  const firsts = [...new Map(backends.map((each) => [each.name, each])).values()];
  const { grpcPort, httpPort } = await startGateway(
    {
      doors: firsts.flatMap(({ doors }) => doors),
      health: () => healthOfNeeded(firsts),
      logger: silent,
      telemetry: { serveMetrics: async () => {} },
    },
    settings,
    started,
  );
  return { mongodbUri, grpc: `127.0.0.1:${grpcPort}`, http: `http://127.0.0.1:${httpPort}` };
}

async function backend(
  name: ServiceName,
  { clocksAheadMs, provider, logger = silent }: Changes,
  servers: { natsUrl: string; natsCreds: string | undefined; mongodbUri: string },
  settings: RunSettings,
  started: Started,
): Promise<Backend> {
  const aheadMs = clocksAheadMs?.[name] ?? 0;
  const parts = await openServiceParts(
    name,
    { ...servers, replicas: 1, personalDataKey: Buffer.alloc(32, 7), sampleData: true },
    logger,
    () => new Date(Date.now() + aheadMs),
  );
  started.add(`the connections of ${name}`, parts.close);
  const service =
    name === 'payments' && provider !== undefined
      ? await payments(parts, settings, provider(parts))
      : await compositions[name](parts, settings);
  started.add(name, service.stop);
  await startService(service, parts);
  return { name, doors: service.doors, health: () => service.health(), close: () => service.stop() };
}
