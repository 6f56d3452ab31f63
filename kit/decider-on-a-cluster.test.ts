import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { type Broker, connectBroker } from './broker.ts';
import { CommandHandler } from './decider.ts';
import { CallError, UnavailableError } from './errors.ts';
import { Journal } from './journal.ts';
import { subjectOf } from './partitions.ts';
import { PersonalData } from './personal-data.ts';
import { journalOf } from './streams.ts';
import { type AccountCommand, accountAggregate, accountRequest } from './testing/account.ts';
import { type Node, ownCluster } from './testing/cluster.ts';

const MASTER_KEY = Buffer.alloc(32, 7);
const declaration = journalOf('accounts', 64 * 1024 ** 2);

let nodes: Node[];
let brokers: Broker[];
let keys: PersonalData[];

beforeAll(async () => {
  const cluster = await ownCluster();
  nodes = cluster.nodes;
  brokers = await Promise.all(
    // The client takes one of them by chance, and another where that one is away.
    nodes.map((_, process) => connectBroker({ url: cluster.url, name: `process ${process}`, replicas: 3 })),
  );
  const [first] = brokers;
  if (first === undefined) throw new Error('there is no broker');
  // Until the nodes have agreed on who leads.
  await vi.waitFor(() => PersonalData.open(first, MASTER_KEY), { timeout: 30_000 });
  await new Journal(declaration, first).ensure();
  keys = await Promise.all(brokers.map((broker) => PersonalData.open(broker, MASTER_KEY)));
  return async () => {
    await Promise.all(brokers.map((broker) => broker.close()));
  };
});

/** A handler as each of three processes would have it. */
function handlers() {
  return brokers.map((broker, process) => {
    const ownKeys = keys[process];
    if (ownKeys === undefined) throw new Error('there are no keys');
    return new CommandHandler(new Journal(declaration, broker), accountAggregate, ownKeys);
  });
}

const open = (accountId: string): AccountCommand => ({ type: 'OpenAccount', accountId, ownerName: 'Anna Karenina' });
const deposit = (accountId: string, amount: number): AccountCommand => ({
  type: 'Deposit',
  accountId,
  amount: BigInt(amount),
});

async function leaderNow(): Promise<Node> {
  const leader = await vi.waitFor(
    async () => (await brokers[0]?.manager.streams.info(declaration.stream))?.cluster?.leader,
  );
  return nodes.find(({ name }) => name === leader) as Node;
}

async function versions(accountId: string): Promise<number[]> {
  const [broker] = brokers;
  if (broker === undefined) throw new Error('there is no broker');
  const stored = await new Journal(declaration, broker).history(subjectOf('accounts', 'account', accountId));
  return stored.map(({ headers }) => Number(headers.get('ce-version')));
}

/** Again and again, as a client does that must not lose it. */
async function untilDone(command: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await command();
      return;
    } catch (error) {
      const mayTryAgain = error instanceof UnavailableError || (error instanceof CallError && error.code === 'ABORTED');
      if (!mayTryAgain) throw error;
      await delay(20);
    }
  }
}

test('the same request a hundred times at once, on three nodes, is one event and one answer', async () => {
  const processes = handlers();
  for (let round = 0; round < 5; round++) {
    const accountId = `same-${round}`;
    const all = (command: AccountCommand) =>
      Promise.all(Array.from({ length: 100 }, (_, index) => processes[index % 3]?.handle(accountRequest(command))));
    for (const [index, command] of [open(accountId), deposit(accountId, 5)].entries()) {
      const replies = (await all(command)).map((answer) => `${answer?.version} at ${answer?.position.sequence}`);
      expect(new Set(replies).size).toBe(1);
      expect(await versions(accountId)).toEqual([1, 2].slice(0, index + 1));
    }
  }
});

test('a leader that slept while another was elected decides nothing by what it knew before', async () => {
  const sleeper = await leaderNow();
  const others = nodes.filter((node) => node !== sleeper).map(({ url }) => url);
  const connected = async (url: string) => {
    const broker = await connectBroker({ url, name: 'test', replicas: 3, pingIntervalMs: 60_000 });
    onTestFinished(() => broker.close());
    return new CommandHandler(
      new Journal(declaration, broker),
      accountAggregate,
      await PersonalData.open(broker, MASTER_KEY),
    );
  };
  const [drowsy, awake] = [await connected(sleeper.url), await connected(others.join())];
  const accountIds = Array.from({ length: 20 }, (_, index) => `unheard-of-${index}`);
  const journal = (handler: typeof awake) => Promise.all(accountIds.map((id) => handler.state(id)));
  expect((await journal(drowsy)).filter((found) => found !== undefined)).toEqual([]);

  await sleeper.kill('SIGSTOP');
  await Promise.all(accountIds.map((accountId) => untilDone(() => awake.handle(accountRequest(open(accountId))))));
  // Asked before it wakes and after, until it knows what it has slept through.
  const found: unknown[] = [];
  let hasHeard = false;
  const asking = (async () => {
    while (!hasHeard) {
      void journal(drowsy).then(
        (states) => {
          found.push(...states.map((each) => each?.version));
          hasHeard = true;
        },
        (error) => {
          if (!(error instanceof UnavailableError)) found.push(error);
        },
      );
      await delay(5);
    }
  })();
  await delay(100);
  await sleeper.kill('SIGCONT');
  await asking;

  expect(new Set(found)).toEqual(new Set([1]));
});

test('while the node that leads is killed, commands go on elsewhere, nothing lost and nothing twice', async () => {
  const processes = handlers();
  const accountId = 'orphan';
  await untilDone(async () => processes[0]?.handle(accountRequest(open(accountId))));
  let acknowledged = 0;
  const persist = (process: number, one: number): Promise<void> =>
    untilDone(async () => {
      await processes[process]?.handle(accountRequest(deposit(accountId, 1), { requestId: `${process} ${one}` }));
      acknowledged++;
    });
  const all = processes.map(async (_, process) => {
    for (let one = 0; one < 15; one++) await persist(process, one);
  });
  await expect.poll(() => acknowledged, { interval: 1, timeout: 5_000 }).toBeGreaterThan(5);
  await (await leaderNow()).kill();
  await Promise.all(all);
  expect(await versions(accountId)).toEqual(Array.from({ length: 46 }, (_, index) => index + 1));
  expect((await processes[0]?.state(accountId))?.state).toMatchObject({ balance: 45n });
});
