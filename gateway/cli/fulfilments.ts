import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import {
  type Fulfilment,
  FulfilmentSchema,
  FulfilmentStatus,
  FulfilmentStatusSchema,
  OperationsService,
  ResolveFulfilmentResponseSchema,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { asOperator, type CallingOptions, calling, countFrom, oneAnswer, PAGE_SIZE } from './gateway-client.ts';
import { asJson, counted, print, properties, shortType, table, tell, time } from './printing.ts';

type ListOptions = CallingOptions & { status?: string; overdue: boolean; limit: number };
type ResolveOptions = CallingOptions & { as: keyof typeof resolutions; because: string; requestId?: string };

/** Words for statuses, such as `waiting-for-stock`. */
const statuses = new Map<string, FulfilmentStatus>(
  FulfilmentStatusSchema.values
    .filter(({ number }) => number !== FulfilmentStatus.UNSPECIFIED)
    .map(({ localName, number }) => [localName.toLowerCase().replaceAll('_', '-'), number]),
);

const resolutions = { retry: Resolution.RETRY, settled: Resolution.SETTLED };

/** `fulfilments`: how orders are fulfilled or undone, and what needs an operator. */
export function fulfilmentsCommand(): Command {
  const group = new Command('fulfilments').description('how orders are fulfilled or undone, and what waits on what');

  group
    .command('list')
    .description('list fulfilments, the newest first; overdue ones with the longest overdue first')
    .addOption(new Option('--status <status>', 'only those').choices([...statuses.keys()]))
    .option('--overdue', 'only those whose deadline has passed', false)
    .option('--limit <fulfilments>', 'how many to show', countFrom, PAGE_SIZE)
    .action((options: ListOptions) => list(options));

  group
    .command('show')
    .description('show a fulfilment with its steps')
    .argument('<order id>')
    .action((orderId: string, options: CallingOptions) => show(orderId, options));

  group
    .command('resolve')
    .description('settle a fulfilment that needs attention')
    .argument('<order id>')
    .addOption(
      new Option('--as <resolution>', 'retry: ask again for what was refused; settled: it was done elsewhere, go on')
        .choices(Object.keys(resolutions))
        .makeOptionMandatory(),
    )
    .requiredOption('--because <words>', 'why, for the record')
    .option('--request-id <id>', 'the same one again does nothing again')
    .action((orderId: string, options: ResolveOptions) => resolve(orderId, options));

  const orderId = '00000000-0000-4000-8000-000000000001';
  const examples: Record<string, string[]> = {
    list: ['--status needs-attention', '--overdue --json'],
    show: [orderId],
    resolve: [`${orderId} --as retry --because "the provider is back"`],
  };
  for (const command of group.commands) calling(command, ...(examples[command.name()] ?? []));
  return group;
}

async function list(options: ListOptions): Promise<void> {
  const status = statuses.get(options.status ?? '') ?? FulfilmentStatus.UNSPECIFIED;
  const found: Fulfilment[] = [];
  const hasMore = await asOperator(OperationsService, options, async (client) => {
    for (let pageToken = ''; ; ) {
      const pageSize = Math.min(PAGE_SIZE, options.limit - found.length);
      const page = await client.listFulfilments({ status, overdue: options.overdue, pageSize, pageToken }, oneAnswer);
      found.push(...page.fulfilments);
      pageToken = page.nextPageToken;
      if (pageToken === '' || found.length >= options.limit) return pageToken !== '';
    }
  });
  if (options.json) {
    for (const each of found) print(asJson(FulfilmentSchema, each));
    return;
  }
  if (found.length > 0) print(fulfilmentTable(found));
  tell(hasMore ? `the first ${found.length}; there are more` : counted(found.length, 'fulfilment'));
}

function fulfilmentTable(fulfilments: readonly Fulfilment[]): string {
  return table(
    ['ORDER', 'STATUS', 'SINCE', 'DEADLINE', 'REASON'],
    fulfilments.map(({ orderId, status, since, deadline, reason }) => [
      orderId,
      statusWord(status),
      time(since),
      time(deadline),
      reason,
    ]),
  );
}

async function show(orderId: string, options: CallingOptions): Promise<void> {
  const { fulfilment } = await asOperator(OperationsService, options, (client) =>
    client.getFulfilment({ orderId }, oneAnswer),
  );
  if (fulfilment === undefined) return;
  print(options.json ? asJson(FulfilmentSchema, fulfilment, 2) : fulfilmentText(fulfilment));
}

function fulfilmentText(fulfilment: Fulfilment): string {
  const about = properties([
    ['order', fulfilment.orderId],
    ['status', statusWord(fulfilment.status)],
    ['since', time(fulfilment.since)],
    ['deadline', time(fulfilment.deadline)],
    ['reason', fulfilment.reason],
    ['started', time(fulfilment.startedAt)],
  ]);
  const steps = fulfilment.steps.map(({ type, at, deadline, note }) => [
    time(at),
    shortType(type),
    time(deadline),
    note,
  ]);
  return `${about}\n\n${table(['AT', 'STEP', 'DEADLINE', 'NOTE'], steps)}`;
}

async function resolve(orderId: string, options: ResolveOptions): Promise<void> {
  const { as, because: note, requestId = randomUUID() } = options;
  const request = { orderId, resolution: resolutions[as], note, requestId };
  const resolved = await asOperator(OperationsService, options, (client) =>
    client.resolveFulfilment(request, oneAnswer),
  );
  if (options.json) print(asJson(ResolveFulfilmentResponseSchema, resolved));
  else print(`asked for: ${as}, of the fulfilment of order ${orderId}`);
}

function statusWord(status: FulfilmentStatus): string {
  return [...statuses].find(([, number]) => number === status)?.[0] ?? String(status);
}
