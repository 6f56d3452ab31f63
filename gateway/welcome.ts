import { randomUUID } from 'node:crypto';
import { identitySettings, type PlatformSettings } from '#kit/platform-settings.ts';
import { DEVELOPMENT_KEY, signToken } from '#kit/rpc/identity.ts';
import type { GatewaySettings } from './settings.ts';

const CUSTOMER = 'alice';
const OPERATOR = 'operator';
const TOKEN_LIFE = '30d';

/** What `npm start` says when it is ready: the addresses, and with the development key two calls to paste. */
export async function welcome(
  settings: GatewaySettings & PlatformSettings,
  { grpcPort, httpPort }: { grpcPort: number; httpPort: number },
): Promise<string> {
  const secure = settings.tlsCertificate !== undefined;
  const host = reachable(settings.host);
  const http = `${secure ? 'https' : 'http'}://${host}:${httpPort}`;
  const grpc = `${secure ? 'https' : 'http'}://${host}:${grpcPort}`;
  const lines = [
    `gRPC      ${host}:${grpcPort}${secure ? ' (TLS)' : ''}`,
    `HTTP      ${http} (Connect, gRPC-Web, JSON; /readyz${settings.metricsPort === undefined ? ', /metrics' : ''})`,
  ];
  const { secret, ...origin } = identitySettings(settings);
  if (secret !== DEVELOPMENT_KEY)
    return `${[...lines, `console   ${http}/`, '', `Causeway is ready. ${tokensFrom(secret)}`, ''].join('\n')}\n`;
  const token = await signToken({ subject: CUSTOMER, role: 'customer' }, secret, TOKEN_LIFE, origin);
  const operatorToken = await signToken({ subject: OPERATOR, role: 'operator' }, secret, TOKEN_LIFE, origin);
  const orderId = randomUUID();
  return `${[
    ...lines,
    `console   ${http}/#token=${operatorToken}`,
    'tokens    checked with the development key, which everybody knows: for trying things only',
    '',
    `Causeway is ready. Place an order as ${CUSTOMER}, over HTTP:`,
    '',
    curl(http, token, orderId),
    '',
    'Read it, over gRPC:',
    '',
    bufCurl(grpc, token, orderId, secure),
    '',
  ].join('\n')}\n`;
}

/** A token that is good does not belong into a log: with a secret, whoever has that makes one. */
function tokensFrom(secret: string | undefined): string {
  return secret === undefined
    ? 'Tokens come from the issuer behind AUTH_JWKS_URL.'
    : 'A token for AUTH_SECRET: npm run -s causeway -- token --role customer --subject ID';
}

/** Where a caller on this machine finds what listens on this address. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function curl(address: string, token: string, orderId: string): string {
  const order = {
    order_id: orderId,
    lines: [
      { sku: 'coffee-beans', quantity: 2 },
      { sku: 'espresso-cup', quantity: 1 },
    ],
    email: 'alice@example.com',
    payment_method: 'pm_ok',
    ship_to: {
      name: 'Alice Adams',
      line1: '1 Harbour Road',
      city: 'Galway',
      postal_code: 'H91 XY12',
      country_code: 'IE',
    },
  };
  return `curl -sS ${address}/causeway.orders.v1.OrderService/PlaceOrder \\
  -H 'content-type: application/json' -H 'authorization: Bearer ${token}' \\
  -d '${JSON.stringify(order)}'`;
}

function bufCurl(address: string, token: string, orderId: string, secure: boolean): string {
  return `npx buf curl --protocol grpc ${secure ? '' : '--http2-prior-knowledge '}\\
  -H 'authorization: Bearer ${token}' -d '${JSON.stringify({ order_id: orderId })}' \\
  ${address}/causeway.orders.v1.OrderService/GetOrder`;
}
