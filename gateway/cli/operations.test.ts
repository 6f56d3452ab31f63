import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { FulfilmentNeedsAttentionSchema, StockRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { FulfilmentStatus, OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { DeadLetterDesk } from '#kit/dead-letter-desk.ts';
import { ensureJournals } from '#kit/journal.ts';
import { DEVELOPMENT_KEY, signToken } from '#kit/rpc/identity.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownDirectory, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { operations } from '../../services/operations/operations.ts';
import { openShop, say } from '../../services/operations/testing/shop.ts';
import { auditCommand } from './audit.ts';
import { deadLettersCommand } from './dead-letters.ts';
import { fulfilmentsCommand } from './fulfilments.ts';
import { asOperator } from './gateway-client.ts';
import { gatewayTo } from './testing/gateway.ts';
import { runCauseway } from './testing/run.ts';

let parts: ServiceParts;
let url: string;

beforeAll(async () => {
  const nats = await ownNats();
  parts = await openTestParts('operations', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('orders'), journalOf('fulfilment')]);
  const gateway = await gatewayTo(await operations(parts));
  url = gateway.url;
  return gateway.stop;
});

const causeway = (words: readonly string[], environment: Record<string, string> = {}) =>
  runCauseway(words, { CAUSEWAY_URL: url, ...environment });

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('events', () => {
  test('search finds them, the newest first, and show tells all of one, with what is personal sealed', async () => {
    const shop = await openShop(parts);
    const key = await shop.park(2);
    const words = ['events', 'search', '--key', key, '--type', 'OrderPlaced'];

    const [found, json] = await Promise.all([causeway(words), causeway([...words, '--json', '--limit', '1'])]);

    expect(found).toMatchObject({ status: 0, stderr: '2 events\n' });
    expect(found.stdout).toMatch(new RegExp(`^\\S+Z +OrderPlaced +${key} +test +ORDERS \\d+$`, 'm'));
    const [newest, ...others] = jsonLines(json.stdout);
    expect(newest).toMatchObject({ key, version: '2', data: { orderId: key, paymentMethod: 'pm-2', email: '' } });
    expect(others).toEqual([]);
    const shown = await causeway(['events', 'show', 'ORDERS', newest.sequence]);
    expect(shown.stdout).toContain('"paymentMethod": "pm-2"');
    expect(shown.stdout).toMatch(/^ce-type +causeway\.orders\.v1\.OrderPlaced$/m);
    expect(`${found.stdout}${json.stdout}${shown.stdout}`).not.toContain('alice@example.org');
  });

  test('tail shows each as it happens, and no other than was asked for', async () => {
    const shop = await openShop(parts);
    const key = randomUUID();
    const tail = causeway(['events', 'tail', '--key', key, '--limit', '1']);
    const others = setInterval(() => void shop.place(randomUUID(), 'pm_other'), 20);
    const asked = setInterval(() => void shop.place(key, 'pm_asked'), 100);
    onTestFinished(() => [others, asked].forEach(clearInterval));

    const { status, stdout } = await tail;

    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^\\S+Z  OrderPlaced  ${key} \\{.*"paymentMethod":"pm_asked".*\\}\\n$`));
  });

  test.each([
    [['search', '--from', 'yesterday'], 'It is a time'],
    [['search', '--stream', 'KV_customer-keys'], 'KV_customer-keys is no journal'],
    [['show', 'ORDERS', '1000000'], 'there is no event 1000000 in ORDERS'],
  ])('%s is refused in words', async (words, said) => {
    const refused = await causeway(['events', ...words]);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain(said);
  });
});

describe('dead-letters', () => {
  test('list shows what is parked, in a table or as a line of JSON for each key', async () => {
    const shop = await openShop(parts);
    const keys = [await shop.park(2), await shop.park(1)];
    const words = ['dead-letters', 'list', '--consumer', shop.name];

    const [shown, json] = await Promise.all([causeway(words), causeway([...words, '--json', '--limit', '1'])]);

    expect(shown).toMatchObject({ status: 0, stderr: '2 of 2 keys with parked messages\n' });
    for (const key of keys) expect(shown.stdout).toContain(key);
    expect(shown.stdout).toMatch(/^SEQUENCE +CONSUMER +KEY +MESSAGES/);
    expect(shown.stdout).toMatch(/ 2 +OrderPlaced +REFUSED +\S+Z +pm-1 is refused$/m);
    expect(json).toMatchObject({ status: 0, stderr: '' });
    const [first, ...others] = jsonLines(json.stdout);
    expect(keys).toContain(first.key);
    expect(first.first).toMatchObject({ reason: 'REFUSED', eventType: 'causeway.orders.v1.OrderPlaced' });
    expect(others).toEqual([]);
  });

  test('show says what a message says, why it is parked, and what waits behind it; edited, it is replayed', async () => {
    const shop = await openShop(parts, ({ paymentMethod }) => paymentMethod !== 'pm_ok');
    const key = await shop.park(2);
    const [row] = await new DeadLetterDesk(parts.broker).rows({ consumer: shop.name });
    const sequence = String(row?.first.sequence);

    const [shown, json, data] = await Promise.all([
      causeway(['dead-letters', 'show', sequence]),
      causeway(['dead-letters', 'show', sequence, '--json']),
      causeway(['dead-letters', 'show', sequence, '--data']),
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
    const words = ['dead-letters', 'replay', '--consumer', shop.name, '--because', 'mended', '--rate', '50'];

    const dry = await causeway([...words, '--dry-run']);
    expect(shop.handled).toEqual([]);
    const done = await causeway([...words, '--json']);

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
  });

  test('discard asks for --yes, and for a reason', async () => {
    const shop = await openShop(parts);
    const key = await shop.park(2);
    const words = ['dead-letters', 'discard', '--consumer', shop.name, '--because', 'told by phone'];

    const [unsure, unreasoned] = await Promise.all([causeway(words), causeway(words.slice(0, 4))]);
    const done = await causeway([...words, '--yes']);
    const again = await causeway(['dead-letters', 'replay', '--consumer', shop.name]);

    expect(unsure).toMatchObject({ status: 1, stdout: '' });
    expect(unsure.stderr).toContain(key);
    expect(unsure.stderr).toContain('Nothing was done: say --yes.');
    expect(unreasoned.stderr).toContain('--because');
    expect(done).toEqual({ status: 0, stdout: '2 messages of 1 keys discarded\n', stderr: '' });
    expect(again).toEqual({ status: 0, stdout: '', stderr: 'nothing is parked that matches\n' });
  });
});

describe('fulfilments', () => {
  test('are listed, shown with their steps, and resolved, with who did it', async () => {
    const orderId = randomUUID();
    const place = { service: 'fulfilment', aggregate: 'fulfilment', key: orderId };
    await say(parts, place, StockRequestedSchema, { orderId, deadline: timestampFromDate(new Date(60_000)) });
    await say(parts, place, FulfilmentNeedsAttentionSchema, { orderId, problem: 'VOID_REFUSED', tried: ['voiding'] });
    const needing = { status: FulfilmentStatus.NEEDS_ATTENTION };
    await expect
      .poll(() => asOperator(OperationsService, { url }, (client) => client.listFulfilments(needing)))
      .toMatchObject({ fulfilments: [{ orderId }] });
    const token = await signToken({ subject: 'olga', role: 'operator' }, DEVELOPMENT_KEY, '1h');

    const resolve = ['fulfilments', 'resolve', orderId, '--as', 'settled', '--because', 'voided by phone'];
    const resolved = await causeway(resolve, { CAUSEWAY_TOKEN: token });
    const again = await causeway(resolve, { CAUSEWAY_TOKEN: token });

    expect(resolved).toMatchObject({ status: 0, stderr: '' });
    expect(again).toMatchObject({ status: 1, stdout: '' });
    expect(again.stderr).toContain('was settled just now');
    await expect
      .poll(() => asOperator(OperationsService, { url }, (client) => client.getFulfilment({ orderId })))
      .toMatchObject({ fulfilment: { steps: [{}, {}, {}] } });
    const [shown, listed] = await Promise.all([
      causeway(['fulfilments', 'show', orderId]),
      causeway(['fulfilments', 'list', '--status', 'needs-attention']),
    ]);
    expect(shown.stdout).toMatch(/FulfilmentResolutionRequested +SETTLED by olga: voided by phone$/m);
    expect(listed.stdout).toMatch(new RegExp(`^${orderId} +needs-attention +\\S+Z +VOID_REFUSED$`, 'm'));
  });
});

describe('what goes wrong is said in a line, with a failing status:', () => {
  test.each<[string, string[], string]>([
    ['nothing chosen', ['dead-letters', 'replay'], 'filter: says nothing'],
    ['no such letter', ['dead-letters', 'show', '999999'], 'there is no dead letter 999999'],
    ['no message', ['dead-letters', 'replay', '--edit', 'package.json'], 'package.json is no message as'],
    ['no id', ['fulfilments', 'show', 'order-1'], 'order_id'],
    ['no such status', ['fulfilments', 'list', '--status', 'lost'], 'waiting-for-stock'],
    [
      'no gateway',
      ['dead-letters', 'list', '--url', 'http://127.0.0.1:1'],
      'the gateway at http://127.0.0.1:1 can not be reached: ECONNREFUSED',
    ],
  ])('%s', { concurrent: true }, async (_, words, said) => {
    const { status, stdout, stderr } = await causeway(words);

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(said);
  });
});

describe('a caller is told', () => {
  const list = (options: { url?: string; token?: string }) =>
    asOperator(OperationsService, { url, ...options }, (client) => client.listDeadLetters({}));

  test('that it may not, or is not known', async () => {
    const customer = await signToken({ subject: 'alice', role: 'customer' }, DEVELOPMENT_KEY, '1h');

    await expect(list({ token: customer })).rejects.toThrow('you may not do that: this takes the role operator');
    await expect(list({ token: 'x' })).rejects.toThrow('the gateway does not know you: the token is not valid');
  });

  test('that a token has to be said where only another issuer can make one', async () => {
    vi.stubEnv('AUTH_JWKS_URL', 'https://issuer.example/keys');
    onTestFinished(() => void vi.unstubAllEnvs());

    await expect(list({})).rejects.toThrow('say one of its issuer with --token');
  });

  test('that there is no gateway at the address', async () => {
    const other = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    await once(other.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void other.close());
    const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;

    await expect(list({ url: address })).rejects.toThrow(`what answers at ${address} is no gateway`);
    await expect(list({ url: 'nowhere' })).rejects.toThrow('--url is not an http address: nowhere');
  });
});

test('every command has help, with examples of itself', () => {
  for (const group of [deadLettersCommand(), fulfilmentsCommand(), auditCommand()]) {
    for (const command of group.commands.length === 0 ? [group] : group.commands) {
      let help = '';
      command.configureOutput({
        writeOut: (text) => {
          help += text;
        },
      });
      command.outputHelp();
      expect(help).toContain(
        `Examples:\n  npm run -s causeway -- ${group === command ? '' : `${group.name()} `}${command.name()}`,
      );
      for (const word of ['--json', '--url', 'CAUSEWAY_TOKEN']) expect(help).toContain(word);
    }
  }
});
