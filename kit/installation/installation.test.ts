import { randomUUID } from 'node:crypto';
import { AckPolicy } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { expect, onTestFinished, test, vi } from 'vitest';
import { connectBroker } from '../broker.ts';
import { KeyedConsumer } from '../consumer.ts';
import { ensureDeadLetters } from '../dead-letters.ts';
import { TransientError } from '../errors.ts';
import { OwnedWork } from '../owned-work.ts';
import { HOW_IT_IS, memberAddress, OWNERS_BUCKET } from '../ownership.ts';
import { allPartitions, partitionOf } from '../partitions.ts';
import { describeService } from '../service-descriptions.ts';
import { silent } from '../telemetry/logging.ts';
import { openBank } from '../testing/reacting.ts';
import { atTheEnd, ownNats } from '../testing/servers.ts';
import { installedConsumers, total } from './consumers.ts';
import { installedServices } from './services.ts';
import { installedStreams } from './streams.ts';

const nats = await ownNats();

async function ownBroker() {
  const broker = await connectBroker({ url: nats.url, name: 'installation', timeoutMs: 5_000 });
  atTheEnd(() => broker.close());
  return broker;
}
const broker = await ownBroker();

/** A service with one reaction that fails for as long as it is told to. Stopped with the test. */
async function openService(failing = { with: undefined as string | undefined }) {
  const bank = await openBank(nats.url);
  const { service } = bank;
  const parts = { service, broker: bank.broker, logger: silent, personalData: { find: async () => undefined } };
  const handle = async () => {
    if (failing.with !== undefined) throw new TransientError(failing.with);
  };
  const backoff = { minMs: 60_000, maxMs: 60_000 };
  const consumer = new KeyedConsumer(bank.reaction(handle), parts, { backoff, drainMs: 100 });
  const says = { journal: bank.journal.declaration, aggregate: 'account', eventTypes: ['causeway.testing.v1.Opened'] };
  const work = new OwnedWork([consumer as never], [{ says: () => says }], parts, { heartbeatMs: 100 });
  onTestFinished(() => work.stop());
  return { ...bank, work, consumer: `${service}-thank-on-deposit` };
}

const soon = { timeout: 20_000, interval: 50 };
const serviceNamed = async (name: string) => (await installedServices(broker)).find((each) => each.name === name);
const consumerNamed = async (name: string) => (await installedConsumers(broker)).find((each) => each.name === name);

test('a service is up while its members are, says what they are at, and is away when none is there any more', async () => {
  const { service, work, deposit, consumer } = await openService({ with: 'the provider is moody' });
  await work.start();
  await deposit('account-1', 5);

  await expect.poll(async () => (await serviceNamed(service))?.members[0]?.status?.retrying.length).toBe(1);
  await expect.poll(() => serviceNamed(service)).toMatchObject({ status: 'up', reasons: [] });
  const found = await serviceNamed(service);
  expect(found?.unownedPartitions).toEqual([]);
  expect(found?.members).toMatchObject([{ isSilent: false, status: { ready: true, partitions: allPartitions } }]);
  expect(found?.members[0]?.status?.host).not.toBe('');
  expect(Math.abs(found?.members[0]?.clockAheadMs ?? Number.NaN)).toBeLessThan(1_000);
  expect(found?.members[0]?.status?.retrying).toMatchObject([
    { consumer, partition: partitionOf('account-1'), key: 'account-1', attempts: 1, error: 'the provider is moody' },
  ]);

  await work.stop();
  expect(await serviceNamed(service)).toMatchObject({ status: 'away', members: [], unownedPartitions: allPartitions });
});

test('what a member says of its health makes the service troubled, and a health that is not told in time does too', async () => {
  const { service, work } = await openService();
  const answers = { health: async () => ({ ready: false, reasons: ['the database is away'] }) };
  await work.start(() => answers.health());
  expect(await serviceNamed(service)).toMatchObject({ status: 'troubled', reasons: ['the database is away'] });

  answers.health = () => new Promise(() => {});
  const { reasons } = (await serviceNamed(service)) ?? { reasons: [] };
  expect(reasons).toEqual([expect.stringContaining('its health is not known')]);
});

test('a member of an older program only says that it is there, one that hangs is silent, and neither keeps others from being told', async () => {
  const { service, work } = await openService();
  await work.start();
  const others = [`old${randomUUID().slice(0, 8)}`, `hung${randomUUID().slice(0, 8)}`];
  const bucket = await new Kvm(broker.js).open(OWNERS_BUCKET);
  for (const other of others) await bucket.put(`${other}.one`, '');
  for (const [index, other] of others.entries()) {
    const subscription = broker.connection.subscribe(memberAddress(other, 'one'), {
      callback: (_, message) => {
        if (index === 0) message.respond();
      },
    });
    onTestFinished(() => subscription.unsubscribe());
  }
  await bucket.put('gone.one', '');

  const found = await installedServices(broker);
  const [old, hung] = others.map((name) => found.find((each) => each.name === name));
  expect(old).toMatchObject({ status: 'up', unownedPartitions: [], members: [{ isSilent: false, status: undefined }] });
  expect(hung).toMatchObject({ status: 'away', members: [{ isSilent: true }], reasons: ['it does not answer'] });
  expect(found.map(({ name }) => name)).not.toContain('gone');
  expect(await serviceNamed(service)).toMatchObject({ status: 'up' });
});

test('whoever asks a member without a word is told that it is there, as before', async () => {
  const { service, work } = await openService();
  await work.start();
  const [member] = (await serviceNamed(service))?.members ?? [];
  const ask = (words: string) =>
    broker.connection.request(memberAddress(service, member?.id ?? ''), words, { timeout: 1_000 });

  expect((await ask('')).string()).toBe('');
  expect((await ask(HOW_IT_IS)).json()).toMatchObject({ partitions: allPartitions });
});

test('a stream is told as it is, with whose it is and where it is not as declared', async () => {
  const { service, work, deposit, journal } = await openService();
  await work.start();
  await deposit('account-1', 5);
  const find = async () => (await installedStreams(broker)).find(({ name }) => name === journal.stream);
  expect(await find()).toMatchObject({
    service,
    messages: 1,
    lastSequence: 1,
    replicas: 1,
    replicasBehind: 0,
    drift: [],
  });

  await broker.manager.streams.update(journal.stream, { max_msgs: 1_000 });
  expect((await find())?.drift).toEqual([expect.stringContaining('max_msgs is 1000')]);
});

test('a consumer is told with all partitions, also those that the broker has lost, and what it has parked', async () => {
  const { work, deposit, consumer, journal } = await openService({ with: 'moody' });
  await work.start();
  await ensureDeadLetters(broker);
  await deposit('account-1', 5);
  await broker.js.publish(`dead.${consumer}.0.a`, 'parked');
  await broker.js.publish(`dead.${consumer}.0.a`, 'parked behind it');
  await vi.waitFor(async () => {
    const found = await consumerNamed(consumer);
    expect(found?.partitions.filter(({ isMissing }) => isMissing)).toEqual([]);
    expect(found === undefined ? 0 : total(found, 'unacknowledged')).toBe(1);
  }, soon);
  const found = await consumerNamed(consumer);
  expect(found).toMatchObject({ kind: 'reaction', stream: journal.stream, isOrphan: false });
  expect(found).toMatchObject({ parkedKeys: 1, parkedMessages: 2, attemptTimeoutMs: 30_000 });

  await work.stop();
  await broker.manager.consumers.delete(journal.stream, `${consumer}-3`);
  const left = await consumerNamed(consumer);
  expect(left?.partitions.filter(({ isMissing }) => isMissing).map(({ partition }) => partition)).toEqual([3]);
});

test('a consumer that no program has is an orphan as long as nobody pulls from it', async () => {
  const { service, work, journal } = await openService();
  await work.start();
  const add = (name: string) =>
    broker.manager.consumers.add(journal.stream, { durable_name: name, ack_policy: AckPolicy.Explicit });
  await add(`${service}-accounts_v1-0`);

  expect(await consumerNamed(`${service}-accounts_v1`)).toMatchObject({ service, isOrphan: true });
  const pulling = await (await broker.js.consumers.get(journal.stream, `${service}-accounts_v1-0`)).consume({
    callback: () => {},
  });
  onTestFinished(async () => void (await pulling.close()));
  await expect.poll(async () => (await consumerNamed(`${service}-accounts_v1`))?.isOrphan).toBe(false);
});

test('a view of which only a later build is left lacks no consumers', async () => {
  const { service, journal } = await openService();
  const name = `${service}-accounts_v1`;
  const sources = [{ stream: journal.stream, aggregate: 'account' }];
  const consumers = [{ name, kind: 'projection' as const, sources, eventTypes: [] }];
  await describeService(broker, { service, journals: [], publishes: [], consumers });
  expect((await consumerNamed(name))?.partitions.every(({ isMissing }) => isMissing)).toBe(true);

  await Promise.all(
    allPartitions.map((partition) =>
      broker.manager.consumers.add(journal.stream, { durable_name: `${name}_b2-${partition}` }),
    ),
  );

  expect(await consumerNamed(name)).toBeUndefined();
  expect(await consumerNamed(`${name}_b2`)).toMatchObject({ kind: 'projection', isOrphan: false });
});
