import { Kvm } from '@nats-io/kv';
import { expect, onTestFinished, test } from 'vitest';
import { ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import type { Broker } from './broker.ts';
import { OWNERS_BUCKET, Ownership, type OwnershipOptions, ownerOf } from './ownership.ts';
import { allPartitions } from './partitions.ts';
import { silent } from './telemetry/logging.ts';

const quick: OwnershipOptions = { heartbeatMs: 50, ttlMs: 60_000 };

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
  return ids.map((id) => allPartitions.filter((partition) => ownerOf(partition, ids) === id).join());
}

test('a member that ends moves only its share, whoever it is', () => {
  const members = ['one', 'two', 'three', 'four'];
  const many = Array.from({ length: 1_000 }, (_, partition) => partition);
  for (const gone of members) {
    const left = members.filter((member) => member !== gone);
    for (const partition of many) {
      const before = ownerOf(partition, members);
      const after = ownerOf(partition, left);
      if (before === gone) expect(left).toContain(after);
      else expect(after).toBe(before);
    }
  }
  for (const member of members) {
    expect(many.filter((partition) => ownerOf(partition, members) === member).length).toBeGreaterThan(150);
  }
  expect(ownerOf(0, ['one', 'two'])).toBe(ownerOf(0, ['two', 'one']));
  expect(ownerOf(0, [])).toBeUndefined();
});

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

test('a member whose connection ends without a word is missed long before its heartbeat expires; only its share moves', async () => {
  const { url } = await ownNats();
  const members = [await join(url), await join(url), await join(url)];
  await expect.poll(() => shares(members)).toEqual(fairShares(members));
  const [gone, ...left] = members;
  const before = left.map(({ ownership }) => ownership.partitions);
  await gone?.broker.close();
  await expect.poll(() => shares(left), { timeout: 5_000 }).toEqual(fairShares(left));
  for (const [index, { ownership, changes }] of left.entries()) {
    expect(ownership.partitions).toEqual(expect.arrayContaining([...(before[index] ?? [])]));
    // Nothing that was kept has been given up meanwhile.
    for (const partitions of changes.slice(changes.findIndex((each) => each.join() === before[index]?.join()))) {
      expect(partitions).toEqual(expect.arrayContaining([...(before[index] ?? [])]));
    }
  }
});

test('a process that starts again after a crash does not wait for its predecessor to expire', async () => {
  const { url } = await ownNats();
  const { broker } = await join(url);
  await broker.close();
  const { ownership } = await join(url);
  expect(ownership.partitions).toEqual(allPartitions);
});

test('a member that can be reached by nobody is given up when its heartbeat has expired', async () => {
  const { url } = await ownNats();
  const expiring = { heartbeatMs: 50, ttlMs: 600 };
  const { ownership } = await join(url, expiring);
  // As a machine that was lost: the broker still has its subscription, and nobody answers.
  const lost = await ownConnection(url);
  lost.connection.subscribe('owner.bank.lost');
  await lost.connection.flush();
  await lost.js.publish('$KV.partition-owners.bank.lost', '');
  const others = allPartitions.filter(
    (partition) => ownerOf(partition, [ownership.member, 'lost']) === ownership.member,
  );
  await expect.poll(() => ownership.partitions).toEqual(others);
  await expect.poll(() => ownership.partitions, { timeout: 5_000 }).toEqual(allPartitions);
});

test('who leaves in order is followed at once', async () => {
  const { url } = await ownNats();
  const slow = { heartbeatMs: 60_000, ttlMs: 120_000 };
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
