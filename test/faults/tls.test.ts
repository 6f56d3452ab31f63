import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { credentials } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { freePort } from '#kit/local/free-port.ts';
import { ownDirectory } from '#kit/testing/servers.ts';
import { connectClient, grpcClient, ordersOf } from '../clients.ts';
import { bearer, testPlatform } from '../platform.ts';

const { certificate, key } = await selfSigned();
const metricsPort = await freePort();
const platform = await testPlatform({
  environment: {
    GATEWAY_TLS_CERT: certificate,
    GATEWAY_TLS_KEY: key,
    GATEWAY_METRICS_PORT: String(metricsPort),
  },
});

test('with a certificate both doors speak TLS, and nothing else', async () => {
  const authorization = await bearer('alice');
  const trusted = await readFile(certificate);
  const byName = { ...platform, grpc: platform.grpc.replace('127.0.0.1', 'localhost') };

  const alice = ordersOf(grpcClient(byName, authorization, credentials.createSsl(trusted)));
  const { orderId, position } = await alice.place();

  expect(await alice.get(orderId, position)).toMatchObject({ orderId });
  const overHttp = JSON.parse(
    await post(`${platform.http.replace('http:', 'https:')}/causeway.orders.v1.OrderService/GetOrder`, trusted, {
      authorization,
      body: JSON.stringify({ order_id: orderId }),
    }),
  );
  expect(overHttp).toMatchObject({ order: { orderId, status: 'ORDER_STATUS_PLACED' } });
  const inTheClear = ordersOf(grpcClient(platform, authorization));
  await expect(inTheClear.place({}, { timeoutMs: 1_000 })).rejects.toMatchObject({
    code: expect.stringMatching(/^(UNAVAILABLE|DEADLINE_EXCEEDED)$/),
  });
  await expect(ordersOf(connectClient(platform, authorization)).place()).rejects.toThrow('fetch failed');
  await expect(post(platform.http.replace('http:', 'https:'), undefined, { authorization, body: '' })).rejects.toThrow(
    'self-signed certificate',
  );
});

test('metrics on a port of their own are read there without TLS, and by no caller', async () => {
  const [metrics, running, atTheDoor] = await Promise.all([
    fetch(`http://127.0.0.1:${metricsPort}/metrics`),
    fetch(`http://127.0.0.1:${metricsPort}/healthz`),
    post(`${platform.http.replace('http:', 'https:')}/metrics`, await readFile(certificate), {
      authorization: '',
      body: '',
    }),
  ]);

  expect([metrics.status, running.status]).toEqual([200, 200]);
  expect(await metrics.text()).toBe('up 1\n');
  expect(JSON.parse(atTheDoor)).toMatchObject({ code: 'unimplemented' });
});

async function selfSigned(): Promise<{ certificate: string; key: string }> {
  const directory = await ownDirectory();
  const [certificate, key] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  const words = [
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=IP:127.0.0.1,DNS:localhost',
  ];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', certificate, ...words], { stdio: 'pipe' });
  return { certificate, key };
}

function post(
  url: string,
  ca: Buffer | undefined,
  { authorization, body }: { authorization: string; body: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', authorization };
    const asked = request(url, { method: 'POST', ca, headers, agent: false }, (answer) => resolve(text(answer)));
    asked.on('error', reject);
    asked.end(body);
  });
}
