import { becomesReady, type Service } from '#kit/lifecycle.ts';
import {
  hasSampleData,
  identitySettings,
  masterKey,
  type PlatformSettings,
  platformSettings,
} from '#kit/platform-settings.ts';
import type { Started } from '#kit/process.ts';
import { startService as beginService, openServiceParts, type ServiceParts } from '#kit/service-parts.ts';
import type { SettingValues } from '#kit/settings.ts';
import type { Logger, LogLevel } from '#kit/telemetry/logging.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import type { Telemetry } from '#kit/telemetry/setup.ts';
import { analytics } from '../services/analytics/analytics.ts';
import { fulfilment, fulfilmentSettings } from '../services/fulfilment/fulfilment.ts';
import { integration, integrationSettings } from '../services/integration/integration.ts';
import { inventory } from '../services/inventory/inventory.ts';
import { notifications, notificationsSettings } from '../services/notifications/notifications.ts';
import { operations } from '../services/operations/operations.ts';
import { orders } from '../services/orders/orders.ts';
import { payments, paymentsSettings } from '../services/payments/payments.ts';
import { shipping, shippingSettings } from '../services/shipping/shipping.ts';
import { startGateway } from './gateway.ts';
import { type Backend, healthOfNeeded, remoteBackend, type ServiceName } from './services.ts';
import { addressKey, type GatewaySettings, gatewaySettings, localSettings, tlsFiles } from './settings.ts';

/** What single services are told, beside what the platform is. */
const ownSettings = {
  ...fulfilmentSettings,
  ...paymentsSettings,
  ...shippingSettings,
  ...notificationsSettings,
  ...integrationSettings,
};

/** Everything that the whole platform in one process is told. */
export const allSettings = { ...gatewaySettings, ...platformSettings, ...ownSettings, ...localSettings };

export type RunSettings = GatewaySettings & PlatformSettings & SettingValues<typeof ownSettings>;

/** So that what is wrong with them is said before anything is started. @throws SettingsError */
export function checkSettings(settings: GatewaySettings & PlatformSettings): void {
  identitySettings(settings);
  masterKey(settings);
  tlsFiles(settings);
}

/** How each service is made, in the order in which they start. */
export const compositions: Record<ServiceName, (parts: ServiceParts, settings: RunSettings) => Promise<Service>> = {
  inventory,
  orders,
  fulfilment,
  payments,
  shipping,
  notifications,
  integration,
  analytics,
  operations,
};

export type Servers = { natsUrl: string; mongodbUri: string; natsMonitorUrl?: string | undefined };

/** The services and the gateway in this process; a service with an address of its own is left out and called there. */
export async function startPlatform(
  settings: RunSettings,
  servers: Servers,
  telemetry: Pick<Telemetry, 'serveMetrics'>,
  started: Started,
  log: (name: string, level: LogLevel) => Logger = createLogger,
  whyNoConsole?: () => string,
): Promise<{ grpcPort: number; httpPort: number }> {
  const backends: Backend[] = [];
  for (const name of Object.keys(compositions) as ServiceName[]) {
    const address = settings[addressKey(name)];
    const backend =
      address === undefined
        ? await startService(name, settings, servers, log(name, settings.logLevel), started)
        : remoteBackend(name, address);
    started.add(name, backend.close);
    backends.push(backend);
  }
  const logger = log('gateway', settings.logLevel);
  const health = () => healthOfNeeded(backends);
  const doors = backends.flatMap((backend) => backend.doors);
  const ports = await startGateway({ doors, health, logger, telemetry, whyNoConsole }, settings, started);
  const { ready, reasons } = await becomesReady(health);
  if (!ready) logger.warn({ reasons }, 'started, and not ready yet');
  return ports;
}

async function startService(
  name: ServiceName,
  settings: RunSettings,
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
  const { natsMonitorUrl = servers.natsMonitorUrl } = settings;
  const service = await compositions[name](parts, { ...settings, natsMonitorUrl });
  await beginService(service, parts);
  return { name, doors: service.doors, health: () => service.health(), close: () => service.stop() };
}
