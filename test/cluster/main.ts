import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { signToken } from '#kit/rpc/identity.ts';
import { seededRandom } from '../chaos/random.ts';
import { type Caller, connectCaller, grpcCaller } from './callers.ts';
import { isLocal } from './context.ts';
import { type GatewayDoors, gatewayDoors } from './doors.ts';
import { buildImages, imageNames } from './images.ts';
import { announcedRegistry, Installation } from './installation.ts';
import { Kubectl, output } from './kubectl.ts';
import { Load } from './load.ts';
import { resultOf, type StepResult, summary } from './report.ts';
import { steps } from './steps.ts';
import { Tally } from './tally.ts';
import { verify } from './verify.ts';

type Options = {
  context?: string;
  namespace?: string;
  images?: string;
  newImage?: string;
  loadCommand?: string;
  only?: string;
  keep: boolean;
};

const WHAT_IT_DOES = `Puts the overlay deploy/overlays/test into a namespace of its own on the cluster that the kubeconfig names, and
has people order, read and watch through the gateway on 127.0.0.1 all the time, while deployments roll, are scaled and lose
pods, and broker and database are killed. In the end every order must be at its end, once; nothing that was acknowledged may be
lost; audit and doctor must find nothing. While deployments roll or are scaled no request may be told anything but UNAVAILABLE.

Images are built with docker, and go to the registry that the cluster announces (kube-public/local-registry-hosting). Where it
announces none, --load-command says how they get there: 'kind load docker-image {image}'.

It takes 10 to 15 minutes. FAULT_SEED=N makes its random choices once more.`;

const TOKEN_FOR = '2h';

await new Command('test:cluster')
  .description('try the platform on a Kubernetes cluster, while all kinds of things happen to it')
  .option('--context <name>', 'of the kubeconfig; one that is not on this machine has to be said')
  .option('--namespace <name>', 'left out: causeway-test-<random>; it must not be there yet')
  .option('--images <tag>', 'use images with this tag, which the cluster has already; left out: they are built')
  .option('--new-image <name>', 'a later version, to which the platform is updated')
  .option('--load-command <words>', 'how an image gets to the cluster; {image} is its name')
  .option('--only <words>', 'only steps that have these words in their title')
  .option('--keep', 'leave the namespace and the logs where they are', false)
  .addHelpText('after', `\n${WHAT_IT_DOES}`)
  .action(run)
  .parseAsync();

async function run(options: Options): Promise<void> {
  const context = await chosenContext(options.context);
  const namespace = options.namespace ?? `causeway-test-${randomBytes(3).toString('hex')}`;
  const kubectl = new Kubectl(context, namespace);
  const directory = await mkdtemp(join(tmpdir(), 'causeway-cluster-'));
  const installation = new Installation(kubectl, directory);
  const began = performance.now();
  const remove = async () => {
    if (!options.keep) await installation.remove().catch(() => {});
  };
  process.once('SIGINT', () => void remove().then(() => process.exit(130)));
  try {
    const nameOf = await deliver(kubectl, options);
    say(`installing ${nameOf('causeway')} into ${namespace} of ${context}`);
    await installation.apply(nameOf);
    await installation.ready();
    // One that comes before its broker ends, and is started again.
    const before = new Set(await installation.restarts());
    say(`all pods are ready after ${seconds(performance.now() - began)}`);
    const problems = await tried(installation, options, before);
    process.exitCode = problems === 0 ? 0 : 1;
    if (problems > 0) await keepLogs(kubectl);
  } catch (error) {
    process.exitCode = 1;
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    await keepLogs(kubectl);
  } finally {
    await remove();
    if (!options.keep) await rm(directory, { recursive: true, force: true });
    say(`took ${seconds(performance.now() - began)}`);
  }
  // Connections that callers hold would keep it.
  process.exit();
}

/** @throws Error where the cluster is not on this machine, and nobody said that it is meant. */
async function chosenContext(said: string | undefined): Promise<string> {
  const context = said ?? (await output('kubectl', ['config', 'current-context'])).trim();
  const server = await output('kubectl', [
    ...['--context', context, 'config', 'view', '--minify', '--output', 'jsonpath={.clusters[0].cluster.server}'],
  ]);
  if (said === undefined && !isLocal(context, server)) {
    throw new Error(`${context} at ${server} is not on this machine; say --context ${context} if it is meant`);
  }
  return context;
}

/** Builds the images and brings them to the cluster. Answers with what they are called there. */
async function deliver(
  kubectl: Kubectl,
  { images, loadCommand }: Options,
): Promise<(image: (typeof imageNames)[number]) => string> {
  const registry = await announcedRegistry(kubectl);
  // A tag of its own: nodes do not look again for what they have.
  const tag = images ?? `test-${randomBytes(4).toString('hex')}`;
  const nameOf = (image: string) => `${registry ?? 'localhost:5000'}/${image}:${tag}`;
  if (images !== undefined) return nameOf;
  say('building the images');
  await buildImages(nameOf);
  for (const image of imageNames.map(nameOf)) {
    if (loadCommand !== undefined) {
      const [program = '', ...words] = loadCommand.split(' ').map((word) => word.replaceAll('{image}', image));
      await output(program, words);
    } else if (registry !== undefined) {
      await output('docker', ['push', '--quiet', image]);
    } else {
      throw new Error('the cluster announces no registry: say how images get there with --load-command');
    }
  }
  return nameOf;
}

/** Everything that is tried, told as it happens. Answers with how many things were not as they must be. */
async function tried(
  installation: Installation,
  { newImage, only }: Options,
  restartsBefore: ReadonlySet<string>,
): Promise<number> {
  const random = seededRandom('the cluster');
  const doors = await gatewayDoors(installation.kubectl);
  if (doors.isTunnel) say('node ports do not answer on 127.0.0.1: a tunnel is used, which ends with its gateway');
  const token = await signToken({ subject: 'shopper', role: 'operator' }, await installation.authSecret(), TOKEN_FOR);
  const tally = new Tally();
  const load = new Load(random, tally);
  const callers = callersAt(doors, token);
  for (const caller of callers) load.start(caller);
  const results: StepResult[] = [];
  for (const step of steps(installation, random, newImage)) {
    if (only !== undefined && !step.title.includes(only)) continue;
    tally.next();
    await step.run();
    const result = resultOf(step, tally.next(), doors.isTunnel);
    results.push(result);
    say(result.line);
  }
  tally.next();
  await load.stop();
  const rest = resultOf({ title: 'what was under way ends', isCalm: false }, tally.next(), doors.isTunnel);
  results.push(rest);
  say(rest.line);
  const { kubectl, operatorKey } = installation;
  const verdict = await verify({ kubectl, http: doors.http, token, operatorKey }, load.acknowledged);
  const restarts = (await installation.restarts())
    .filter((pod) => !restartsBefore.has(pod))
    .map((pod) => `${pod} ended by itself`);
  for (const caller of callers) caller.close();
  doors.close();
  const problems = [...results.flatMap((result) => result.problems), ...verdict.problems, ...restarts];
  process.stdout.write(summary(results, verdict, problems));
  return problems.length;
}

/** By each door, on several connections. */
function callersAt({ grpc, http }: GatewayDoors, token: string): Caller[] {
  return [grpcCaller(grpc, token), grpcCaller(grpc, token), connectCaller(http, token), grpcCaller(grpc, token)];
}

async function keepLogs(kubectl: Kubectl): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-cluster-logs-'));
  const words = ['logs', '--selector', 'app.kubernetes.io/part-of=causeway', '--prefix', '--tail=-1'];
  const parts = { 'pods.log': [...words, '--max-log-requests=100'], 'pods.txt': ['get', 'pods', '-o', 'wide'] };
  for (const [file, command] of Object.entries({ ...parts, 'events.txt': ['get', 'events'] })) {
    await kubectl.run(command).then(
      (text) => writeFile(join(directory, file), text),
      () => {},
    );
  }
  say(`logs are in ${directory}`);
}

function say(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1_000)} s`;
}
