import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { freePort } from '#kit/local/free-port.ts';
import { DEVELOPMENT_KEY } from '#kit/rpc/identity.ts';
import { readSettings, SettingsError } from '#kit/settings.ts';
import { programEnvironment } from '#kit/testing/program-environment.ts';
import { atTheEnd, openTestParts, ownDirectory, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { allSettings, checkSettings } from '../../gateway/platform.ts';
import { platformProcess } from '../platform.ts';

const nats = await ownNats();
const mongodbUri = sharedMongoUri();
const servers = { NATS_URL: nats.url, MONGODB_URI: mongodbUri };

describe('npm start', () => {
  test.each<[string, Record<string, string>, string[]]>([
    [
      'values of all kinds',
      {
        GATEWAY_GRPC_PORT: 'abc',
        GATEWAY_HTTP_PORT: '70000',
        NATS_URL: 'http://x',
        RATE_LIMIT: '-1',
        LOG_LEVEL: 'loud',
      },
      ['GATEWAY_GRPC_PORT', '"abc"', 'GATEWAY_HTTP_PORT', 'NATS_URL', 'nats://', 'RATE_LIMIT', 'LOG_LEVEL'],
    ],
    ['no key in production', { NODE_ENV: 'production' }, ['AUTH_JWKS_URL or AUTH_SECRET', 'production']],
    [
      'a certificate that is none',
      { GATEWAY_TLS_CERT: 'package.json', GATEWAY_TLS_KEY: 'package.json' },
      ['GATEWAY_TLS_CERT', 'GATEWAY_TLS_KEY'],
    ],
    [
      'a broker that nobody runs',
      { NATS_URL: 'nats://user:hush-hush@127.0.0.1:1' },
      ['NATS_URL', 'can not be reached'],
    ],
  ])('says what is wrong, in a line and without a stack, and ends with 1: %s', async (_, environment, said) => {
    const { status, stderr } = await started({ ...servers, ...environment });

    expect(status).toBe(1);
    for (const word of said) expect(stderr).toContain(word);
    expectNoStack(stderr);
    expect(stderr).not.toContain('hush-hush');
  });

  test.each<[string, Record<string, string>, string[]]>([
    [
      'the development key in production',
      { NODE_ENV: 'production', AUTH_SECRET: DEVELOPMENT_KEY },
      ['AUTH_JWKS_URL or AUTH_SECRET', 'production'],
    ],
    ['no master key in production', { NODE_ENV: 'production', AUTH_SECRET: 's'.repeat(32) }, ['PERSONAL_DATA_KEY']],
    ['a short secret in production', { NODE_ENV: 'production', AUTH_SECRET: 's'.repeat(31) }, ['AUTH_SECRET', '32']],
    [
      'two ways to check tokens',
      { AUTH_SECRET: 's'.repeat(32), AUTH_JWKS_URL: 'https://127.0.0.1/keys' },
      ['AUTH_JWKS_URL', 'AUTH_SECRET'],
    ],
    ['a certificate without its key', { GATEWAY_TLS_CERT: 'package.json' }, ['GATEWAY_TLS_KEY', 'GATEWAY_TLS_CERT']],
    ['a key without its certificate', { GATEWAY_TLS_KEY: 'package.json' }, ['GATEWAY_TLS_KEY', 'GATEWAY_TLS_CERT']],
    ['a certificate that is not there', { GATEWAY_TLS_CERT: 'nowhere.pem' }, ['GATEWAY_TLS_CERT', 'file that exists']],
  ])('does not start with %s, and names the setting', (_, environment, said) => {
    const check = () => checkSettings(readSettings(allSettings, environment));

    expect(check).toThrow(SettingsError);
    for (const word of said) expect(check).toThrow(word);
  });

  test('does not take a misspelled option for none', async () => {
    const { status, stderr } = await started(servers, ['--frsh']);

    expect(status).toBe(1);
    expect(stderr).toContain("'--frsh'");
    expect(stderr).toContain('--fresh ');
    expectNoStack(stderr);
  });

  test.each(['GATEWAY_GRPC_PORT', 'GATEWAY_HTTP_PORT'])('says that %s is in use', async (setting) => {
    const port = await takenPort();

    const { status, stderr } = await started({ ...servers, [setting]: String(port) });

    expect(status).toBe(1);
    expect(stderr).toContain(`port ${port} can not be opened`);
    expectNoStack(stderr);
  });

  test('says that the personal data was sealed under another key', async () => {
    // Theirs is not the development key.
    const other = await ownNats();
    await openTestParts('orders', { natsUrl: other.url, mongodbUri });

    const { status, stderr } = await started({ ...servers, NATS_URL: other.url });

    expect(status).toBe(1);
    expect(stderr).toContain('master key');
    expectNoStack(stderr);
  });

  test('says that its data directory is in use by another platform, and leaves that one alone', async () => {
    const directory = await ownDirectory();
    const running = await platformProcess({ CAUSEWAY_DATA: directory });

    const { status, stderr } = await started({ CAUSEWAY_DATA: directory });

    expect(status).toBe(1);
    expect(stderr).toContain(directory);
    expect(stderr).toContain('CAUSEWAY_DATA');
    expectNoStack(stderr);
    expect((await fetch(`${running.http}/readyz`)).status).toBe(200);
    await running.kill('SIGTERM');
    await running.restart();
  });
});

test('the gateway by itself says which service it was not told of', async () => {
  const { status, stderr } = await started({ ORDERS_URL: 'http://127.0.0.1:1' }, [], 'gateway/main.ts');

  expect(status).toBe(1);
  expect(stderr).toContain('INVENTORY_URL');
  expectNoStack(stderr);
});

function expectNoStack(stderr: string): void {
  expect(stderr).not.toMatch(/^\s+at |node:internal|\bError:/m);
}

/** Starts the program as an operator does, and waits until it has ended. */
async function started(environment: Record<string, string>, words: string[] = [], program = 'gateway/start.ts') {
  const child = spawn(process.execPath, [program, ...words], {
    cwd: new URL('../..', import.meta.url),
    env: {
      ...programEnvironment(),
      CI: 'true',
      LOG_LEVEL: 'error',
      CAUSEWAY_DATA: await ownDirectory(),
      GATEWAY_GRPC_PORT: String(await freePort()),
      GATEWAY_HTTP_PORT: String(await freePort()),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  atTheEnd(async () => void child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [status] = await once(child, 'close');
  return { status, stdout, stderr };
}

async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  atTheEnd(async () => void server.close());
  return (server.address() as AddressInfo).port;
}
