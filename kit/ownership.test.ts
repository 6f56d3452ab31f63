import { Kvm } from '@nats-io/kv';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import type { Broker } from './broker.ts';
import { OWNERS_BUCKET, Ownership, type OwnershipOptions } from './ownership.ts';
import { shareOf } from './partition-shares.ts';
import { allPartitions } from './partitions.ts';
import { silent } from './telemetry/logging.ts';

const quick: OwnershipOptions = { heartbeatMs: 50, silenceMs: 60_000 };

async function join(url: string, options: Partial<OwnershipOptions> = quick, service = 'bank') {
  const broker = await ownConnection(url);
  const ownership = new Ownership({ service, broker, logger: silent }, options);
  onTestFinished(() => ownership.stop());
  const changes: (readonly number[])[] = [];
  ownership.onChange((partitions) => changes.push(partitions));
  await ownership.start();
  return { ownership, broker, changes };
}

type Member = { ownership: Ownership; broker: Broker };

function shares(members: readonly Member[]): string[] {
  return members.map(({ ownership }) => ownership.partitions.join());
}

/** What each member has to own in the end. */
function fairShares(members: readonly Member[]): string[] {
  const ids = members.map(({ ownership }) => ownership.member);
  return ids.map((id) => shareOf(id, ids).join());
}

test('one member alone owns everything as soon as it has started', async () => {
  const { ownership, changes } = await join((await ownNats()).url);
  expect(ownership.partitions).toEqual(allPartitions);
  expect(changes).toEqual([allPartitions]);
});

test('members share all partitions, and none owns what another does; services do not share with each other', async () => {
  const { url } = await ownNats();
  const members = [await join(url), await join(url), await join(url)];
  await expect.poll(() => shares(members)).toEqual(fairShares(members));
  expect(members.flatMap(({ ownership }) => ownership.partitions).toSorted()).toEqual(allPartitions);
  expect((await join(url, quick, 'other')).ownership.partitions).toEqual(allPartitions);
});

test('a member whose connection ends without a word is missed long before its silence counts', async () => {
  const { url } = await ownNats();
  const members = [await join(url), await join(url), await join(url)];
  await expect.poll(() => shares(members)).toEqual(fairShares(members));
  const [gone, ...left] = members;
  await gone?.broker.close();
  await expect.poll(() => shares(left)).toEqual(fairShares(left));
});

test('a process that starts again after a crash does not wait for its predecessor to expire', async () => {
  const { url } = await ownNats();
  const { broker } = await join(url);
  await broker.close();
  const { ownership } = await join(url);
  expect(ownership.partitions).toEqual(allPartitions);
});

/** As a process that stands still: the broker has its subscription, and nobody answers. Resolves when it is known. */
async function standstill({ broker, ownership }: Member): Promise<void> {
  const lost = await ownConnection(broker.connection.getServer());
  lost.connection.subscribe('owner.bank.lost');
  await lost.connection.flush();
  await lost.js.publish('$KV.partition-owners.bank.lost', '');
  await expect.poll(() => ownership.partitions).toEqual(shareOf(ownership.member, [ownership.member, 'lost']));
}

test('a member that stands still is given up when it has been silent for long enough, whatever the bucket keeps', async () => {
  const { url } = await ownNats();
  const member = await join(url, { heartbeatMs: 50, silenceMs: 1_200 });
  await standstill(member);
  await expect.poll(() => member.ownership.partitions).toEqual(allPartitions);
  const bucket = await new Kvm(member.broker.js).open(OWNERS_BUCKET);
  expect((await bucket.get('bank.lost'))?.operation).toBe('PUT');
});

test('who does not hear itself says of nobody that it is gone', async () => {
  const { url } = await ownNats();
  const member = await join(url, { heartbeatMs: 50, silenceMs: 1_200 });
  const { connection } = member.broker;
  const before = connection.request.bind(connection);
  let asked = 0;
  // As a broker that is slow: heartbeats come through, calls do not, to whomever.
  connection.request = async (subject, ...words) => {
    if (!subject.startsWith('owner.')) return before(subject, ...words);
    asked++;
    throw new Error('timeout');
  };
  await standstill(member);
  await expect.poll(() => asked).toBeGreaterThan(64);
  expect(member.ownership.partitions).not.toEqual(allPartitions);
  connection.request = before;
  await expect.poll(() => member.ownership.partitions).toEqual(allPartitions);
});

test('members that all seem gone from the bucket and answer are there', async () => {
  const { url } = await ownNats();
  const members = [await join(url), await join(url, { heartbeatMs: 60_000, silenceMs: 120_000 })];
  await expect.poll(() => shares(members)).toEqual(fairShares(members));
  const [first, second] = members as unknown as [Member, Member];
  const { js } = first.broker;
  const told: (readonly number[])[] = [];
  first.ownership.onChange((partitions) => told.push(partitions));
  await (await js.jetstreamManager()).streams.purge(`KV_${OWNERS_BUCKET}`);
  const bucket = await new Kvm(js).open(OWNERS_BUCKET);
  await expect.poll(async () => (await bucket.get(`bank.${first.ownership.member}`))?.revision).toBeGreaterThan(0);
  await expect.poll(async () => (await bucket.get(`bank.${second.ownership.member}`))?.revision).toBe(undefined);
  expect(told).toEqual([]);
});

test('a process is not sure of what it owns when it was not heard in time, until it has looked again', async () => {
  const { url } = await ownNats();
  const { ownership } = await join(url, { heartbeatMs: 50, silenceMs: 1_000 });
  const stoodStill = async () => {
    const since = performance.now();
    // Nothing of this process runs, as when it is paused.
    while (performance.now() - since < 1_100);
    expect(ownership.isSure()).toBe(false);
    const hadOthers = await ownership.sure(AbortSignal.timeout(10_000));
    expect(ownership.isSure()).toBe(true);
    return hadOthers;
  };
  await ownership.sure(AbortSignal.timeout(10_000));
  expect(await stoodStill()).toBe(false);
  const other = await join(url);
  await expect.poll(() => ownership.partitions.length).toBe(4);
  expect(await stoodStill()).toBe(true);
  expect(other.ownership.partitions).toHaveLength(4);
});

test('a process that stood still is known to be back as soon as it is sure again', async () => {
  const { url } = await ownNats();
  const sleeper = await join(url, { heartbeatMs: 50, silenceMs: 1_000 });
  await sleeper.ownership.sure(AbortSignal.timeout(10_000));
  let told = 0;
  sleeper.broker.connection.subscribe('owners.bank', { callback: () => void told++ });
  const since = performance.now();
  while (performance.now() - since < 1_100);
  await sleeper.ownership.sure(AbortSignal.timeout(10_000));
  await expect.poll(() => told).toBeGreaterThan(0);
});

test('who waits to be sure is told when it need not wait any more', async () => {
  const nats = await ownNats();
  const { ownership, broker } = await join(nats.url);
  await nats.kill();
  await expect.poll(() => broker.connected()).toBe(false);
  const giveUp = new AbortController();
  const waiting = ownership.sure(giveUp.signal);
  giveUp.abort();
  await waiting;
  expect(ownership.isSure()).toBe(false);
  await nats.restart();
  await ownership.sure(AbortSignal.timeout(20_000));
  expect(ownership.isSure()).toBe(true);
});

test('who leaves while the broker is away asks nothing of it', async () => {
  const nats = await ownNats();
  const { ownership, broker } = await join(nats.url);
  await nats.kill();
  await expect.poll(() => broker.connected()).toBe(false);
  const asked = vi.spyOn(broker.js, 'publish');
  await ownership.stop();
  expect(asked).not.toHaveBeenCalled();
  expect(ownership.partitions).toEqual([]);
});

test('who leaves in order is followed at once', async () => {
  const { url } = await ownNats();
  const slow = { heartbeatMs: 60_000, silenceMs: 120_000 };
  const stays = await join(url, slow);
  const leaves = await join(url, slow);
  await expect.poll(() => shares([stays, leaves])).toEqual(fairShares([stays, leaves]));
  await leaves.ownership.stop();
  expect(leaves.ownership.partitions).toEqual([]);
  await expect.poll(() => stays.ownership.partitions).toEqual(allPartitions);
  const bucket = await new Kvm(stays.broker.js).open(OWNERS_BUCKET);
  expect((await bucket.get(`bank.${leaves.ownership.member}`))?.operation).toBe('DEL');
});

test('a broker that is away for a while changes nothing, and sharing goes on when it is back', async () => {
  const nats = await ownNats();
  const first = await join(nats.url);
  await nats.kill('SIGKILL');
  expect(first.ownership.partitions).toEqual(allPartitions);
  await nats.restart();
  await expect.poll(() => first.broker.connected(), { timeout: 10_000 }).toBe(true);
  const second = await join(nats.url);
  await expect.poll(() => shares([first, second]), { timeout: 10_000 }).toEqual(fairShares([first, second]));
  expect(first.changes.every((partitions) => partitions.length > 0)).toBe(true);
});
