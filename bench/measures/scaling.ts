import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { askMembers } from '#kit/installation/members.ts';
import { Journal } from '#kit/journal.ts';
import { freePort } from '#kit/local/free-port.ts';
import type { LeashedServer } from '#kit/local/leash.ts';
import { startMongodb } from '#kit/local/mongodb.ts';
import { startNats } from '#kit/local/nats.ts';
import { allPartitions } from '#kit/partitions.ts';
import type { Bench, Measurement } from '../bench.ts';
import { type Figure, figure } from '../figures.ts';
import { startProgram } from '../stack.ts';
import { medianRatio, quantile, rounded } from '../statistics.ts';
import { cpuSeconds } from '../usage.ts';
import { publishEvents, waitingJournal } from '../waiting-events.ts';

const WAIT_MS = 20;
const MAX_AT_WORK = 8;
const REPLICAS = [1, 2, 4] as const;
const MOST = 4;
/** What comes first and last is not counted: not all replicas are at work then. */
const COUNTED = { from: 0.1, to: 0.8 };
const LOOK_MS = 20;
const WITHIN_MS = 60_000;

/** A replica said that it has handled an event. */
type Handled = { at: number; partition: number; pid: number };

/** What it brings to have more replicas of a service whose handlers wait, and what happens when one is killed. */
export const scaling: Measurement = {
  names: ['scaleout_2_ratio', 'scaleout_4_ratio', 'ownerless_ms_after_kill'],
  async *run(bench) {
    const nats = await startNats({ directory: join(bench.directory, 'nats'), syncAlways: false });
    bench.started.add('broker', nats.stop);
    const broker = await connectBroker({ url: nats.url, name: 'bench' });
    bench.started.add('connection', broker.close);
    await new Journal(waitingJournal, broker).ensure();
    const replicas = new Replicas(bench, broker, nats.url);
    yield* await ratios(bench, broker, replicas);
    yield await withoutOwner(bench, broker, replicas);
    await replicas.keep(0);
  },
};

async function ratios(bench: Bench, broker: Broker, replicas: Replicas): Promise<Figure[]> {
  const rates = new Map<number, number[]>(REPLICAS.map((count) => [count, []]));
  for (let round = 0; round < Math.min(3, bench.sizes.rounds); round++) {
    for (const count of REPLICAS) {
      await replicas.keep(count);
      const rate = await handledPerSecond(broker, count * Math.min(1_000, bench.sizes.orders));
      rates.get(count)?.push(rounded(rate));
      bench.say(`${count} of them: ${rounded(rate)} events/s`);
    }
  }
  const of = (count: number) => rates.get(count) ?? [];
  const details = { wait_ms: WAIT_MS, at_work_each: MAX_AT_WORK, synced: false, per_s: Object.fromEntries(rates) };
  return [
    figure('scaleout_2_ratio', medianRatio(of(2), of(1)), details),
    figure('scaleout_4_ratio', medianRatio(of(4), of(1)), details),
  ];
}

/** Events that are handled per second, of so many that are there. */
async function handledPerSecond(broker: Broker, count: number): Promise<number> {
  const handled = followed(broker);
  try {
    const { length } = await publishEvents(broker, count);
    await until(() => handled.told.length >= length, 'not everything was handled');
    const times = handled.told.map(({ at }) => at);
    const [from = 0, to = 0] = [COUNTED.from, COUNTED.to].map((share) => times[Math.floor(length * share)]);
    return (length * (COUNTED.to - COUNTED.from) * 1_000) / (to - from);
  } finally {
    handled.end();
  }
}

/** For how long none of a replica's partitions is worked on after it is killed, while events come all the time. */
async function withoutOwner(bench: Bench, broker: Broker, replicas: Replicas): Promise<Figure> {
  const gaps: number[] = [];
  const kills = bench.sizes.rounds === 1 ? 1 : 5;
  for (let kill = 0; kill < kills; kill++) {
    await replicas.keep(MOST);
    const handled = followed(broker);
    const ended = new AbortController();
    const load = publishing(broker, ended.signal);
    await until(() => new Set(handled.told.map(({ pid }) => pid)).size === MOST, 'not every replica has work');
    const victim = await replicas.kill();
    const killedAt = performance.now();
    const lost = new Set(handled.told.filter(({ pid }) => pid === victim).map(({ partition }) => partition));
    const next = (partition: number) =>
      handled.told.find((each) => each.partition === partition && each.pid !== victim && each.at > killedAt);
    await until(() => [...lost].every((partition) => next(partition) !== undefined), 'nobody took a partition over');
    gaps.push(Math.max(...[...lost].map((partition) => (next(partition)?.at ?? 0) - killedAt)));
    ended.abort();
    await load;
    handled.end();
    bench.say(`killed one of ${MOST}: its partitions waited ${rounded(gaps.at(-1) ?? 0)} ms`);
  }
  return figure('ownerless_ms_after_kill', quantile(gaps, 0.5), { kills, longest: rounded(Math.max(...gaps)) });
}

/** Some events of each partition every few milliseconds. */
async function publishing(broker: Broker, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await publishEvents(broker, allPartitions.length);
    await delay(LOOK_MS);
  }
}

function followed({ connection }: Broker): { told: Handled[]; end(): void } {
  const told: Handled[] = [];
  const subscription = connection.subscribe('bench.handled.*.*', {
    callback: (_, { subject }) => {
      const [partition, pid] = subject.split('.').slice(2).map(Number);
      told.push({ at: performance.now(), partition: partition ?? -1, pid: pid ?? -1 });
    },
  });
  return { told, end: () => subscription.unsubscribe() };
}

/** Replicas of the service that waits, each in a process of its own. */
class Replicas {
  readonly #bench: Bench;
  readonly #broker: Broker;
  readonly #url: string;
  readonly #running: LeashedServer[] = [];
  #started = 0;

  constructor(bench: Bench, broker: Broker, url: string) {
    this.#bench = bench;
    this.#broker = broker;
    this.#url = url;
  }

  /** Has so many of them, which share the partitions. */
  async keep(count: number): Promise<void> {
    while (this.#running.length > count) await this.#running.pop()?.stop();
    while (this.#running.length < count) await this.#start();
    if (count > 0) await isShared(this.#broker, waitingJournal.service, count);
  }

  /** Kills one of them, and answers its pid. */
  async kill(): Promise<number> {
    const victim = this.#running.shift();
    if (victim === undefined) throw new Error('there is none to kill');
    await victim.kill('SIGKILL');
    return victim.pid;
  }

  async #start(): Promise<void> {
    const words = ['bench/waiting-replica.ts', this.#url, String(WAIT_MS), String(MAX_AT_WORK)];
    const name = `replica-${this.#started++}`;
    const replica = await startProgram(this.#bench.directory, name, words, 'the replica is running');
    this.#bench.started.add(name, replica.stop);
    this.#running.push(replica);
  }
}

/** Waits until so many instances of a service share all partitions. */
async function isShared(broker: Broker, service: string, count: number): Promise<void> {
  const look = async () => {
    const members = (await askMembers(broker)).filter((member) => member.service === service);
    const owned = members.flatMap(({ status }) => status?.partitions ?? []).toSorted();
    return members.length === count && owned.join() === allPartitions.join();
  };
  await until(look, `the partitions are not shared by ${count}`);
}

async function until(isSo: () => boolean | Promise<boolean>, otherwise: string): Promise<void> {
  const latest = performance.now() + WITHIN_MS;
  while (!(await isSo())) {
    if (performance.now() > latest) throw new Error(`${otherwise} within ${WITHIN_MS / 1_000} s`);
    await delay(LOOK_MS);
  }
}

const IDLE_MS = 5_000;

/** What four replicas of a service cost that have nothing to do, against one. */
export const idling: Measurement = {
  names: ['idle_messages_per_s', 'idle_core_share'],
  async *run({ directory, started, sizes, say }) {
    const nats = await startNats({ directory: join(directory, 'nats'), syncAlways: true, monitorPort: -1 });
    started.add('broker', nats.stop);
    const mongodb = await startMongodb({ directory: join(directory, 'mongodb') });
    started.add('database', mongodb.stop);
    const broker = await connectBroker({ url: nats.url, name: 'bench' });
    started.add('connection', broker.close);
    const pids: number[] = [];
    const idle: { messages: number; cores: number }[] = [];
    const idleMs = sizes.rounds === 1 ? IDLE_MS / 2 : IDLE_MS * 2;
    for (let count = 1; count <= MOST; count++) {
      const [grpcPort, httpPort] = [await freePort(), await freePort()];
      const replica = await startProgram(
        directory,
        `fulfilment-${count}`,
        ['services/fulfilment/main.ts'],
        'fulfilment is running',
        {
          LOG_LEVEL: 'info',
          NATS_URL: nats.url,
          MONGODB_URI: mongodb.url,
          SERVICE_GRPC_PORT: String(grpcPort),
          SERVICE_HTTP_PORT: String(httpPort),
        },
      );
      started.add('fulfilment', replica.stop);
      pids.push(replica.pid);
      await isShared(broker, 'fulfilment', count);
      // What a start has begun ends first.
      await delay(idleMs);
      idle.push(await idleFor(idleMs, [nats.pid, ...pids], nats.monitorUrl ?? ''));
      say(
        `${count} idle: ${rounded(idle.at(-1)?.messages ?? 0)} messages/s, ${rounded(idle.at(-1)?.cores ?? 0)} cores`,
      );
    }
    const details = { service: 'fulfilment', replicas: MOST, synced: true };
    const of = (which: 'messages' | 'cores') => idle.map((each) => rounded(each[which]));
    yield figure('idle_messages_per_s', idle.at(-1)?.messages ?? 0, { ...details, by_replicas: of('messages') });
    yield figure('idle_core_share', idle.at(-1)?.cores ?? 0, { ...details, by_replicas: of('cores') });
  },
};

/** Messages that the broker takes and gives per second, and cores that it and the replicas use. */
async function idleFor(
  ms: number,
  pids: readonly number[],
  monitorUrl: string,
): Promise<{ messages: number; cores: number }> {
  const look = async () => {
    const { in_msgs, out_msgs } = (await (await fetch(`${monitorUrl}/varz`)).json()) as Record<string, number>;
    const cpu = await Promise.all(pids.map(cpuSeconds));
    return {
      at: performance.now(),
      messages: (in_msgs ?? 0) + (out_msgs ?? 0),
      cpu: cpu.reduce((sum, each) => sum + each),
    };
  };
  const before = await look();
  await delay(ms);
  const after = await look();
  const seconds = (after.at - before.at) / 1_000;
  return { messages: (after.messages - before.messages) / seconds, cores: (after.cpu - before.cpu) / seconds };
}
