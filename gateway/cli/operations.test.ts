import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { FulfilmentNeedsAttentionSchema, StockRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { ensureJournals } from '#kit/journal.ts';
import { platformSettings } from '#kit/platform-settings.ts';
import { Started } from '#kit/process.ts';
import { DEVELOPMENT_KEY, signToken } from '#kit/rpc/identity.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { readSettings } from '#kit/settings.ts';
import { journalOf } from '#kit/streams.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { openTestParts, ownDirectory, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { operations } from '../../services/operations/operations.ts';
import { openShop, say } from '../../services/operations/testing/shop.ts';
import { startGateway } from '../gateway.ts';
import { gatewaySettings } from '../settings.ts';

let parts: ServiceParts;
let url: string;

/** A gateway with operations behind it, and nothing else. */
beforeAll(async () => {
  const nats = await ownNats();
  parts = await openTestParts('operations', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('orders'), journalOf('fulfilment')]);
  const service = await operations(parts);
  await service.start();
  const settings = readSettings(
    { ...gatewaySettings, ...platformSettings },
    { GATEWAY_GRPC_PORT: '0', GATEWAY_HTTP_PORT: '0' },
  );
  const started = new Started();
  const telemetry = { serveMetrics: async () => {} };
  const gateway = { doors: service.doors, health: () => service.health(), logger: silent, telemetry };
  const { httpPort } = await startGateway(gateway, settings, started);
  url = `http://127.0.0.1:${httpPort}`;
  return async () => {
    await started.stop();
    await service.stop();
  };
});

/** Runs the tool as an operator does. */
async function causeway(words: readonly string[], environment: Record<string, string> = {}) {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, ['gateway/cli/main.ts', ...words], {
    cwd: new URL('../..', import.meta.url),
    env: { PATH, HOME, CAUSEWAY_URL: url, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [status] = await once(child, 'close');
  expect(stderr).not.toMatch(/^\s+at /m);
  return { status, stdout, stderr };
}

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('dead-letters', () => {
  test('list shows what is parked, in a table or as a line of JSON for each key', async () => {
    const shop = await openShop(parts);
    const keys = [await shop.park(2), await shop.park(1)];
    const words = ['dead-letters', 'list', '--consumer', shop.name];

    const [shown, json, first] = await Promise.all([
      causeway(words),
      causeway([...words, '--json']),
      causeway([...words, '--limit', '1']),
    ]);

    expect(shown).toMatchObject({ status: 0, stderr: '2 of 2 keys with parked messages\n' });
    for (const key of keys) expect(shown.stdout).toContain(key);
    expect(shown.stdout).toMatch(/^SEQUENCE +CONSUMER +KEY +MESSAGES/);
    expect(shown.stdout).toMatch(/ 2 +OrderPlaced +REFUSED +\S+Z +pm-1 is refused$/m);
    expect(json).toMatchObject({ status: 0, stderr: '' });
    expect(new Set(jsonLines(json.stdout).map(({ key, messages }) => `${key} ${messages}`))).toEqual(
      new Set([`${keys[0]} 2`, `${keys[1]} 1`]),
    );
    expect(first.stderr).toBe('1 of 2 keys with parked messages\n');
  });

  test('show says what a message says, why it is parked, and what waits behind it; edited, it is replayed', async () => {
    const shop = await openShop(parts, ({ paymentMethod }) => paymentMethod !== 'pm_ok');
    const key = await shop.park(2);
    const list = await causeway(['dead-letters', 'list', '--consumer', shop.name, '--json']);
    const [{ first }] = jsonLines(list.stdout);

    const [shown, json, data] = await Promise.all([
      causeway(['dead-letters', 'show', first.sequence]),
      causeway(['dead-letters', 'show', first.sequence, '--json']),
      causeway(['dead-letters', 'show', first.sequence, '--data']),
    ]);

    expect(shown.stdout).toMatch(/^error +pm-1 is refused$/m);
    expect(shown.stdout).toMatch(/^from +ORDERS \d+$/m);
    expect(shown.stdout).toContain('"paymentMethod": "pm-1"');
    expect(shown.stdout).toContain('2 messages of the key are parked');
    expect(JSON.parse(json.stdout)).toMatchObject({
      letter: { key, data: { '@type': 'type.googleapis.com/causeway.orders.v1.OrderPlaced', orderId: key } },
      behind: [{ reason: 'BEHIND_A_PARKED_MESSAGE' }],
      parked: 2,
    });
    const letter = JSON.parse(data.stdout);
    expect(`${shown.stdout}${json.stdout}${data.stdout}`).not.toContain('alice@example.org');

    const file = join(await ownDirectory(), 'letter.json');
    await writeFile(file, JSON.stringify({ ...letter, paymentMethod: 'pm_ok' }));
    const replay = ['dead-letters', 'replay', '--consumer', shop.name, '--key', key, '--edit', file];
    const replayed = await causeway(replay);

    // The one behind it is refused again.
    expect(replayed).toMatchObject({ status: 1, stdout: '' });
    expect(replayed.stderr).toContain(`[1/1] ${shop.name} ${key}: 1 handled, 1 still parked: pm-2 is refused`);
    expect(shop.handled).toMatchObject([{ paymentMethod: 'pm_ok', email: 'alice@example.org' }]);
  });

  test('replay tells key by key how far it is, after a dry run that does nothing', async () => {
    const shop = await openShop(parts);
    const keys = [await shop.park(1), await shop.park(1)];
    shop.mend();
    const words = ['dead-letters', 'replay', '--consumer', shop.name, '--because', 'mended'];

    const dry = await causeway([...words, '--dry-run']);
    expect(shop.handled).toEqual([]);
    const done = await causeway([...words, '--json']);
    const again = await causeway(words);

    expect(dry).toMatchObject({
      status: 0,
      stderr: '2 messages of 2 keys would be replayed; nothing was done\n',
    });
    expect(done).toMatchObject({ status: 0, stderr: '' });
    expect(jsonLines(done.stdout)).toMatchObject([
      { handled: 1, remaining: 0, keysDone: 1, keysTotal: 2 },
      { handled: 1, remaining: 0, keysDone: 2, keysTotal: 2 },
    ]);
    expect(new Set(shop.handled.map(({ orderId }) => orderId))).toEqual(new Set(keys));
    expect(again).toMatchObject({ status: 0, stderr: 'nothing is parked that matches\n' });
  });

  test('discard asks for --yes, and for a reason', async () => {
    const shop = await openShop(parts);
    const key = await shop.park(2);
    const words = ['dead-letters', 'discard', '--consumer', shop.name, '--because', 'told by phone'];

    const [unsure, unreasoned] = await Promise.all([causeway(words), causeway(words.slice(0, 4))]);
    const done = await causeway([...words, '--yes']);

    expect(unsure).toMatchObject({ status: 1, stdout: '' });
    expect(unsure.stderr).toContain(key);
    expect(unsure.stderr).toContain('Nothing was done: say --yes.');
    expect(unreasoned.stderr).toContain('--because');
    expect(done).toEqual({ status: 0, stdout: '2 messages of 1 keys discarded\n', stderr: '' });
  });
});

describe('fulfilments', () => {
  test('are listed, shown with their steps, and resolved, with who did it', async () => {
    const orderId = randomUUID();
    const place = { service: 'fulfilment', aggregate: 'fulfilment', key: orderId };
    await say(parts, place, StockRequestedSchema, { orderId, deadline: timestampFromDate(new Date(60_000)) });
    await say(parts, place, FulfilmentNeedsAttentionSchema, { orderId, problem: 'VOID_REFUSED', tried: ['voiding'] });
    const listed = () => causeway(['fulfilments', 'list', '--status', 'needs-attention', '--json']);
    await expect.poll(async () => (await listed()).stdout).toContain(orderId);
    const token = await signToken({ subject: 'olga', role: 'operator' }, DEVELOPMENT_KEY, '1h');

    const resolve = ['fulfilments', 'resolve', orderId, '--as', 'settled', '--because', 'voided by phone'];
    const resolved = await causeway(resolve, { CAUSEWAY_TOKEN: token });
    const again = await causeway(resolve, { CAUSEWAY_TOKEN: token });

    expect(resolved).toMatchObject({ status: 0, stderr: '' });
    expect(again).toMatchObject({ status: 1, stdout: '' });
    expect(again.stderr).toContain('was settled just now');
    const shown = () => causeway(['fulfilments', 'show', orderId]);
    await expect.poll(async () => (await shown()).stdout).toMatch(/SETTLED by olga: voided by phone$/m);
    const { stdout } = await causeway(['fulfilments', 'list']);
    expect(stdout).toMatch(new RegExp(`^${orderId} +needs-attention +\\S+Z +VOID_REFUSED$`, 'm'));
  });
});

describe('what goes wrong is said in a line, with a failing status', () => {
  test.each<[string, string[], () => Promise<Record<string, string>> | Record<string, string>, string]>([
    [
      'no gateway',
      ['dead-letters', 'list'],
      () => ({ CAUSEWAY_URL: 'http://127.0.0.1:1' }),
      'the gateway at http://127.0.0.1:1 can not be reached: ECONNREFUSED',
    ],
    [
      'a customer',
      ['dead-letters', 'list'],
      async () => ({ CAUSEWAY_TOKEN: await signToken({ subject: 'al', role: 'customer' }, DEVELOPMENT_KEY, '1h') }),
      'you may not do that: this takes the role operator',
    ],
    [
      'a bad token',
      ['dead-letters', 'list'],
      () => ({ CAUSEWAY_TOKEN: 'x' }),
      'the gateway does not know you: the token',
    ],
    ['no address', ['dead-letters', 'list', '--url', 'nowhere'], () => ({}), '--url is not an http address: nowhere'],
    [
      'an issuer elsewhere',
      ['dead-letters', 'list'],
      () => ({ AUTH_JWKS_URL: 'https://issuer.example/keys' }),
      'say one of its issuer with --token',
    ],
    ['nothing chosen', ['dead-letters', 'replay'], () => ({}), 'filter: says nothing'],
    ['no such letter', ['dead-letters', 'show', '999999'], () => ({}), 'there is no dead letter 999999'],
    [
      'no such file',
      ['dead-letters', 'replay', '--edit', '/none.json'],
      () => ({}),
      '/none.json can not be read: ENOENT',
    ],
    ['no message', ['dead-letters', 'replay', '--edit', 'package.json'], () => ({}), 'package.json is no message as'],
    ['no id', ['fulfilments', 'show', 'order-1'], () => ({}), 'order_id'],
    ['no such status', ['fulfilments', 'list', '--status', 'lost'], () => ({}), 'waiting-for-stock'],
  ])('%s', { concurrent: true }, async (_, words, environment, said) => {
    const { status, stdout, stderr } = await causeway(words, await environment());

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(said);
  });

  test('what answers is something else', async () => {
    const other = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    await once(other.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void other.close());
    const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;

    const { status, stderr } = await causeway(['dead-letters', 'list', '--url', address]);

    expect(status).toBe(1);
    expect(stderr).toContain(`what answers at ${address} is no gateway`);
  });
});

test('every command has help, with examples', async () => {
  const commands = ['list', 'show', 'replay', 'discard'].map((name) => ['dead-letters', name]);
  const all = [...commands, ...['list', 'show', 'resolve'].map((name) => ['fulfilments', name])];

  const helps = await Promise.all(all.map((words) => causeway([...words, '--help'])));

  for (const [index, { status, stdout, stderr }] of helps.entries()) {
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`Examples:\n  npm run -s causeway -- ${all[index]?.join(' ')}`);
    expect(stdout).toContain('--json');
    expect(stdout).toContain('CAUSEWAY_TOKEN');
  }
});
