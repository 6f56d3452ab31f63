import type { Service } from '#kit/lifecycle.ts';
import { platformSettings } from '#kit/platform-settings.ts';
import { Started } from '#kit/process.ts';
import { readSettings } from '#kit/settings.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { startGateway } from '../../gateway.ts';
import { gatewaySettings } from '../../settings.ts';

/** A gateway with this service behind it, and nothing else. */
export async function gatewayTo(service: Service): Promise<{ url: string; stop(): Promise<void> }> {
  await service.start();
  const settings = readSettings(
    { ...gatewaySettings, ...platformSettings },
    { GATEWAY_GRPC_PORT: '0', GATEWAY_HTTP_PORT: '0' },
  );
  const started = new Started();
  started.add('the service', () => service.stop());
  const telemetry = { serveMetrics: async () => {} };
  const gateway = { doors: service.doors, health: () => service.health(), logger: silent, telemetry };
  const { httpPort } = await startGateway(gateway, settings, started);
  return { url: `http://127.0.0.1:${httpPort}`, stop: () => started.stop() };
}
