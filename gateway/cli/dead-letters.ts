import { randomUUID } from 'node:crypto';
import type { Client } from '@connectrpc/connect';
import { Command } from 'commander';
import {
  DiscardDeadLettersResponseSchema,
  GetDeadLetterResponseSchema,
  OperationsService,
  type ParkedKey,
  ParkedKeySchema,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { StartError } from '#kit/process.ts';
import { type Chosen, choosing, filterOf } from './choosing.ts';
import { letterText, parkedTable } from './dead-letter-text.ts';
import { dataJson } from './event-data.ts';
import { sequenceFrom } from './events.ts';
import { asOperator, type CallingOptions, calling, countFrom, oneAnswer, PAGE_SIZE } from './gateway-client.ts';
import { asJson, print, tell } from './printing.ts';
import { type ReplayOptions, rateFrom, replay } from './replay.ts';

type ListOptions = CallingOptions & Chosen & { limit: number };
type ShowOptions = CallingOptions & { data: boolean };
type DiscardOptions = CallingOptions &
  Chosen & { all: boolean; firstOnly: boolean; because: string; yes: boolean; requestId: string };

/** `dead-letters`: what consumers have given up on, and what is done about it. */
export function deadLettersCommand(): Command {
  const group = new Command('dead-letters').description(
    'what consumers have parked: look at it, replay it, discard it',
  );
  group.addHelpText('after', '\nSee docs/how-to/handle-dead-letters.md.');

  choosing(group.command('list').description('list what is parked, key by key'))
    .option('--limit <keys>', 'keys to show', countFrom, PAGE_SIZE)
    .action((options: ListOptions) => list(options));

  group
    .command('show')
    .description('show a parked message: what it says, why it is parked, and what waits behind it')
    .argument('<sequence>', 'its sequence, as `list` shows it', sequenceFrom)
    .option('--data', 'print only what it says, as JSON: to be changed, and given to `replay --edit`', false)
    .action((sequence: bigint, options: ShowOptions) => show(sequence, options));

  choosing(
    group
      .command('replay')
      .description('give parked messages once more to the consumer that parked them, each key first to last'),
  )
    .option('--all', 'every parked message of every consumer', false)
    .option('--dry-run', 'only say what would be replayed', false)
    .option('--edit <file>', "handle the key's first message as if it said this: JSON, as `show --data` prints it")
    .option('--rate <keys>', 'no more keys than so many in a second', rateFrom)
    .option('--because <words>', 'why, for the record', '')
    .option('--request-id <id>', 'of a replay that was interrupted: goes on with it')
    .action((options: ReplayOptions) => replay(options));

  choosing(group.command('discard').description('throw parked messages away, for ever'))
    .option('--all', 'every parked message of every consumer', false)
    .option('--first-only', 'only the first message of each key: those behind it wait for a replay', false)
    .requiredOption('--because <words>', 'why, for the record')
    .option('--yes', 'do it: it cannot be undone', false)
    .option('--request-id <id>', 'of a discard that did not come to its end: goes on with it')
    .action((options: DiscardOptions) => discard(options));

  const consumer = '--consumer payments-authorize-payment-on-payment-requested';
  const examples: Record<string, string[]> = {
    list: ['', `${consumer} --reason ATTEMPTS_EXHAUSTED`, '--json'],
    show: ['17', '17 --data > letter.json'],
    replay: [
      `${consumer} --dry-run`,
      `${consumer} --because "the provider is back"`,
      `${consumer} --rate 10`,
      `${consumer} --key ORDER_ID --edit letter.json`,
      '--all',
    ],
    discard: [`${consumer} --key ORDER_ID --because "settled by phone" --yes`],
  };
  for (const command of group.commands) calling(command, ...(examples[command.name()] ?? []));
  return group;
}

async function list(options: ListOptions): Promise<void> {
  const { keys, total } = await asOperator(OperationsService, options, (client) =>
    parkedKeys(client, options, options.limit),
  );
  if (options.json) {
    for (const key of keys) print(asJson(ParkedKeySchema, key));
    return;
  }
  if (keys.length > 0) print(parkedTable(keys));
  tell(total === 0 ? 'nothing is parked' : `${keys.length} of ${total} keys with parked messages`);
}

/** The first keys of a selection, page by page, and how many there are. */
async function parkedKeys(client: Client<typeof OperationsService>, chosen: Chosen, limit: number) {
  const keys: ParkedKey[] = [];
  for (let pageToken = ''; ; ) {
    const request = { filter: filterOf(chosen), pageSize: Math.min(PAGE_SIZE, limit - keys.length), pageToken };
    const page = await client.listDeadLetters(request, oneAnswer);
    keys.push(...page.keys);
    pageToken = page.nextPageToken;
    if (pageToken === '' || keys.length >= limit) return { keys, total: page.total };
  }
}

async function show(sequence: bigint, options: ShowOptions): Promise<void> {
  const found = await asOperator(OperationsService, options, (client) => client.getDeadLetter({ sequence }, oneAnswer));
  if (!options.data) {
    print(options.json ? asJson(GetDeadLetterResponseSchema, found, 2) : letterText(found));
    return;
  }
  const data = found.letter?.data;
  if (data === undefined) throw new StartError(`dead letter ${sequence} can not be decoded: there is nothing to edit`);
  print(dataJson(data));
}

async function discard(options: DiscardOptions): Promise<void> {
  const { all, firstOnly, because: reason, requestId = randomUUID() } = options;
  if (!options.yes) {
    await tellWhatIsDiscarded(options);
    return;
  }
  const request = { filter: filterOf(options), all, firstOnly, reason, requestId };
  try {
    const done = await asOperator(OperationsService, options, (client) =>
      client.discardDeadLetters(request, oneAnswer),
    );
    if (options.json) print(asJson(DiscardDeadLettersResponseSchema, done));
    else print(`${done.discarded} messages of ${done.keys} keys discarded`);
  } catch (error) {
    tell(`what was begun goes on with --request-id ${requestId}`);
    throw error;
  }
}

async function tellWhatIsDiscarded(options: DiscardOptions): Promise<void> {
  const { keys, total } = await asOperator(OperationsService, options, (client) =>
    parkedKeys(client, options, PAGE_SIZE),
  );
  if (keys.length > 0) tell(parkedTable(keys));
  tell(`This would discard ${options.firstOnly ? 'the first message' : 'all messages'} of ${total} keys, for ever.`);
  tell('Nothing was done: say --yes.');
  process.exitCode = 1;
}
