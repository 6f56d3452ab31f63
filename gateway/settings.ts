import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import {
  file,
  integer,
  port,
  type Setting,
  SettingsError,
  type SettingValues,
  server,
  text,
  urlWith,
} from '#kit/settings.ts';
import { type ServiceName, services } from './services.ts';

/** The setting that says where a service runs, where it does so by itself. */
export function addressKey<Name extends ServiceName>(name: Name): `${Name}Url` {
  return `${name}Url`;
}

const addresses = Object.fromEntries(
  (Object.keys(services) as ServiceName[]).map((name, index) => {
    const meaning = index === 0 ? `where the gateway finds ${name}, if it runs by itself` : `the same for ${name}`;
    const inEnvironment = `${name.toUpperCase().replaceAll('-', '_')}_URL`;
    return [addressKey(name), server(inEnvironment, meaning, 'in process')];
  }),
) as Record<`${ServiceName}Url`, Setting<string | undefined>>;

/** What the gateway is told by its environment, beside the platform's settings. */
export const gatewaySettings = {
  host: text('GATEWAY_HOST', '127.0.0.1', 'address that the gateway listens on; `0.0.0.0`: every one'),
  grpcPort: port('GATEWAY_GRPC_PORT', 9090, 'gRPC over h2c, or over TLS with a certificate'),
  httpPort: port(
    'GATEWAY_HTTP_PORT',
    8080,
    'the console, Connect, gRPC-Web and JSON; `/healthz`, `/readyz`, `/metrics`, `/asyncapi.json`',
  ),
  metricsPort: port(
    'GATEWAY_METRICS_PORT',
    undefined,
    'a port of its own for `/metrics`, with `/healthz` and `/readyz`, without TLS; then there is no `/metrics` for callers',
  ),
  tlsCertificate: file('GATEWAY_TLS_CERT', 'certificate chain for both ports, PEM'),
  tlsKey: file('GATEWAY_TLS_KEY', 'key of the certificate, PEM'),
  rateLimit: integer('RATE_LIMIT', 200, 'calls per second and caller, bursts of twice that; `0`: none', {
    max: 1_000_000,
  }),
  traceUrl: urlWith(
    '{trace_id}',
    'TRACE_URL',
    'where the console finds a trace: `http://localhost:16686/trace/{trace_id}`',
  ),
  ...addresses,
};

export type GatewaySettings = SettingValues<typeof gatewaySettings>;

/** What `npm start` is told beside that. */
export const localSettings = {
  dataDirectory: text('CAUSEWAY_DATA', '.data', 'where embedded servers keep their files'),
};

/** @throws SettingsError where one of the two is missing, or they are no certificate and its key. */
export function tlsFiles({ tlsCertificate, tlsKey }: GatewaySettings) {
  if (tlsCertificate === undefined && tlsKey === undefined) return undefined;
  if (tlsCertificate === undefined) throw new SettingsError('GATEWAY_TLS_CERT must be set where GATEWAY_TLS_KEY is');
  if (tlsKey === undefined) throw new SettingsError('GATEWAY_TLS_KEY must be set where GATEWAY_TLS_CERT is');
  try {
    createSecureContext({ cert: readFileSync(tlsCertificate), key: readFileSync(tlsKey) });
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new SettingsError(`GATEWAY_TLS_CERT and GATEWAY_TLS_KEY must be a certificate and its key, PEM: ${why}`);
  }
  return { certificate: tlsCertificate, key: tlsKey };
}
