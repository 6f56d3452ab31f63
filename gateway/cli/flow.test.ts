import { beforeAll, expect, test, vi } from 'vitest';
import { ensureDeadLetters } from '#kit/dead-letters.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { operations } from '../../services/operations/operations.ts';
import { gatewayTo } from './testing/gateway.ts';
import { runCauseway } from './testing/run.ts';

let parts: ServiceParts;
let natsUrl: string;
let url: string;

beforeAll(async () => {
  const nats = await ownNats();
  natsUrl = nats.url;
  parts = await openTestParts('operations', { natsUrl, mongodbUri: sharedMongoUri() });
  await ensureDeadLetters(parts.broker);
  const service = await operations(parts);
  const gateway = await gatewayTo(service);
  url = gateway.url;
  await vi.waitFor(async () => expect(await service.health()).toMatchObject({ ready: true }), { timeout: 30_000 });
  return gateway.stop;
});

const causeway = (words: readonly string[], environment: Record<string, string> = {}) =>
  runCauseway(words, { CAUSEWAY_URL: url, ...environment });

test('services, streams and consumers are listed for people and for scripts', async () => {
  const [services, streams, consumers, json] = await Promise.all([
    causeway(['services']),
    causeway(['streams']),
    causeway(['consumers', '--service', 'operations']),
    causeway(['consumers', '--json']),
  ]);

  expect(services.stdout).toMatch(/^operations +up +\S+ +\S+ +\S+Z +0,1,2,3,4,5,6,7 +[+-]0\.\d\d s$/m);
  expect(streams.stdout).toMatch(/^OPERATIONS +operations +0 +0\.0 +0 % +1$/m);
  expect(consumers.stdout).toMatch(/^operations-pulse_v1 +ORDERS +projection( +0){4}$/m);
  const [first] = json.stdout.split('\n');
  expect(JSON.parse(first ?? '')).toMatchObject({ service: 'operations', orphan: false, parkedMessages: '0' });
});

test('who owns which partition is told with since when, and how it came to be so', async () => {
  const since = String.raw`\d{4}-\d\d-\d\dT[\d:]{8}Z`;
  const [owners, rebalances, others, json, wrong] = await Promise.all([
    causeway(['services', '--partitions']),
    causeway(['rebalances', '--service', 'operations']),
    causeway(['rebalances', '--service', 'orders']),
    causeway(['rebalances', '--json']),
    causeway(['rebalances', '--service', 'orders.>']),
  ]);

  expect(owners.stdout).toMatch(new RegExp(String.raw`^operations +0 +\S+ +\S+ +${since}$`, 'm'));
  expect(owners.stdout.trim().split('\n')).toHaveLength(1 + 8);
  const line = String.raw`^${since} +operations +\S+ +\S+ +\+0 \+1 \+2 \+3 \+4 \+5 \+6 \+7 +0,1,2,3,4,5,6,7 +1$`;
  expect(rebalances.stdout).toMatch(new RegExp(line, 'm'));
  expect(others.stdout.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ service: 'operations', instances: 1, lost: [] });
  expect(wrong).toMatchObject({ status: 1, stderr: expect.stringContaining('service') });
});

test('the doctor finds what is wrong, says what to do, and tells it by its exit status', async () => {
  const wrong = async () => {
    const { status, stdout } = await causeway(['doctor', '--json']);
    const findings = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    return { status, problems: findings.filter(({ severity }) => severity === 'problem').map(({ check }) => check) };
  };
  const before = await wrong();
  await parts.broker.manager.streams.update('OPERATIONS', { max_msgs: 5_000 });
  const after = await wrong();
  const shown = await causeway(['doctor']);

  expect(before).toEqual({ status: 0, problems: [] });
  expect(after).toMatchObject({ status: 1, problems: ['stream-drift'] });
  expect(shown.stdout).toMatch(/^problem +stream-drift +OPERATIONS +max_msgs is 5000/m);
  expect(shown.stdout).toContain('-> Set it back with `nats stream edit OPERATIONS`');
});

test('where the gateway is away, the doctor asks the broker by itself', async () => {
  const environment = { CAUSEWAY_URL: 'http://127.0.0.1:1' };
  const [asked, not] = await Promise.all([
    causeway(['doctor', '--all', '--json'], { ...environment, NATS_URL: natsUrl }),
    causeway(['doctor'], environment),
  ]);

  expect(asked).toMatchObject({ status: 1, stderr: expect.stringContaining('the broker is asked by itself') });
  const findings = asked.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(findings).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ check: 'gateway', severity: 'problem' }),
      expect.objectContaining({ check: 'service', severity: 'ok' }),
    ]),
  );
  expect(not).toMatchObject({ status: 1, stderr: expect.stringContaining('with NATS_URL') });
});
