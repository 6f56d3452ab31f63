import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { platformSettings } from '#kit/platform-settings.ts';
import { StartError } from '#kit/process.ts';
import { readSettings } from '#kit/settings.ts';
import type { Audit } from '../audit/audit.ts';
import { auditWords } from '../audit/audit-words.ts';
import { stockOf } from '../audit/stock.ts';
import { asOperator, type CallingOptions, calling } from './gateway-client.ts';
import { print } from './printing.ts';

type AuditOptions = CallingOptions & { nats?: string };

const WHAT_IT_READS = `Reads all journals at the broker, and the stock through the gateway. Every order ends once, stock and money are
conserved, nothing happened twice, every version follows its last, and everybody was told once: what is not so is named, and
the status is 1. An order that waits for something is no problem, and is told with what it waits for.

What is under way may look wrong for a moment, so problems are looked for once more, and those count that are found both
times. The whole of it is true of a platform at rest only. Every event is read: with many orders it takes a while.`;

/** What is under way has gone on by then. */
const LOOK_AGAIN_MS = 2_000;

/** `audit`: whether everything is as it must be. */
export function auditCommand(): Command {
  const command = new Command('audit')
    .description('read all journals, and check that everything is as it must be')
    .addOption(new Option('--nats <url>', "the platform's broker; npm start prints where its own is").env('NATS_URL'))
    .addHelpText('after', `\n${WHAT_IT_READS}`)
    .action((options: AuditOptions) => lookAtAll(options));
  return calling(command, '--nats nats://127.0.0.1:4222', '--json');
}

async function lookAtAll(options: AuditOptions): Promise<void> {
  const { nats } = options;
  const settings = readSettings(platformSettings, {
    ...process.env,
    ...(nats === undefined ? {} : { NATS_URL: nats }),
  });
  // These take longer to load than everything that other commands need.
  const [{ atBroker }, { audit }] = await Promise.all([import('./broker.ts'), import('../audit/audit.ts')]);
  const audited = await atBroker(settings, async (broker) => {
    const look = async () => {
      const found = await audit(broker, await asOperator(InventoryService, options, stockOf));
      if (!found.events.has('ORDERS')) throw new StartError('there are no orders at NATS_URL (no journal ORDERS)');
      return found;
    };
    const first = await look();
    if (first.problemCount === 0) return first;
    await delay(LOOK_AGAIN_MS);
    return foundAgain(first, await look());
  });
  if (!audited.events.has('ORDERS'))
    throw new StartError('there is no journal ORDERS at NATS_URL: no orders are there');
  print(options.json ? auditJson(audited) : auditWords(audited));
  if (audited.problemCount > 0) process.exitCode = 1;
}

/** Only some of very many problems are kept word for word: then all of the second time count. */
function foundAgain(first: Audit, second: Audit): Audit {
  if (first.problemCount > first.problems.length) return second;
  const problems = second.problems.filter((problem) => first.problems.includes(problem));
  return { ...second, problems, problemCount: problems.length };
}

function auditJson({ orders, events, outcomes, waiting, problems, problemCount }: Audit): string {
  const said = {
    orders,
    events: Object.fromEntries(events),
    outcomes: Object.fromEntries(outcomes),
    waiting: Object.fromEntries(waiting),
    problems,
    problemCount,
  };
  return JSON.stringify(said, undefined, 2);
}
