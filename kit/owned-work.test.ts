import { fromBinary } from '@bufbuild/protobuf';
import type { Db } from 'mongodb';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { PartitionsAssignedSchema } from '#gen/causeway/events/v1/partitions_assigned_pb.js';
import { askMembers } from '#kit/installation/members.ts';
import { type Bank, keysOfPartition, noting, openBank, ownConnection, positionOf } from '#kit/testing/reacting.ts';
import { type OwnServer, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import {
  type AccountDocument,
  accountsView,
  documentOf,
  ownDatabase,
  ownersOf,
  projectionOf,
} from '#kit/testing/viewing.ts';
import type { Broker } from './broker.ts';
import { KeyedConsumer, type Reaction } from './consumer.ts';
import { Journal } from './journal.ts';
import { OwnedWork } from './owned-work.ts';
import { allPartitions, subjectOf } from './partitions.ts';
import type { Projection } from './projection.ts';
import { NOTICES } from './streams.ts';
import { silent } from './telemetry/logging.ts';

let nats: OwnServer;

beforeAll(async () => {
  nats = await ownNats();
});

const keys = allPartitions.flatMap((partition) => keysOfPartition(partition, 1));

type Process = {
  work: OwnedWork;
  view: Projection<AccountDocument>;
  /** The amounts that its reactions were given, each by both of them. */
  noted: ReturnType<typeof noting>;
  /** The amounts that its projection was given. */
  projected: number[];
  crash(): Promise<void>;
};

/** A process of the bank with a connection of its own: two reactions and a view. Stopped when the test ends. */
async function processOf(bank: Bank, db: Db, broker?: Broker): Promise<Process> {
  const own = broker ?? (await ownConnection(nats.url));
  const parts = { service: bank.service, broker: own, logger: silent, personalData: { find: async () => undefined } };
  const noted = noting();
  const projected: number[] = [];
  const { project, ...accounts } = accountsView(bank);
  const view = projectionOf(bank, db, {
    broker: own,
    view: {
      ...accounts,
      project: (document, event) => {
        projected.push(Number(event.data.amount));
        return project(document, event);
      },
    },
  });
  const thanking = bank.reaction(noted.handle) as Reaction;
  const reactions = [thanking, { ...thanking, name: 'count-deposits' }];
  const work = new OwnedWork([view, ...reactions.map((reaction) => new KeyedConsumer(reaction, parts))], [], parts, {
    heartbeatMs: 50,
  });
  onTestFinished(() => work.stop());
  return { work, view, noted, projected, crash: () => own.close() };
}

/** Pays an amount into an account of each partition, and sees it in the view by way of each of these processes. */
async function depositAndSee(bank: Bank, amount: number, processes: readonly Process[]): Promise<void> {
  const positions = await Promise.all(keys.map(async (key) => positionOf(bank, key, await bank.deposit(key, amount))));
  // Who asks while a partition is being taken over may be told to come again.
  const see = ({ view }: Process) =>
    vi.waitFor(() => view.reached(positions, AbortSignal.timeout(10_000)), { timeout: 20_000 });
  await Promise.all(processes.map(see));
}

async function amountsIn({ view }: Process): Promise<(number[] | undefined)[]> {
  return Promise.all(keys.map(async (key) => (await documentOf(view, key))?.amounts));
}

function isShared(processes: readonly Process[]) {
  return expect
    .poll(() => processes.flatMap(({ work }) => work.partitions).toSorted(), { timeout: 10_000 })
    .toEqual(allPartitions);
}

test('one process alone runs every reaction and every projection on every partition', async () => {
  const bank = await openBank(nats.url);
  const only = await processOf(bank, ownDatabase(sharedMongoUri()));
  expect(only.work.health().ready).toBe(false);
  await only.work.start();
  expect(only.work.partitions).toEqual(allPartitions);
  await depositAndSee(bank, 1, [only]);
  await expect.poll(() => keys.map((key) => only.noted.of(key))).toEqual(keys.map(() => [1, 1]));
  expect(await amountsIn(only)).toEqual(keys.map(() => [1]));
  expect(only.work.health()).toEqual({ ready: true, reasons: [] });
  await only.work.stop();
  expect(only.work.partitions).toEqual([]);
});

test('an event is shown whichever of two processes owns its partition, and both can read it; when one crashes, the other goes on from its checkpoints', async () => {
  const bank = await openBank(nats.url);
  const db = ownDatabase(sharedMongoUri());
  const [first, second] = [await processOf(bank, db), await processOf(bank, db)];
  await first.work.start();
  await second.work.start();
  await isShared([first, second]);
  await depositAndSee(bank, 1, [first, second]);
  expect(await amountsIn(second)).toEqual(keys.map(() => [1]));
  await expect.poll(() => [...first.noted.amounts, ...second.noted.amounts]).toHaveLength(2 * keys.length);
  expect([...first.projected, ...second.projected]).toHaveLength(keys.length);

  const share = second.work.partitions;
  await first.crash();
  await depositAndSee(bank, 2, [second]);
  expect(await amountsIn(second)).toEqual(keys.map(() => [1, 2]));
  await isShared([second]);
  // Nothing from before the checkpoints was needed again.
  expect(second.projected.filter((amount) => amount === 1)).toHaveLength(share.length);
  expect(second.projected.filter((amount) => amount === 2)).toHaveLength(keys.length);
  await expect
    .poll(() => keys.map((key) => second.noted.of(key).filter((amount) => amount === 2)))
    .toEqual(keys.map(() => [2, 2]));
});

/** By partition, which of the processes owns it. */
function ownersIn(processes: readonly Process[]): number[] {
  return allPartitions.map((partition) => processes.findIndex(({ work }) => work.partitions.includes(partition)));
}

test('a process that joins or leaves moves what changes its owner, and everything else is followed without a break', async () => {
  const bank = await openBank(nats.url);
  const db = ownDatabase(sharedMongoUri());
  const [first, second, third] = [await processOf(bank, db), await processOf(bank, db), await processOf(bank, db)];
  const processes = [first, second, third];
  /** Partitions of which another process is the owner after it, and those that another turn follows. */
  const movedBy = async (step: () => Promise<void>) => {
    const [owners, turns] = [ownersIn(processes), await ownersOf(db)];
    await step();
    const [ownersAfter, turnsAfter] = [ownersIn(processes), await ownersOf(db)];
    return {
      owners: allPartitions.filter((partition) => ownersAfter[partition] !== owners[partition]),
      turns: allPartitions.filter((partition) => turnsAfter[partition] !== turns[partition]),
    };
  };
  await first.work.start();
  await depositAndSee(bank, 1, [first]);
  for (const [index, joining] of [second, third].entries()) {
    const there = [first, second].slice(0, index + 1);
    const moved = await movedBy(async () => {
      const all = [...there, joining];
      await joining.work.start();
      await isShared(all);
      await depositAndSee(bank, index + 2, all);
    });
    expect(moved.turns).toEqual(moved.owners);
    expect(moved.owners).toEqual(expect.arrayContaining([...joining.work.partitions]));
  }
  const moved = await movedBy(async () => {
    await third.work.stop();
    await isShared([first, second]);
    await depositAndSee(bank, 4, [first, second, third]);
  });
  expect(moved.turns).toEqual(moved.owners);
  expect(await amountsIn(third)).toEqual(keys.map(() => [1, 2, 3, 4]));
});

test('a process that starts while the broker is away has started soon, says what it lacks, and joins once it is back', async () => {
  const own = await ownNats();
  const bank = await openBank(own.url);
  const waiting = await processOf(bank, ownDatabase(sharedMongoUri()), bank.broker);
  await own.kill();
  await expect.poll(() => bank.broker.connected()).toBe(false);
  await waiting.work.start();
  expect(waiting.work.health().reasons).toEqual([`partitions of ${bank.service}: the broker is away`]);
  await own.restart();
  await expect.poll(() => waiting.work.health(), { timeout: 20_000 }).toEqual({ ready: true, reasons: [] });
  expect(waiting.work.partitions).toEqual(allPartitions);
});

test('what a process comes to own and what it loses is told, also by who leaves; and since when it owns it', async () => {
  const bank = await openBank(nats.url);
  const db = ownDatabase(sharedMongoUri());
  const [first, second] = [await processOf(bank, db), await processOf(bank, db)];
  const told = async () => {
    const notices = new Journal(NOTICES, bank.broker);
    const stored = await notices.history(subjectOf('notices', 'service', bank.service));
    return stored.map(({ data }) => {
      const { partitions, gained, lost, members } = fromBinary(PartitionsAssignedSchema, data);
      return { partitions, gained, lost, members };
    });
  };
  await first.work.start();
  await second.work.start();
  await isShared([first, second]);
  const share = second.work.partitions;
  const kept = first.work.partitions;
  await second.work.stop();
  await isShared([first]);
  const expected = [
    { partitions: allPartitions, gained: allPartitions, lost: [], members: 1 },
    { partitions: share, gained: share, lost: [], members: 2 },
    { partitions: kept, gained: [], lost: share, members: 2 },
    { partitions: [], gained: [], lost: share, members: 2 },
    { partitions: allPartitions, gained: share, lost: [], members: 1 },
  ];
  await expect.poll(told).toHaveLength(5);
  expect(await told()).toEqual(expect.arrayContaining(expected));
  const [member] = (await askMembers(bank.broker)).filter(({ service }) => service === bank.service);
  const since = new Map(member?.status?.owned?.map(({ partition, since }) => [partition, since]));
  expect([...since.keys()]).toEqual(allPartitions);
  // What was never given up is owned for longer than what came back.
  for (const back of share) for (const each of kept) expect(since.get(each)).toBeLessThan(since.get(back) ?? 0);
});

test('two consumers of a service can not have the same name', async () => {
  const bank = await openBank(nats.url);
  const view = projectionOf(bank, ownDatabase(sharedMongoUri()));
  const parts = { ...bank, logger: silent };
  expect(() => new OwnedWork([view, view], [], parts)).toThrow(`two consumers of the name ${bank.service}-accounts_v1`);
});
