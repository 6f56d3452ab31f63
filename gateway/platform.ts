import { becomesReady, type Service } from '#kit/lifecycle.ts';
import {
  hasSampleData,
  identitySettings,
  masterKey,
  type PlatformSettings,
  platformSettings,
} from '#kit/platform-settings.ts';
import type { Started } from '#kit/process.ts';
import { openServiceParts, type ServiceParts } from '#kit/service-parts.ts';
import type { Logger, LogLevel } from '#kit/telemetry/logging.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import type { Telemetry } from '#kit/telemetry/setup.ts';
import { inventory } from '../services/inventory/inventory.ts';
import { orders } from '../services/orders/orders.ts';
import { startGateway } from './gateway.ts';
import { type Backend, healthOfAll, remoteBackend, type ServiceName, services } from './services.ts';
import { type GatewaySettings, gatewaySettings, localSettings, tlsFiles } from './settings.ts';

/** Everything that the whole platform in one process is told. */
export const allSettings = { ...gatewaySettings, ...platformSettings, ...localSettings };

/** So that what is wrong with them is said before anything is started. @throws SettingsError */
export function checkSettings(settings: GatewaySettings & PlatformSettings): void {
  identitySettings(settings);
  masterKey(settings);
  tlsFiles(settings);
}

/** How each service is made, in the order in which they start. */
const compositions: Record<ServiceName, (parts: ServiceParts) => Promise<Service>> = { inventory, orders };

export type Servers = { natsUrl: string; mongodbUri: string };

/** The services and the gateway in this process; a service with an address of its own is left out and called there. */
export async function startPlatform(
  settings: GatewaySettings & PlatformSettings,
  servers: Servers,
  telemetry: Pick<Telemetry, 'serveMetrics'>,
  started: Started,
  log: (name: string, level: LogLevel) => Logger = createLogger,
): Promise<{ grpcPort: number; httpPort: number }> {
  const backends: Backend[] = [];
  for (const name of Object.keys(compositions) as ServiceName[]) {
    const address = settings[services[name].url];
    const backend =
      address === undefined
        ? await startService(name, settings, servers, log(name, settings.logLevel), started)
        : remoteBackend(name, address);
    started.add(name, backend.close);
    backends.push(backend);
  }
  const logger = log('gateway', settings.logLevel);
  const health = () => healthOfAll(backends);
  const doors = backends.flatMap((backend) => backend.doors);
  const ports = await startGateway({ doors, health, logger, telemetry }, settings, started);
  const { ready, reasons } = await becomesReady(health);
  if (!ready) logger.warn({ reasons }, 'started, and not ready yet');
  return ports;
}

async function startService(
  name: ServiceName,
  settings: PlatformSettings,
  servers: Servers,
  logger: Logger,
  started: Started,
): Promise<Backend> {
  const parts = await openServiceParts(
    name,
    {
      ...servers,
      natsCreds: settings.natsCreds,
      replicas: settings.streamReplicas,
      journalMaxBytes: settings.journalMaxBytes,
      personalDataKey: masterKey(settings),
      sampleData: hasSampleData(settings),
    },
    logger,
  );
  started.add(`the connections of ${name}`, parts.close);
  const service = await compositions[name](parts);
  await service.start();
  return { name, doors: service.doors, health: () => service.health(), close: () => service.stop() };
}
