import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { file, integer, port, SettingsError, type SettingValues, text, url } from '#kit/settings.ts';

/** What the gateway is told by its environment, beside the platform's settings. */
export const gatewaySettings = {
  host: text('GATEWAY_HOST', '127.0.0.1', 'address that the gateway listens on; `0.0.0.0`: every one'),
  grpcPort: port('GATEWAY_GRPC_PORT', 9090, 'gRPC over h2c, or over TLS with a certificate'),
  httpPort: port('GATEWAY_HTTP_PORT', 8080, 'Connect, gRPC-Web and JSON; `/healthz`, `/readyz`, `/metrics`'),
  tlsCertificate: file('GATEWAY_TLS_CERT', 'certificate chain for both ports, PEM'),
  tlsKey: file('GATEWAY_TLS_KEY', 'key of the certificate, PEM'),
  rateLimit: integer('RATE_LIMIT', 200, 'calls per second and caller, bursts of twice that; `0`: none', {
    max: 1_000_000,
  }),
  ordersUrl: url('ORDERS_URL', ['http'], 'where the gateway finds orders, if it runs by itself', 'in process'),
  inventoryUrl: url('INVENTORY_URL', ['http'], 'the same for inventory', 'in process'),
  fulfilmentUrl: url('FULFILMENT_URL', ['http'], 'the same for fulfilment', 'in process'),
  paymentsUrl: url('PAYMENTS_URL', ['http'], 'the same for payments', 'in process'),
  shippingUrl: url('SHIPPING_URL', ['http'], 'the same for shipping', 'in process'),
  notificationsUrl: url('NOTIFICATIONS_URL', ['http'], 'the same for notifications', 'in process'),
  integrationUrl: url('INTEGRATION_URL', ['http'], 'the same for integration events and webhooks', 'in process'),
  analyticsUrl: url('ANALYTICS_URL', ['http'], 'the same for analytics', 'in process'),
  operationsUrl: url('OPERATIONS_URL', ['http'], 'the same for operations', 'in process'),
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
