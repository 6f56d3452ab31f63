import type { Db } from 'mongodb';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Broker } from './broker.ts';
import { allPartitions, partitionOf } from './partitions.ts';
import type { Projection } from './projection.ts';
import { type Bank, openBank, ownConnection } from './testing/reacting.ts';
import { sharedMongoUri, sharedNatsUrl } from './testing/servers.ts';
import { type AccountDocument, accountsView, documentOf, ownDatabase, projectionOf } from './testing/viewing.ts';
import type { ViewRegister } from './view-register.ts';
import { answerAboutViews, askAboutViews, type ViewRequest } from './view-requests.ts';
import type { ViewStatus } from './view-status.ts';

type Accounts = Projection<AccountDocument>;

const leaseMs = 150;
const soon = { timeout: 20_000, interval: 10 };
const keys = Array.from({ length: 12 }, (_, number) => `account-${number}`);

type Process = { view: Accounts; db: Db; broker: Broker };

/** A process that follows the accounts, with connections of its own. */
async function processOf(bank: Bank, uri: string, changes: Parameters<typeof accountsView>[1] = {}): Promise<Process> {
  const broker = await ownConnection(sharedNatsUrl());
  const db = ownDatabase(uri);
  const view = projectionOf(bank, db, { view: accountsView(bank, changes), broker, leaseMs });
  return { view, db, broker };
}

async function openView() {
  const bank = await openBank(sharedNatsUrl());
  const uri = sharedMongoUri();
  const process = await processOf(bank, uri);
  return { bank, uri, ...process };
}

const withoutEnd = () => new AbortController().signal;
const nobodyListens = () => {};

let acts = 0;
type Act = ViewRequest extends infer Each ? (Each extends { act: string } ? Omit<Each, 'view' | 'act'> : never) : never;

function act({ view }: { view: Accounts }, what: Act) {
  const request = { ...what, view: 'accounts', act: `act-${acts++}` } as ViewRequest;
  return view.administration.answer(request, nobodyListens, withoutEnd());
}

const rebuild = { command: 'rebuild', by: 'olga', switchWhenCaughtUp: false } as const;

async function buildsOf({ view }: { view: Accounts }): Promise<Record<number, string>> {
  const { builds } = await view.administration.status();
  return Object.fromEntries(builds.map(({ build, status }) => [build, status]));
}

function hasBuilds(process: { view: Accounts }, builds: Record<number, ViewStatus['builds'][number]['status']>) {
  return vi.waitFor(async () => expect(await buildsOf(process)).toEqual(builds), soon);
}

async function deposits(bank: Bank, count: number): Promise<void> {
  for (let amount = 1; amount <= count; amount++) {
    for (const key of keys) await bank.deposit(key, amount);
  }
}

async function amountsIn(process: { view: Accounts }): Promise<number[]> {
  return Promise.all(keys.map(async (key) => (await documentOf(process.view, key))?.amounts.length ?? 0));
}

function registerOf(db: Db): Promise<ViewRegister | null> {
  return db.collection<ViewRegister>('view_builds').findOne({ _id: 'accounts_v1' });
}

test('a view of journals that hold nothing has readers at once', async () => {
  const { view } = await openView();
  const { find } = await view.reached([], withoutEnd());
  expect(await find('anna')).toBeUndefined();
});

test('a version is shown once it has come to what the journals held, and says so until then', async () => {
  const { bank, uri, view } = await openView();
  await deposits(bank, 3);
  await expect(view.reached([], withoutEnd())).rejects.toThrow('view accounts is being built');
  void view.own([0, 1, 2]);
  await vi.waitFor(() => expect(view.health().reasons).toEqual(['view accounts: is being built']), soon);
  const other = await processOf(bank, uri);
  void other.view.own([3, 4, 5, 6, 7]);
  await vi.waitFor(async () => expect(await amountsIn({ view })).toEqual(keys.map(() => 3)), soon);
  await vi.waitFor(() => expect(view.health()).toEqual({ ready: true, reasons: [] }), soon);
});

test('a view that was there before there were registers is shown as it is', async () => {
  const { bank, db, view } = await openView();
  void view.own(allPartitions);
  await deposits(bank, 2);
  await vi.waitFor(async () => expect(await amountsIn({ view })).toEqual(keys.map(() => 2)), soon);
  await view.stop();
  await db.collection('view_builds').drop();
  await bank.deposit(keys[0] ?? '', 3);
  const again = projectionOf(bank, db, { leaseMs });
  expect((await documentOf(again, keys[0] ?? ''))?.amounts).toEqual([1, 2]);
});

test('under load, in two processes, no reader sees a gap or an older state, whatever is switched and rolled back', async () => {
  const { bank, uri, ...one } = await openView();
  const two = await processOf(bank, uri);
  void one.view.own([0, 1, 2, 3]);
  void two.view.own([4, 5, 6, 7]);
  await deposits(bank, 2);
  const end = new AbortController();
  const depositing = (async () => {
    for (let amount = 3; !end.signal.aborted; amount++) {
      for (const key of keys) await bank.deposit(key, amount);
    }
  })();
  const seen = new Map<string, number>();
  let reads = 0;
  // One reader after the other in turn, in both processes: each has to see what the one before saw.
  const reading = (async () => {
    while (!end.signal.aborted) {
      for (const { view } of [one, two]) {
        for (const key of keys) {
          const length = (await documentOf(view, key))?.amounts.length ?? 0;
          expect(length, `${key} after ${reads} reads`).toBeGreaterThanOrEqual(seen.get(key) ?? 0);
          seen.set(key, length);
          reads++;
        }
      }
    }
  })();
  onTestFinished(() => end.abort());
  await hasBuilds(one, { 1: 'active' });
  await act(two, rebuild);
  await hasBuilds(one, { 1: 'active', 2: 'caught up' });
  await act(one, { command: 'switch', build: 2 });
  await hasBuilds(two, { 1: 'previous', 2: 'active' });
  await act(two, { command: 'switch', build: 1 });
  await hasBuilds(one, { 1: 'active', 2: 'previous' });
  await act(one, { command: 'switch', build: 2 });
  await act(one, { command: 'discard', build: 1 });
  await act(two, { ...rebuild, switchWhenCaughtUp: true });
  await hasBuilds(two, { 2: 'previous', 3: 'active' });
  end.abort();
  await Promise.all([reading, depositing]);
  expect(reads).toBeGreaterThan(keys.length);
  await vi.waitFor(async () => expect(await amountsIn(one)).toEqual(await amountsIn(two)), soon);
});

test('a build that is killed in the middle goes on from its checkpoints', async () => {
  const { bank, uri, ...first } = await openView();
  void first.view.own(allPartitions);
  await deposits(bank, 3);
  await hasBuilds(first, { 1: 'active' });
  await first.view.own([0, 1, 2, 3]);
  await act(first, rebuild);
  const built = { _id: { $in: keys }, partition: { $lt: 4 } } as object;
  const expected = keys.filter((key) => partitionOf(key) < 4).length;
  await expect.poll(() => first.db.collection('accounts_v1_b2').countDocuments(built), soon).toBe(expected);
  await first.broker.close();
  const applied = new Set<number>();
  const again = await processOf(bank, uri, {
    project: (document, { data, partition }) => {
      applied.add(partition);
      return { amounts: [...(document?.amounts ?? []), Number(data.amount)] };
    },
  });
  void again.view.own(allPartitions);
  await hasBuilds(again, { 1: 'active', 2: 'caught up' });
  expect(Math.min(...applied)).toBeGreaterThan(3);
  await act(again, { command: 'switch', build: 2 });
  expect(await amountsIn(again)).toEqual(keys.map(() => 3));
});
