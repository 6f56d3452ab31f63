import { setTimeout as delay } from 'node:timers/promises';
import { oneOf, type Random } from '../chaos/random.ts';
import { deploymentNames, type Installation, serviceNames } from './installation.ts';

export type Step = {
  title: string;
  /** Whether nothing fails here, so that a request may be told UNAVAILABLE at most. */
  isCalm: boolean;
  run(): Promise<unknown>;
};

const WATCH_MS = 15_000;
const SIDE_BY_SIDE_MS = 20_000;
const BETWEEN_KILLS_MS = 3_000;
/** `stop` is SIGKILL. */
const KILL_BROKER = ['nats-server', '--signal', 'stop=/var/run/nats/nats.pid'];
const KILL_JAVA = `
  const { readdirSync, readlinkSync } = require('node:fs');
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      if (readlinkSync('/proc/' + pid + '/exe').endsWith('/java')) process.kill(Number(pid), 'SIGKILL');
    } catch {}
  }`;
const KILL_DATABASE = ['node', '--eval', KILL_JAVA];

/**
 * What happens to the platform while people use it, in this order. One deployment after another: what is tried is whether
 * anybody notices, and not how many programs can start at once.
 * @param newImage of a later version, where there is one.
 */
export function steps(installation: Installation, random: Random, newImage: string | undefined): Step[] {
  return [
    step('nothing happens', () => delay(WATCH_MS)),
    step('orders rolls', () => roll(installation, ['orders'])),
    step('the gateway rolls', () => roll(installation, ['gateway'])),
    step('all roll, one after another', () => roll(installation, deploymentNames)),
    step('each service has 4', () => scale(installation, 4)),
    step('and then 2', () => scale(installation, 2)),
    step('two versions, side by side', () => sideBySide(installation, newImage)),
    step('pods are killed', () => killPods(installation, random), false),
    step('the broker is killed', () => kill(installation, 'nats', KILL_BROKER), false),
    step('the database is killed', () => kill(installation, 'mongodb', KILL_DATABASE), false),
  ];
}

function step(title: string, run: () => Promise<unknown>, isCalm = true): Step {
  return { title, isCalm, run };
}

async function roll(installation: Installation, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await installation.kubectl.run(['rollout', 'restart', `deployment/${name}`]);
    await installation.rolled(name);
  }
  await installation.settled();
}

async function scale(installation: Installation, replicas: number): Promise<void> {
  for (const name of serviceNames) {
    await installation.kubectl.run(['scale', `deployment/${name}`, `--replicas=${replicas}`]);
    await installation.rolled(name);
  }
  await installation.settled();
  await delay(WATCH_MS);
}

async function kill(installation: Installation, name: string, command: readonly string[]): Promise<void> {
  await installation.killProcess(name, command);
  await delay(WATCH_MS);
}

/**
 * A rolling update stops half way, stays so for a while, and then goes on. Half way is where there are two: a single new pod
 * is all that is wanted as soon as it is ready, and the old one goes, stopped or not.
 */
async function sideBySide(installation: Installation, newImage: string | undefined): Promise<void> {
  const { kubectl } = installation;
  for (const name of deploymentNames) {
    const deployment = `deployment/${name}`;
    await kubectl.run(['scale', deployment, '--replicas=2']);
    await installation.rolled(name);
    if (newImage === undefined) await kubectl.run(['rollout', 'restart', deployment]);
    else await kubectl.run(['set', 'image', deployment, `*=${newImage}`]);
    await updated(installation, name);
    await kubectl.run(['rollout', 'pause', deployment]);
    await kubectl.run([
      ...['wait', '--for=condition=Ready', 'pods', '--selector', `app.kubernetes.io/name=${name}`],
      '--timeout=300s',
    ]);
  }
  await delay(SIDE_BY_SIDE_MS);
  for (const name of deploymentNames) {
    await isOfTwoVersions(installation, name);
    await kubectl.run(['rollout', 'resume', `deployment/${name}`]);
    await installation.rolled(name);
  }
  await installation.settled();
}

type Deployment = {
  metadata: { generation: number };
  status: { observedGeneration?: number; replicas?: number; updatedReplicas?: number };
};

/** Resolves once a deployment has a pod of its latest version; the older go when that is ready. */
async function updated({ kubectl }: Installation, name: string): Promise<void> {
  for (;;) {
    const { metadata, status } = await kubectl.json<Deployment>('get', 'deployment', name);
    // Before it is seen, all pods are of the version that was the latest.
    const isSeen = (status.observedGeneration ?? 0) >= metadata.generation;
    if (isSeen && (status.updatedReplicas ?? 0) > 0) return;
    await delay(200);
  }
}

/** @throws Error where a deployment has not pods of both versions: then nothing was tried. */
async function isOfTwoVersions({ kubectl }: Installation, name: string): Promise<void> {
  const { status } = await kubectl.json<Deployment>('get', 'deployment', name);
  const { replicas = 0, updatedReplicas = 0 } = status;
  if (updatedReplicas === 0 || updatedReplicas === replicas) {
    throw new Error(`${name} has ${updatedReplicas} pods of its latest version, of ${replicas}`);
  }
}

/** One pod of each, one after another, without being told before. */
async function killPods(installation: Installation, random: Random): Promise<void> {
  const { kubectl } = installation;
  for (const name of deploymentNames) {
    const pod = oneOf(random, await kubectl.podsOf(name));
    await kubectl.run(['delete', 'pod', pod, '--grace-period=0', '--force', '--wait=false']);
    await delay(BETWEEN_KILLS_MS);
  }
  await installation.settled();
}
