import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { connectBroker } from '../broker.ts';
import { ensureDeadLetters } from '../dead-letters.ts';
import { allPartitions } from '../partitions.ts';
import { describedService, describeService } from '../service-descriptions.ts';
import { journalOf } from '../streams.ts';
import { atTheEnd, ownNats } from '../testing/servers.ts';
import type { InstalledConsumer, InstalledPartition } from './consumers.ts';
import { type Circumstances, diagnose } from './diagnosis.ts';
import { type InstallationLook, lookAtInstallation } from './look.ts';
import type { InstalledService } from './services.ts';
import type { InstalledStream } from './streams.ts';

const nats = await ownNats();

async function ownBroker() {
  const broker = await connectBroker({ url: nats.url, name: 'diagnosis' });
  atTheEnd(() => broker.close());
  await ensureDeadLetters(broker);
  return broker;
}
const broker = await ownBroker();

const circumstances: Circumstances = { isProduction: false, clock: () => new Date() };

const stream: InstalledStream = {
  name: 'BANK',
  service: 'bank',
  subjects: ['bank.event.>'],
  messages: 1,
  bytes: 1,
  maxBytes: 1_000,
  firstSequence: 1,
  lastSequence: 1,
  firstAt: undefined,
  lastAt: undefined,
  maxAgeMs: 0,
  dedupWindowMs: 120_000,
  replicas: 1,
  replicasBehind: 0,
  drift: [],
};

const partition: InstalledPartition = {
  partition: 0,
  lag: 0,
  unacknowledged: 0,
  maxUnacknowledged: 100,
  redelivered: 0,
  deliveredSequence: 1,
  deliveries: 1,
  acknowledgedSequence: 1,
  lastActiveAt: undefined,
  createdAt: new Date(0),
  ackWaitMs: 30_000,
  isPulled: true,
  isMissing: false,
  trouble: '',
};

const consumer: InstalledConsumer = {
  name: 'bank-thank',
  service: 'bank',
  kind: 'reaction',
  stream: 'BANK',
  eventTypes: [],
  attemptTimeoutMs: 30_000,
  parkedKeys: 0,
  parkedMessages: 0,
  partitions: [partition],
  isOrphan: false,
};

const service: InstalledService = { name: 'bank', status: 'up', reasons: [], members: [], unownedPartitions: [] };

function memberAhead(clockAheadMs: number) {
  const status = { ready: true, reasons: [], host: 'h', startedAt: 0, now: 0, partitions: allPartitions, retrying: [] };
  return { service: 'bank', id: 'one', status, isSilent: false, clockAheadMs };
}

function lookWith({
  streams = [stream],
  consumers = [consumer],
  services = [service],
}: {
  streams?: InstalledStream[];
  consumers?: InstalledConsumer[];
  services?: InstalledService[];
}): InstallationLook {
  return { at: 0, missing: [], streams, services, consumers: { at: 0, infos: [], consumers } };
}

async function found(look: InstallationLook, given: Partial<Circumstances> = {}) {
  const findings = await diagnose(broker, look, { ...circumstances, ...given });
  return (check: string) => findings.filter((each) => each.check === check);
}

const view: InstalledConsumer = { ...consumer, name: 'bank-accounts_v1', kind: 'projection' };
const withPartition = (changes: Partial<InstalledPartition>, of = consumer): InstallationLook =>
  lookWith({ consumers: [{ ...of, partitions: [{ ...partition, ...changes }] }] });
const withStream = (changes: Partial<InstalledStream>) => lookWith({ streams: [{ ...stream, ...changes }] });
const withService = (changes: Partial<InstalledService>) => lookWith({ services: [{ ...service, ...changes }] });

test.each<[string, string, InstallationLook]>([
  ['service', 'problem', withService({ status: 'away', reasons: ['no process of it runs'] })],
  ['partition-owner', 'problem', withService({ status: 'troubled', unownedPartitions: [3] })],
  ['clock-skew', 'warning', withService({ members: [memberAhead(-2_000)] })],
  ['clock-skew', 'problem', withService({ members: [memberAhead(20_000)] })],
  ['stream-drift', 'problem', withStream({ drift: ['max_age is 5, not 0'] })],
  ['stream-replicas', 'problem', withStream({ replicasBehind: 1 })],
  ['stream-replicas', 'warning', withStream({ replicas: 3 })],
  ['stream-fullness', 'warning', withStream({ bytes: 800 })],
  ['stream-fullness', 'problem', withStream({ bytes: 960 })],
  ['dedup-window', 'warning', withStream({ dedupWindowMs: 1_000 })],
  ['consumer-missing', 'problem', withPartition({ isMissing: true })],
  ['consumer-stalled', 'problem', withPartition({ trouble: '5 messages wait' })],
  ['unacknowledged', 'warning', withPartition({ unacknowledged: 90 })],
  ['ack-wait', 'warning', withPartition({ ackWaitMs: 5_000 })],
  ['consumer-orphan', 'warning', lookWith({ consumers: [{ ...consumer, isOrphan: true }] })],
  ['view-behind', 'warning', withPartition({ lag: 1_000 }, view)],
  ['view-builds', 'warning', lookWith({ consumers: [view, { ...view, name: 'bank-accounts_v1_b2' }] })],
])('%s is seen, as a %s, and said what to do; without it, it is not', async (check, severity, look) => {
  expect((await found(look))(check)).toMatchObject([{ severity, remedy: expect.stringMatching(/\w/) }]);
  expect((await found(lookWith({})))(check)).toMatchObject([{ severity: 'ok' }]);
});

test('a consumer that is missing while its service is away is no second problem', async () => {
  const consumers = [{ ...consumer, partitions: [{ ...partition, isMissing: true }] }];
  const findings = await found(lookWith({ consumers, services: [{ ...service, status: 'away' }] }));

  expect(findings('consumer-missing')).toMatchObject([{ severity: 'warning' }]);
});

test('a view that is given all that it may have at hand is behind, and nothing waits for what it calls', async () => {
  const findings = await found(withPartition({ unacknowledged: 1_000, maxUnacknowledged: 1_000 }, view));

  expect(findings('view-behind')).toMatchObject([{ severity: 'warning' }]);
  expect(findings('unacknowledged')).toMatchObject([{ severity: 'ok' }]);
});

test('what could not be looked at is unknown, and no check fails for it', async () => {
  const { services: _, streams: __, ...look } = lookWith({});
  const findings = await diagnose(broker, { ...look, missing: ['streams: no answer'] }, circumstances);

  expect(findings.map(({ severity }) => severity)).not.toContain('problem');
  expect(findings.find(({ check }) => check === 'stream-drift')).toMatchObject({
    severity: 'unknown',
    message: 'streams: no answer',
  });
});

test('a broker of which nothing can be had is a problem', async () => {
  const missing = ['services', 'streams', 'consumers'].map((what) => `${what}: the broker does not answer`);
  const findings = await diagnose(broker, { at: 0, missing }, circumstances);

  expect(findings[0]).toMatchObject({ check: 'broker', severity: 'problem' });
  expect(findings.filter(({ severity }) => severity === 'problem')).toHaveLength(1);
});

test('the worst is said first, and a check that fails keeps no other from its work', async () => {
  const failing = { name: 'failing', ok: '', look: () => Promise.reject(new Error('it broke')) };
  const findings = await diagnose(broker, withService({ status: 'away' }), circumstances, [failing]);

  expect(findings[0]).toMatchObject({ check: 'service', severity: 'problem' });
  expect(findings.find(({ check }) => check === 'failing')).toMatchObject({ severity: 'unknown' });
});

test('too few replicas are a matter of production', async () => {
  expect((await found(lookWith({}), { isProduction: true }))('stream-replicas')).toMatchObject([
    { severity: 'warning' },
  ]);
});

test('how the broker writes to disk is asked of its monitoring', async () => {
  const config = { sync_always: false, sync_interval: 120e9 };
  const monitor = createServer((_, response) => response.end(JSON.stringify({ jetstream: { config } })));
  await new Promise<void>((resolve) => monitor.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void monitor.close());
  const natsMonitorUrl = `http://127.0.0.1:${(monitor.address() as AddressInfo).port}`;
  const fsync = async (given: Partial<Circumstances>) => (await found(lookWith({}), given))('fsync');

  expect(await fsync({ natsMonitorUrl, isProduction: true })).toMatchObject([{ severity: 'problem' }]);
  expect(await fsync({ natsMonitorUrl })).toMatchObject([{ severity: 'warning' }]);
  config.sync_always = true;
  expect(await fsync({ natsMonitorUrl })).toMatchObject([{ severity: 'ok' }]);
  expect(await fsync({})).toMatchObject([{ severity: 'unknown' }]);
  expect(await fsync({ natsMonitorUrl: 'http://127.0.0.1:1' })).toMatchObject([{ severity: 'unknown' }]);
});

test("the broker's clock is compared with ours", async () => {
  const look = await lookAtInstallation(broker, circumstances.clock);
  const late = { clock: () => new Date(Date.now() + 60_000) };

  expect((await found(look))('broker-clock')).toMatchObject([{ severity: 'ok' }]);
  expect((await found(look, late))('broker-clock')).toMatchObject([{ severity: 'problem' }]);
});

test('what is parked is said with its age', async () => {
  await broker.js.publish('dead.bank-thank.0.a', 'parked');
  const look = lookWith({ consumers: [{ ...consumer, parkedKeys: 1, parkedMessages: 1 }] });
  const nextDay = { clock: () => new Date(Date.now() + 25 * 60 * 60 * 1_000) };

  expect((await found(look))('dead-letters')).toMatchObject([{ severity: 'warning', subject: 'bank-thank' }]);
  expect((await found(look, nextDay))('dead-letters')).toMatchObject([{ severity: 'problem' }]);
});

test('a journal that a service publishes to, and that is not there, is missed', async () => {
  const says = { journal: journalOf('lost'), aggregate: 'account', eventTypes: [] };
  await describeService(broker, describedService('lost', [{ says: () => says }], []));
  const missing = (await found(await lookAtInstallation(broker, circumstances.clock)))('stream-missing');

  expect(missing.map(({ subject }) => subject)).toContain('LOST');
});
