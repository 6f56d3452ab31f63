import { expect, test } from 'vitest';
import { DEVELOPMENT_KEY, Identity } from '#kit/rpc/identity.ts';
import { readSettings } from '#kit/settings.ts';
import { allSettings } from './platform.ts';
import { welcome } from './welcome.ts';

const ports = { grpcPort: 9090, httpPort: 8080 };
const TOKEN = /eyJ[\w-]+\.[\w-]+\.[\w-]+/;

function said(environment: Record<string, string>): Promise<string> {
  return welcome(readSettings(allSettings, environment), ports);
}

test('with the development key two calls are printed, with a token that is good', async () => {
  const text = await said({});

  expect(text).toContain('http://127.0.0.1:8080/causeway.orders.v1.OrderService/PlaceOrder');
  expect(text).toContain('http://127.0.0.1:9090/causeway.orders.v1.OrderService/GetOrder');
  const [token] = /Bearer \S+(?=')/.exec(text) ?? [];
  expect(await new Identity({ secret: DEVELOPMENT_KEY }).authenticate(token)).toEqual({
    subject: 'alice',
    role: 'customer',
  });
});

test("with the development key the console's address signs an operator in", async () => {
  const text = await said({});

  const [, token] = /^console {3}http:\/\/127\.0\.0\.1:8080\/#token=(\S+)$/m.exec(text) ?? [];
  expect(await new Identity({ secret: DEVELOPMENT_KEY }).authenticate(`Bearer ${token}`)).toEqual({
    subject: 'operator',
    role: 'operator',
  });
});

test("with a secret of one's own no token is printed, but how to make one", async () => {
  const text = await said({ AUTH_SECRET: 's'.repeat(32) });

  expect(text).toContain('Causeway is ready');
  expect(text).not.toMatch(TOKEN);
  expect(text).toContain('npm run -s causeway -- token');
  expect(text).toMatch(/^console {3}http:\/\/127\.0\.0\.1:8080\/$/m);
});

test("with somebody else's keys it is said where tokens come from", async () => {
  const text = await said({ AUTH_JWKS_URL: 'https://id.example.org/keys' });

  expect(text).not.toMatch(TOKEN);
  expect(text).toContain('AUTH_JWKS_URL');
});

test.each([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '[::1]'],
  ['::1', '[::1]'],
  ['gateway.example.org', 'gateway.example.org'],
])('what listens on %s is found at %s', async (host, found) => {
  const text = await said({ GATEWAY_HOST: host });

  expect(text).toContain(`http://${found}:8080/causeway`);
  expect(text).toContain(`http://${found}:9090/causeway`);
  expect(text).toContain(`gRPC      ${found}:9090`);
});
