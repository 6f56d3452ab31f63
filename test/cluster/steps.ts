import { setTimeout as delay } from 'node:timers/promises';
import { oneOf, type Random } from '../chaos/random.ts';
import { deploymentNames, type Installation, serviceNames } from './installation.ts';

export type Step = {
  title: string;
  /** Whether nothing fails here, so that a request may be told UNAVAILABLE at most. */
  isCalm: boolean;
  /** Answers with what else is to be said of it. */
  run(): Promise<string | undefined>;
};

const WATCH_MS = 15_000;
const SIDE_BY_SIDE_MS = 20_000;
const BETWEEN_KILLS_MS = 3_000;

/** What happens to the platform while people use it, in this order. @param newImage of another version, where there is one. */
export function steps(installation: Installation, random: Random, newImage: string | undefined): Step[] {
  const { kubectl } = installation;
  const deployments = deploymentNames.map((name) => `deployment/${name}`);
  const roll = async (names: readonly string[]) => {
    await kubectl.run(['rollout', 'restart', ...names]);
    await installation.settled();
    return undefined;
  };
  const scale = async (replicas: number) => {
    await kubectl.run(['scale', ...serviceNames.map((name) => `deployment/${name}`), `--replicas=${replicas}`]);
    await installation.settled();
    await delay(WATCH_MS);
    return undefined;
  };
  return [
    { title: 'nothing happens', isCalm: true, run: () => delay(WATCH_MS, undefined) },
    { title: 'orders rolls', isCalm: true, run: () => roll(['deployment/orders']) },
    { title: 'the gateway rolls', isCalm: true, run: () => roll(['deployment/gateway']) },
    { title: 'all roll at once', isCalm: true, run: () => roll(deployments) },
    {
      title: newImage === undefined ? 'half of each is replaced, and waits' : 'an old and a new version, side by side',
      isCalm: true,
      run: () => sideBySide(installation, newImage),
    },
    { title: 'each service has 4', isCalm: true, run: () => scale(4) },
    { title: 'and then 2', isCalm: true, run: () => scale(2) },
    { title: 'pods are killed', isCalm: false, run: () => killPods(installation, random) },
    {
      title: 'the broker is killed',
      isCalm: false,
      run: async () => {
        await installation.killProcess('nats', 'nats-server');
        await delay(WATCH_MS);
        return undefined;
      },
    },
    {
      title: 'the database is killed',
      isCalm: false,
      run: async () => {
        await installation.killProcess('mongodb', 'java');
        await delay(WATCH_MS);
        return undefined;
      },
    },
  ];
}

/** A rolling update stops half way, stays so for a while, and then goes on. */
async function sideBySide(installation: Installation, newImage: string | undefined): Promise<undefined> {
  const { kubectl } = installation;
  const names = deploymentNames.map((name) => `deployment/${name}`);
  if (newImage === undefined) await kubectl.run(['rollout', 'restart', ...names]);
  else await kubectl.run(['set', 'image', ...names, `*=${newImage}`]);
  for (const name of deploymentNames) await updated(installation, name);
  await kubectl.run(['rollout', 'pause', ...names]);
  try {
    await installation.kubectl.run([
      ...['wait', '--for=condition=Ready', 'pods', '--selector', 'app.kubernetes.io/part-of=causeway'],
      '--timeout=180s',
    ]);
    await delay(SIDE_BY_SIDE_MS);
  } finally {
    await kubectl.run(['rollout', 'resume', ...names]);
  }
  await installation.settled();
  return undefined;
}

/** Resolves once a deployment has a pod of its latest version; the older go when that is ready. */
async function updated({ kubectl }: Installation, name: string): Promise<void> {
  for (;;) {
    const { status } = await kubectl.json<{ status: { updatedReplicas?: number } }>('get', 'deployment', name);
    if ((status.updatedReplicas ?? 0) > 0) return;
    await delay(200);
  }
}

/** One pod of each, one after another, without being told before. */
async function killPods(installation: Installation, random: Random): Promise<string> {
  const { kubectl } = installation;
  const killed: string[] = [];
  for (const name of deploymentNames) {
    const pods = await kubectl.podsOf(name);
    const pod = oneOf(random, pods);
    await kubectl.run(['delete', 'pod', pod, '--grace-period=0', '--force', '--wait=false']);
    killed.push(pod);
    await delay(BETWEEN_KILLS_MS);
  }
  await installation.settled();
  return `${killed.length} pods`;
}
