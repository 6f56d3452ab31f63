import type { Db } from 'mongodb';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Broker } from './broker.ts';
import { parkedByConsumer } from './dead-letters.ts';
import { allPartitions, partitionOf } from './partitions.ts';
import type { Projection } from './projection.ts';
import { startProxy } from './testing/proxy.ts';
import { type Bank, openBank, ownConnection } from './testing/reacting.ts';
import { sharedMongoUri, sharedNatsUrl } from './testing/servers.ts';
import { type AccountDocument, accountsView, documentOf, ownDatabase, projectionOf } from './testing/viewing.ts';
import { KnownRegister, type ViewRegister } from './view-register.ts';
import { answerAboutViews, askAboutViews, type ViewRequest } from './view-requests.ts';
import type { ViewStatus } from './view-status.ts';

type Accounts = Projection<AccountDocument>;

const leaseMs = 60;
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

test('a view of journals that hold nothing has readers at once', async () => {
  const { view } = await openView();
  const { find } = await view.reached([], withoutEnd());
  expect(await find('anna')).toBeUndefined();
});

test('a version is shown once it has come to what the journals held, and says so until then', async () => {
  const { bank, uri, view } = await openView();
  await deposits(bank, 3);
  await expect(view.reached([], AbortSignal.abort())).rejects.toThrow('view accounts is being built');
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

/** A view whose first build is `previous` and whose second one readers see. */
async function openSwitched() {
  const opened = await openView();
  void opened.view.own(allPartitions);
  await deposits(opened.bank, 2);
  await hasBuilds(opened, { 1: 'active' });
  await act(opened, { ...rebuild, switchWhenCaughtUp: true });
  await hasBuilds(opened, { 1: 'previous', 2: 'active' });
  return opened;
}

async function collectionsOf(db: Db): Promise<string[]> {
  const found = await db.listCollections({}, { nameOnly: true }).toArray();
  return found.map(({ name }) => name).filter((name) => name.startsWith('accounts_'));
}

test('where a register was lost, the next build has a number that none had, and nothing of an earlier one in it', async () => {
  const { bank, db, view } = await openSwitched();
  await view.stop();
  await db.collection('view_builds').drop();
  const again = { view: projectionOf(bank, db, { leaseMs }) };
  void again.view.own(allPartitions);
  await hasBuilds(again, { 1: 'active' });
  await act(again, { ...rebuild, switchWhenCaughtUp: true });
  await hasBuilds(again, { 1: 'previous', 3: 'active' });
  await expect
    .poll(() => collectionsOf(db).then((names) => names.sort()), soon)
    .toEqual(['accounts_v1', 'accounts_v1_b3']);
});

test('a query that slept while its build was switched away from and discarded is put to the new one', async () => {
  const { bank, uri, ...one } = await openView();
  const reader = await processOf(bank, uri);
  void one.view.own(allPartitions);
  await deposits(bank, 2);
  await hasBuilds(one, { 1: 'active' });
  const asked: string[] = [];
  let discarded: Promise<unknown> | undefined;
  const { query } = await reader.view.reached([], withoutEnd());
  const found = await query(async (documents) => {
    asked.push(documents.collectionName);
    if (asked.length === 1) {
      await act(one, { ...rebuild, switchWhenCaughtUp: true });
      await hasBuilds(one, { 1: 'previous', 2: 'active' });
      // What it leaves behind takes longer to remove than a query may take.
      discarded = act(one, { command: 'discard', build: 1 });
      await hasBuilds(one, { 2: 'active' });
    }
    return documents.findOne({ _id: keys[0] } as object);
  });
  await discarded;
  expect(asked).toEqual(['accounts_v1', 'accounts_v1_b2']);
  expect(found).toMatchObject({ amounts: [1, 2] });
});

test('a build that is discarded is gone, with its consumers and dead letters, and so are those of the one before', async () => {
  const { bank, db, view } = await openSwitched();
  const consumersOf = async (name: string) => {
    const all = await Array.fromAsync(bank.broker.manager.consumers.list(bank.journal.stream));
    return all.filter((info) => info.name.startsWith(`${bank.service}-${name}-`)).length;
  };
  await bank.broker.js.publish(`dead.${bank.service}-accounts_v1.3.${keys[0]}`, 'parked');
  await act({ view }, { command: 'discard', build: 1 });
  await hasBuilds({ view }, { 2: 'active' });
  await expect.poll(() => collectionsOf(db), soon).toEqual(['accounts_v1_b2']);
  expect([await consumersOf('accounts_v1'), await consumersOf('accounts_v1_b2')]).toEqual([0, 8]);
  expect((await parkedByConsumer(bank.broker, bank.service)).size).toBe(0);
  await act({ view }, { ...rebuild, switchWhenCaughtUp: true });
  await hasBuilds({ view }, { 2: 'previous', 3: 'active' });
  await act({ view }, rebuild);
  await expect.poll(() => collectionsOf(db), soon).toEqual(['accounts_v1_b3', 'accounts_v1_b4']);
});

test('however many builds there are, their consumers have the names of a few, and never that of the one just left', async () => {
  const { bank, db, view } = await openSwitched();
  const names = async () => {
    const all = await Array.fromAsync(bank.broker.manager.consumers.list(bank.journal.stream));
    return [...new Set(all.map(({ name }) => name.slice(`${bank.service}-`.length, -2)))].sort();
  };
  await act({ view }, { command: 'discard', build: 1 });
  for (const [build, slot] of [
    [3, 'accounts_v1_b3'],
    [4, 'accounts_v1'],
    [5, 'accounts_v1_b3'],
  ] as const) {
    await act({ view }, rebuild);
    await hasBuilds({ view }, { 2: 'active', [build]: 'caught up' });
    expect(await names()).toEqual([slot, 'accounts_v1_b2'].sort());
    await act({ view }, { command: 'discard', build });
    await expect.poll(() => collectionsOf(db), soon).toEqual(['accounts_v1_b2']);
  }
});

test('a process that slept through a discard does not bring the build back to life', async () => {
  const { bank, uri, ...one } = await openSwitched();
  const { pathname } = new URL(uri);
  const proxy = await startProxy(uri.slice(0, -pathname.length));
  onTestFinished(() => proxy.close());
  const db = ownDatabase(`${proxy.url}${pathname}`);
  const asleep = Promise.withResolvers<void>();
  const project: NonNullable<Parameters<typeof accountsView>[1]>['project'] = (document, { data }) => {
    if (data.amount === 7n) {
      proxy.hold('requests');
      asleep.resolve();
    }
    return { amounts: [...(document?.amounts ?? []), Number(data.amount)] };
  };
  const view = accountsView(bank, { project });
  const sleeper = projectionOf(bank, db, { view, leaseMs, broker: await ownConnection(sharedNatsUrl()) });
  await one.view.own([]);
  await sleeper.own(allPartitions);
  await vi.waitFor(() => expect(sleeper.health().ready).toBe(true), soon);
  await bank.deposit('new-account', 7);
  await asleep.promise;
  void one.view.own(allPartitions);
  await vi.waitFor(async () => expect((await documentOf(one.view, 'new-account'))?.amounts).toEqual([7]), soon);
  await act(one, { command: 'discard', build: 1 });
  expect(await collectionsOf(one.db)).toEqual(['accounts_v1_b2']);
  proxy.release('requests');
  await vi.waitFor(async () => expect(await buildsOf({ view: sleeper })).toEqual({ 2: 'active' }), soon);
  await sleeper.stop();
  expect(await collectionsOf(one.db)).toEqual(['accounts_v1_b2']);
});

test('a switch that was announced by a process that died is made by another', async () => {
  const { db, view } = await openSwitched();
  await db
    .collection<ViewRegister>('view_builds')
    .updateOne({ _id: 'accounts_v1' }, { $set: { switchingTo: 1 }, $inc: { revision: 1 } });
  await hasBuilds({ view }, { 1: 'active', 2: 'previous' });
});

test('a switch that was taken back and announced again is not made by who waited since the first announcement', async () => {
  const { db, view } = await openSwitched();
  // Whoever follows ends what is abandoned.
  await view.own([]);
  const registers = db.collection<ViewRegister>('view_builds');
  const register = () => registers.findOne({ _id: 'accounts_v1' });
  const switching = act({ view }, { command: 'switch', build: 1 });
  await expect.poll(async () => (await register())?.switchingTo, soon).toBe(1);
  await registers.updateOne({ _id: 'accounts_v1' }, { $inc: { switches: 1, revision: 2 } });
  await switching;
  expect(await register()).toMatchObject({ switchingTo: 1, active: { build: 2 } });
});

test('a build that has not caught up is not switched to, and what is under way is not begun twice', async () => {
  const { bank, view } = await openView();
  void view.own(allPartitions);
  await deposits(bank, 2);
  await hasBuilds({ view }, { 1: 'active' });
  await view.own([0, 1, 2, 3]);
  await act({ view }, rebuild);
  await expect(act({ view }, { command: 'switch', build: 2 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await expect(act({ view }, { command: 'switch', build: 7 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(act({ view }, rebuild)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await expect(act({ view }, { command: 'discard', build: 1 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await act({ view }, { command: 'discard', build: 2 });
  await hasBuilds({ view }, { 1: 'active' });
});

test('builds are compared by what documents say, and what keeps changing is left open', async () => {
  const { db, view } = await openSwitched();
  const [same, changed, missing, extra, ahead] = keys;
  const old = db.collection<{ _id: string; amounts: number[] }>('accounts_v1');
  const shown = db.collection<{ _id: string; amounts: number[] }>('accounts_v1_b2');
  await old.updateOne({ _id: changed ?? '' }, { $set: { amounts: [1, 5] } });
  await old.deleteOne({ _id: missing ?? '' });
  await shown.deleteOne({ _id: extra ?? '' });
  await shown.updateOne({ _id: ahead ?? '' }, { $set: { applied: { ELSEWHERE: 9 } } } as object);
  const answer = await view.administration.answer(
    { command: 'compare', view: 'accounts', build: 1 },
    nobodyListens,
    withoutEnd(),
  );
  expect(answer).toMatchObject({ compared: 12, same: 8, different: 1, missing: 1, extra: 1, unsettled: 1 });
  expect(answer?.differences.map(({ id, fields }) => [id, fields])).toEqual(
    expect.arrayContaining([
      [changed, ['amounts[1]']],
      [missing, []],
      [extra, []],
    ]),
  );
  expect(answer?.differences.map(({ id }) => id)).not.toContain(same);
});

test('any process of a service is asked about its views, and a service that does not run is said not to', async () => {
  const { bank, view } = await openView();
  await expect(askAboutViews(bank.broker, bank.service, { command: 'list' })).rejects.toThrow(
    `no process of ${bank.service} runs`,
  );
  onTestFinished(answerAboutViews(bank.broker, bank.service, [view.administration]));
  const answer = await askAboutViews(bank.broker, bank.service, { command: 'list' });
  expect(answer).toMatchObject({ views: [{ view: 'accounts', version: 1, builds: [{ build: 1, status: 'active' }] }] });
  const unknown = { command: 'compare', view: 'nothing', build: 1 } as const;
  await expect(askAboutViews(bank.broker, bank.service, unknown)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('what is known of a register is trusted for a lease, by both clocks, and never while a switch is announced', async () => {
  const now = { steadyMs: 1_000, wallMs: 5_000 };
  let register = { active: { build: 1 }, switchingTo: null } as ViewRegister;
  let reads = 0;
  const read = async () => {
    reads++;
    return register;
  };
  const known = new KnownRegister(read, 100, () => ({ ...now }));
  await known.current();
  now.steadyMs += 49;
  now.wallMs += 49;
  await known.current();
  expect(reads).toBe(1);
  // The machine slept: its steady clock stood.
  now.wallMs += 60;
  expect(known.trusted).toBeUndefined();
  await known.current();
  expect(reads).toBe(2);
  now.wallMs -= 1_000;
  expect(known.trusted).toBeUndefined();
  register = { ...register, switchingTo: 2 };
  await known.fresh();
  expect(known.trusted).toBeUndefined();
  await known.current();
  expect(reads).toBe(4);
});

function shownBy({ view }: { view: Accounts }): Promise<string> {
  return view.reached([], withoutEnd()).then(({ query }) => query(async ({ collectionName }) => collectionName));
}

test('when a switch has been made, nobody reads by what he remembers', async () => {
  const { bank, uri, ...one } = await openSwitched();
  const reader = await processOf(bank, uri);
  expect(await shownBy(reader)).toBe('accounts_v1_b2');
  await act(one, { command: 'switch', build: 1 });
  expect(await shownBy(reader)).toBe('accounts_v1');
});

test('who sees a switch waits until the build has come to what the journals hold then', async () => {
  const { bank, uri, view, db } = await openSwitched();
  await view.own([]);
  const key = keys[0] ?? '';
  await bank.deposit(key, 3);
  // As a process leaves it that made the switch and died.
  const registers = db.collection<ViewRegister>('view_builds');
  const { active, previous } = (await registers.findOne({ _id: 'accounts_v1' })) ?? {};
  const switched = { active: previous, previous: active, settled: false };
  await registers.updateOne({ _id: 'accounts_v1' }, { $set: switched, $inc: { revision: 1, switches: 1 } } as object);
  const reader = await processOf(bank, uri);
  const found = documentOf(reader.view, key);
  void view.own(allPartitions);
  expect((await found)?.amounts).toEqual([1, 2, 3]);
});

test('what a journal has forgotten is carried over into the next build', async () => {
  const opened = await openBank(sharedNatsUrl());
  const { declaration } = opened.journal;
  const bank = {
    ...opened,
    journal: { ...opened.journal, stream: declaration.stream, declaration: { ...declaration, maxAgeMs: 60_000 } },
  };
  const [old = '', young = ''] = keys;
  const one = await processOf(bank as unknown as Bank, sharedMongoUri());
  void one.view.own(allPartitions);
  await bank.deposit(old, 1);
  await vi.waitFor(async () => expect((await documentOf(one.view, old))?.amounts).toEqual([1]), soon);
  const { streams } = bank.broker.manager;
  const keep = (ms: number) => streams.update(bank.journal.stream, { max_age: ms * 1e6, duplicate_window: 100 * 1e6 });
  await keep(100);
  await expect.poll(async () => (await streams.info(bank.journal.stream)).state.messages, soon).toBe(0);
  await keep(60_000);
  await bank.deposit(young, 2);
  await act(one, { ...rebuild, switchWhenCaughtUp: true });
  await hasBuilds(one, { 1: 'previous', 2: 'active' });
  expect((await documentOf(one.view, old))?.amounts).toEqual([1]);
  expect((await documentOf(one.view, young))?.amounts).toEqual([2]);
});
