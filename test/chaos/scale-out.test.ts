import { setTimeout as delay } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { PartitionsAssignedSchema } from '#gen/causeway/events/v1/partitions_assigned_pb.js';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { Header } from '#kit/event.ts';
import { askMembers } from '#kit/installation/members.ts';
import { freePort } from '#kit/local/free-port.ts';
import { allPartitions } from '#kit/partitions.ts';
import { atTheEnd, testMasterKey } from '#kit/testing/servers.ts';
import { assemble } from './assembled.ts';
import { type Member, processOf } from './fleet.ts';
import { expectInvariants } from './invariants.ts';
import { seededRandom } from './random.ts';
import { shop } from './shoppers.ts';

const SERVICE = 'fulfilment';
const PAUSE_MS = 30_000;
const OWNERLESS_MS = 5_000;

/** A process of the service, and since when it does nothing. */
type Replica = Member & { id: string; endsAt: number[]; goesOnAt: number[] };

/** What a member said of itself. */
type Assigned = { at: number; member: string; gained: number[]; lost: number[] };

const quick = { DEADLINE_PAYMENT: '6s', DEADLINE_STOCK: '20s', CARRIER_DELIVERS_AFTER: '1s' };

async function replicasOf(platform: { nats: { url: string }; mongodbUri: string }, broker: Broker) {
  const replicas: Replica[] = [];
  const started: Member[] = [];
  atTheEnd(async () => {
    await Promise.all(started.map((each) => each.kill()));
  });
  const add = async () => {
    const [grpcPort, httpPort] = [await freePort(), await freePort()];
    const process = processOf(SERVICE, `services/${SERVICE}/main.ts`, httpPort, {
      NATS_URL: platform.nats.url,
      MONGODB_URI: platform.mongodbUri,
      PERSONAL_DATA_KEY: testMasterKey.toString('base64'),
      SERVICE_GRPC_PORT: String(grpcPort),
      SERVICE_HTTP_PORT: String(httpPort),
      LOG_LEVEL: 'warn',
      ...quick,
    });
    started.push(process);
    await process.start();
    // One at a time is added, so the one that is not known is it.
    const known = new Set(replicas.map(({ id }) => id));
    const found = (await askMembers(broker)).find(({ service, id }) => service === SERVICE && !known.has(id));
    replicas.push({ ...process, id: found?.id ?? '', endsAt: [], goesOnAt: [] });
    return replicas.at(-1) as Replica;
  };
  return { replicas, add };
}

/** Waits until these have all partitions, each one of them, and none has two more than another. */
async function isBalanced(broker: Broker, replicas: readonly Replica[]): Promise<void> {
  await expect
    .poll(
      async () => {
        const members = await askMembers(broker);
        const shares = replicas.map(({ id }) => members.find((each) => each.id === id)?.status?.partitions ?? []);
        const sizes = shares.map((share) => share.length);
        return { owned: shares.flat().toSorted(), isWithinOne: Math.max(...sizes) - Math.min(...sizes) <= 1 };
      },
      { timeout: 20_000 },
    )
    .toEqual({ owned: allPartitions, isWithinOne: true });
}

/** Follows what members say of themselves. */
function followed({ connection }: Broker): Assigned[] {
  const told: Assigned[] = [];
  connection.subscribe(`live.notices.event.*.service.${SERVICE}`, {
    callback: (error, message) => {
      if (error !== null) return;
      const { member, gained, lost } = fromBinary(PartitionsAssignedSchema, message.data);
      told.push({ at: Date.parse(message.headers?.get(Header.time) ?? ''), member, gained, lost });
    },
  });
  return told;
}

/** For how long nobody that was at work owned a partition, at the longest, in ms, from when somebody first did. */
function longestWithoutOwner(told: readonly Assigned[], replicas: readonly Replica[], partition: number): number {
  const changes = replicas.flatMap(({ id, endsAt, goesOnAt }) => [
    ...told.filter(({ member }) => member === id),
    ...endsAt.map((at) => ({ at, member: id, ends: true })),
    ...goesOnAt.map((at) => ({ at, member: id, ends: false })),
  ]);
  const owners = new Set<string>();
  const idle = new Set<string>();
  let since: number | undefined;
  let longest = 0;
  for (const change of changes.toSorted((one, other) => one.at - other.at)) {
    const { at, member } = change;
    if ('ends' in change) {
      if (change.ends) idle.add(member);
      else idle.delete(member);
    } else {
      if (change.gained.includes(partition)) owners.add(member);
      if (change.lost.includes(partition)) owners.delete(member);
    }
    const isOwned = [...owners].some((owner) => !idle.has(owner));
    if (isOwned && since !== undefined) longest = Math.max(longest, at - since);
    if (isOwned) since = undefined;
    else if (owners.size > 0 || since !== undefined) since ??= at;
  }
  return since === undefined ? longest : Number.POSITIVE_INFINITY;
}

/** Messages that this one was given and that nobody has acknowledged. */
async function isHoldingWork({ manager }: Broker, partitions: readonly number[]): Promise<boolean> {
  const streams = ['ORDERS', 'INVENTORY', 'PAYMENTS', 'SHIPPING'];
  const infos = (await Promise.all(streams.map((each) => Array.fromAsync(manager.consumers.list(each))))).flat();
  return infos.some(
    ({ name, num_ack_pending }) =>
      num_ack_pending > 0 &&
      name.startsWith(`${SERVICE}-`) &&
      !name.includes('_v') &&
      partitions.some((partition) => name.endsWith(`-${partition}`)),
  );
}

test('four replicas, two killed, one added, one that stood still for 30 s with work in hand: each order ends once, and every partition soon has an owner', async () => {
  const random = seededRandom('scale-out');
  const platform = await assemble({ environment: quick, replicas: { [SERVICE]: 0 } });
  const broker = await connectBroker({ url: platform.nats.url, name: 'test', timeoutMs: 5_000 });
  atTheEnd(() => broker.close());
  const told = followed(broker);
  const { replicas, add } = await replicasOf(platform, broker);
  const [first, second, third, sleeper] = [await add(), await add(), await add(), await add()];
  await isBalanced(broker, replicas);
  const stop = new AbortController();
  const shopping = Promise.all([1, 2].map(() => shop(platform, random, 10_000, stop.signal)));

  const asleep = (await askMembers(broker)).find(({ id }) => id === sleeper.id)?.status?.partitions ?? [];
  sleeper.signal('SIGSTOP');
  sleeper.endsAt.push(Date.now());
  await expect.poll(() => isHoldingWork(broker, asleep)).toBe(true);
  await isBalanced(broker, [first, second, third]);

  for (const victim of [first, second]) {
    victim.endsAt.push(Date.now());
    await victim.kill();
  }
  await isBalanced(broker, [third]);
  const added = await add();
  await isBalanced(broker, [third, added]);

  await delay((sleeper.endsAt[0] ?? 0) + PAUSE_MS - Date.now());
  sleeper.goesOnAt.push(Date.now());
  sleeper.signal('SIGCONT');
  await isBalanced(broker, [third, added, sleeper]);
  stop.abort();
  const orders = (await shopping).flat();

  expect(orders.length).toBeGreaterThan(10);
  await expectInvariants(platform, orders);
  const longest = allPartitions.map((partition) => longestWithoutOwner(told, replicas, partition));
  process.stderr.write(`scale-out: longest without an owner ${Math.max(...longest)} ms, ${orders.length} orders\n`);
  expect(Math.max(...longest)).toBeLessThan(OWNERLESS_MS);
}, 180_000);
