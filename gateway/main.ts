import { platformSettings } from '#kit/platform-settings.ts';
import { runProcess } from '#kit/process.ts';
import { readSettings, SettingsError } from '#kit/settings.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { startTelemetry } from '#kit/telemetry/setup.ts';
import { startGateway } from './gateway.ts';
import { healthOfNeeded, remoteBackend, type ServiceName, services } from './services.ts';
import { addressKey, gatewaySettings } from './settings.ts';

/** The gateway in a process of its own: every service is in another one. */
await runProcess(async (started) => {
  const settings = readSettings({ ...platformSettings, ...gatewaySettings }, process.env);
  const logger = createLogger('gateway', settings.logLevel);
  const telemetry = startTelemetry({ serviceName: 'gateway', ...settings });
  started.add('telemetry', telemetry.stop);
  const backends = (Object.keys(services) as ServiceName[]).map((name) => {
    const key = addressKey(name);
    const address = settings[key];
    if (address === undefined) throw new SettingsError(`${gatewaySettings[key].name} must be set`);
    return remoteBackend(name, address);
  });
  for (const { name, close } of backends) started.add(`the connection to ${name}`, close);
  const ports = await startGateway(
    { doors: backends.flatMap(({ doors }) => doors), health: () => healthOfNeeded(backends), logger, telemetry },
    settings,
    started,
  );
  logger.info(ports, 'the gateway is running');
  started.add('the log', () => logger.info({}, 'the gateway stops'));
});
