import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@connectrpc/connect';
import { Command, InvalidArgumentError } from 'commander';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import {
  BuildStatus,
  type CompareProjectionResponse,
  CompareProjectionResponseSchema,
  type ProjectionBuild,
  type ProjectionState,
  ProjectionStateSchema,
} from '#gen/causeway/operations/v1/projections_pb.js';
import { StartError } from '#kit/process.ts';
import { asOperator, type CallingOptions, calling, oneAnswer } from './gateway-client.ts';
import { asJson, print, table, tell, time } from './printing.ts';

type ActOptions = CallingOptions & { because: string; build?: number; requestId?: string };
type RebuildOptions = ActOptions & { switch: boolean; wait: boolean };
type DiscardOptions = ActOptions & { yes: boolean };

const LOOK_MS = 1_000;

const statusWords: Record<BuildStatus, string> = {
  [BuildStatus.UNSPECIFIED]: '',
  [BuildStatus.BUILDING]: 'building',
  [BuildStatus.CAUGHT_UP]: 'caught up',
  [BuildStatus.ACTIVE]: 'active',
  [BuildStatus.PREVIOUS]: 'previous',
};

/** `projections`: the views of all services, and how they are built anew without anybody noticing. */
export function projectionsCommand(): Command {
  const group = new Command('projections').description(
    'the views of all services: how far they are; build them anew, switch readers over',
  );

  group
    .command('list', { isDefault: true })
    .description('list the views and their builds')
    .action((options: CallingOptions) => list(options));

  onView(group.command('rebuild').description('build a view anew, beside what readers see'))
    .option('--switch', 'switch readers to it as soon as it has caught up', false)
    .option('--wait', 'wait until it has caught up, or readers are switched, and say how far it is', false)
    .action((service: string, view: string, options: RebuildOptions) => rebuild(service, view, options));

  group
    .command('compare')
    .description('compare what readers see with another build, document by document')
    .argument('<service>')
    .argument('<view>')
    .option('--build <number>', 'which one; left out: the one beside', buildFrom)
    .action((service: string, view: string, options: ActOptions) => compare(service, view, options));

  onView(group.command('switch').description('let readers see the build that has caught up'))
    .option('--build <number>', 'which one; left out: the one beside', buildFrom)
    .action((service: string, view: string, options: ActOptions) =>
      switchTo(service, view, options, [BuildStatus.CAUGHT_UP, BuildStatus.BUILDING]),
    );

  onView(group.command('roll-back').description('let readers see again what they saw before')).action(
    (service: string, view: string, options: ActOptions) => switchTo(service, view, options, [BuildStatus.PREVIOUS]),
  );

  onView(group.command('discard').description('give up a build that readers do not see'))
    .option('--build <number>', 'which one; left out: the only one beside', buildFrom)
    .option('--yes', 'do it: to have it again, it has to be built', false)
    .action((service: string, view: string, options: DiscardOptions) => discard(service, view, options));

  const examples: Record<string, string[]> = {
    list: ['', '--json'],
    rebuild: ['orders history --because "a field was missing"', 'orders orders --switch --wait'],
    compare: ['orders history', 'orders history --build 2 --json'],
    switch: ['orders history'],
    'roll-back': ['orders history --because "totals are wrong"'],
    discard: ['orders history --yes'],
  };
  for (const command of group.commands) calling(command, ...(examples[command.name()] ?? []));
  return group;
}

function onView(command: Command): Command {
  return command
    .argument('<service>', 'such as orders')
    .argument('<view>', 'such as history')
    .option('--because <words>', 'why, for the record', '')
    .option('--request-id <id>', 'of a request that was not answered: it is not done twice');
}

async function list(options: CallingOptions): Promise<void> {
  const { projections, unreachableServices } = await asOperator(OperationsService, options, (client) =>
    client.listProjections({}, oneAnswer),
  );
  if (options.json) {
    for (const projection of projections) print(asJson(ProjectionStateSchema, projection));
  } else print(projectionsTable(projections));
  for (const service of unreachableServices) tell(`${service} does not answer: its views are left out`);
  if (unreachableServices.length > 0) process.exitCode = 1;
}

function projectionsTable(projections: readonly ProjectionState[]): string {
  const rows = projections.flatMap(({ service, view, version, builds }) =>
    builds.map((build) => [
      service,
      view,
      `v${version}`,
      `${build.build}`,
      statusWords[build.status],
      `${build.documents}`,
      `${build.eventsLeft}`,
      time(build.startedAt),
      [build.parkedMessages > 0n ? `${build.parkedMessages} parked` : '', build.trouble].filter(Boolean).join('; '),
    ]),
  );
  return table(['SERVICE', 'VIEW', 'VERSION', 'BUILD', 'STATUS', 'DOCUMENTS', 'BEHIND', 'STARTED', 'TROUBLE'], rows);
}

async function rebuild(service: string, view: string, options: RebuildOptions): Promise<void> {
  const { because: reason, requestId = randomUUID() } = options;
  const request = { service, view, reason, requestId, switchWhenCaughtUp: options.switch };
  await asOperator(OperationsService, options, async (client) => {
    const { projection } = await client.rebuildProjection(request, oneAnswer);
    const begun = projection?.builds.find(({ status }) => isBeside(status));
    if (begun === undefined || !options.wait) return printState(projection, options);
    printState(await caughtUp(client, projection, begun.build, options), options);
  });
}

/** Waits until the build has caught up, or readers see it where they are switched by themselves. */
async function caughtUp(
  client: Client<typeof OperationsService>,
  begun: ProjectionState | undefined,
  number: number,
  { json }: RebuildOptions,
): Promise<ProjectionState | undefined> {
  let state = begun;
  for (;;) {
    const build = state?.builds.find((each) => each.build === number);
    if (state !== undefined && build === undefined) throw new StartError(`build ${number} was discarded`);
    if (build !== undefined && isDone(build)) return state;
    if (build !== undefined && !json) tell(progressOf(build));
    await delay(LOOK_MS);
    const { projections } = await client.listProjections({}, oneAnswer);
    // A service that starts again, or does not answer for a moment, goes on with it.
    state = projections.find(({ service, view }) => service === begun?.service && view === begun.view);
  }
}

function isDone({ status, switchesWhenCaughtUp, trouble }: ProjectionBuild): boolean {
  if (status === BuildStatus.CAUGHT_UP) return !switchesWhenCaughtUp || trouble !== '';
  return status !== BuildStatus.BUILDING;
}

function progressOf({ build, eventsLeft, eventsTotal, eventsPerSecond, remaining }: ProjectionBuild): string {
  const share = eventsTotal === 0n ? 100 : Math.floor((1 - Number(eventsLeft) / Number(eventsTotal)) * 100);
  const speed = `${Math.round(eventsPerSecond)} a second`;
  const left = remaining === undefined ? '' : `, ${remaining.seconds} s to go`;
  return `build ${build}: ${share} %, ${eventsLeft} of ${eventsTotal} events left, ${speed}${left}`;
}

async function compare(service: string, view: string, options: ActOptions): Promise<void> {
  const found = await asOperator(OperationsService, options, async (client) => {
    const build = options.build ?? (await buildOf(client, service, view, besides)).build;
    let latest: CompareProjectionResponse | undefined;
    for await (const comparison of client.compareProjection({ service, view, build })) {
      if (latest !== undefined && !options.json) tell(`${latest.compared} of ${latest.total} documents compared`);
      latest = comparison;
    }
    return latest;
  });
  if (found === undefined) throw new StartError('the comparison did not come to its end');
  if (options.json) print(asJson(CompareProjectionResponseSchema, found));
  else print(comparisonText(found));
  if (found.different + found.missing + found.extra > 0n) process.exitCode = 1;
}

function comparisonText(found: CompareProjectionResponse): string {
  const { compared, same, different, missing, extra, unsettled, differences } = found;
  const counts = `${compared} documents: ${same} same, ${different} different, ${missing} missing, ${extra} extra`;
  const rows = differences.map(({ id, fields, active }) => [
    id,
    fields.length > 0 ? fields.join(', ') : active === '' ? 'only in the other build' : 'only in the active build',
  ]);
  return [
    unsettled > 0n ? `${counts}; ${unsettled} kept changing` : counts,
    ...(rows.length > 0 ? [table(['DOCUMENT', 'DIFFERS IN'], rows)] : []),
  ].join('\n');
}

async function switchTo(
  service: string,
  view: string,
  options: ActOptions,
  among: readonly BuildStatus[],
): Promise<void> {
  const { because: reason, requestId = randomUUID() } = options;
  await asOperator(OperationsService, options, async (client) => {
    const build = options.build ?? (await buildOf(client, service, view, among)).build;
    const { projection } = await client.switchProjection({ service, view, build, reason, requestId }, oneAnswer);
    printState(projection, options);
  });
}

async function discard(service: string, view: string, options: DiscardOptions): Promise<void> {
  const { because: reason, requestId = randomUUID() } = options;
  await asOperator(OperationsService, options, async (client) => {
    const build = options.build ?? (await buildOf(client, service, view, besides)).build;
    if (!options.yes) {
      tell(`This would discard build ${build} of ${view}.\nNothing was done: say --yes.`);
      process.exitCode = 1;
      return;
    }
    const { projection } = await client.discardProjectionBuild({ service, view, build, reason, requestId }, oneAnswer);
    printState(projection, options);
  });
}

const besides = [BuildStatus.CAUGHT_UP, BuildStatus.BUILDING, BuildStatus.PREVIOUS];

function isBeside(status: BuildStatus): boolean {
  return status === BuildStatus.CAUGHT_UP || status === BuildStatus.BUILDING;
}

/** @throws StartError where the view has no build of this kind. */
async function buildOf(
  client: Client<typeof OperationsService>,
  service: string,
  view: string,
  among: readonly BuildStatus[],
): Promise<ProjectionBuild> {
  const { projections } = await client.listProjections({}, oneAnswer);
  const found = projections.find((each) => each.service === service && each.view === view);
  if (found === undefined) throw new StartError(`${service} has no view ${view}, or does not answer`);
  const build = found.builds.find(({ status }) => among.includes(status));
  if (build !== undefined) return build;
  throw new StartError(`${view} has no build that is ${among.map((status) => statusWords[status]).join(' or ')}`);
}

function printState(state: ProjectionState | undefined, { json }: CallingOptions): void {
  if (state === undefined) return;
  print(json ? asJson(ProjectionStateSchema, state) : projectionsTable([state]));
}

function buildFrom(given: string): number {
  if (!/^[1-9]\d{0,8}$/.test(given)) throw new InvalidArgumentError('It is a number from 1.');
  return Number(given);
}
