import { setTimeout as delay } from 'node:timers/promises';
import { type Timestamp, timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type Client, Code, ConnectError } from '@connectrpc/connect';
import { Command, InvalidArgumentError } from 'commander';
import { GetEventResponseSchema, type LoggedEvent, LoggedEventSchema } from '#gen/causeway/operations/v1/log_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { dataJson, dataLine, isKnownType } from './event-data.ts';
import {
  asOperator,
  type CallingOptions,
  calling,
  countFrom,
  oneAnswer,
  PAGE_SIZE,
  readStream,
} from './gateway-client.ts';
import { asJson, counted, print, printable, properties, shortType, table, tell, time } from './printing.ts';

type Filter = { type?: string; key?: string; aggregate?: string; correlationId?: string; stream?: string[] };
type SearchOptions = CallingOptions & Filter & { from?: Timestamp; until?: Timestamp; limit: number };
type TailOptions = CallingOptions & Filter & { limit?: number };

const AGAIN_MS = 1_000;
const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `events`: the log of all events. */
export function eventsCommand(): Command {
  const group = new Command('events').description('the log of all events: look for some, follow it');

  filtered(group.command('search').description('look for events, the newest first'))
    .option(
      '--from <time>',
      'stored since: a time such as 2026-01-31T12:00:00Z, or how long ago, such as 15m',
      timeFrom,
    )
    .option('--until <time>', 'stored before', timeFrom)
    .option('--limit <events>', 'how many to show', countFrom, PAGE_SIZE)
    .action((options: SearchOptions) => search(options));

  filtered(group.command('tail').description('show each event as it happens, until Ctrl-C'))
    .option('--limit <events>', 'end after so many', countFrom)
    .action((options: TailOptions) => tail(options));

  group
    .command('show')
    .description('show an event with all that is known of it')
    .argument('<stream>', 'where it stands, such as ORDERS')
    .argument('<sequence>', 'its sequence there', sequenceFrom)
    .action((stream: string, sequence: bigint, options: CallingOptions) => show(stream, sequence, options));

  const examples: Record<string, string[]> = {
    search: ['--type OrderCancelled --from 1h', '--key ORDER_ID', '--correlation-id ID --json'],
    tail: ['', '--type PaymentDeclined', '--key ORDER_ID --json'],
    show: ['ORDERS 17', 'ORDERS 17 --json'],
  };
  for (const command of group.commands) calling(command, ...(examples[command.name()] ?? []));
  return group;
}

function filtered(command: Command): Command {
  return command
    .option('--type <type>', 'of this type: OrderPlaced, or causeway.orders.v1.OrderPlaced')
    .option('--key <key>', 'about this order id, or sku')
    .option('--aggregate <kind>', 'about this kind of thing, such as payment')
    .option('--correlation-id <id>', 'that followed from the call with this id')
    .option('--stream <name...>', 'of these journals, such as ORDERS');
}

function filterOf({ type = '', key = '', aggregate = '', correlationId = '', stream: streams = [] }: Filter) {
  return { type, key, aggregate, correlationId, streams };
}

/** What is misspelled would be found nowhere, without a word. What only a newer platform knows is looked for all the same. */
function tellUnknownType({ type }: Filter): void {
  if (type !== undefined && !isKnownType(type)) tell(`no event that is known here is called ${printable(type)}`);
}

async function search(options: SearchOptions): Promise<void> {
  tellUnknownType(options);
  const { limit, from, until } = options;
  const filter = { ...filterOf(options), ...(from && { from }), ...(until && { until }) };
  let shown = 0;
  await asOperator(OperationsService, options, async (client) => {
    for (let pageToken = ''; ; ) {
      const request = { filter, pageSize: Math.min(PAGE_SIZE, limit - shown), pageToken };
      const page = await client.searchEvents(request, oneAnswer);
      if (options.json) for (const event of page.events) print(asJson(LoggedEventSchema, event));
      else if (page.events.length > 0) print(eventTable(page.events, shown === 0));
      shown += page.events.length;
      pageToken = page.nextPageToken;
      if (options.json) {
        if (pageToken === '' || shown >= limit) return;
        continue;
      }
      if (pageToken === '') return tell(counted(shown, 'event'));
      if (shown >= limit) return tell(`the newest ${shown}; there may be more`);
      tell(`looked back to ${time(page.searchedBackTo)}`);
    }
  });
}

/** Columns of fixed width: pages come one after another. */
function eventTable(events: readonly LoggedEvent[], hasHead: boolean): string {
  const head = ['TIME', 'EVENT', 'KEY', 'BY', 'AT'];
  const rows = events.map((event) => [
    time(event.time),
    shortType(event.type),
    event.key,
    event.actor,
    `${event.stream} ${event.sequence}`,
  ]);
  const [first = '', ...others] = table(head, rows, [20, 28, 36, 13]).split('\n');
  return (hasHead ? [first, ...others] : others).join('\n');
}

async function tail(options: TailOptions): Promise<void> {
  tellUnknownType(options);
  const left = { events: options.limit ?? Number.POSITIVE_INFINITY };
  await asOperator(OperationsService, options, async (client) => {
    while (left.events > 0) {
      try {
        await follow(client, options, left);
      } catch (error) {
        if (!isAnswered(error)) throw error;
        tell('interrupted: events may have been missed');
        await delay(AGAIN_MS);
      }
    }
  });
}

async function follow(client: Client<typeof OperationsService>, options: TailOptions, left: { events: number }) {
  const watched = (signal: { signal: AbortSignal }) => client.watchEvents({ filter: filterOf(options) }, signal);
  await readStream(watched, ({ event, skipped }) => {
    if (skipped > 0n) tell(`${skipped} events came faster than they could be shown`);
    if (event === undefined) return false;
    print(options.json ? asJson(LoggedEventSchema, event) : eventLine(event));
    return --left.events <= 0;
  });
}

/** The gateway is there, and something behind it is not. */
function isAnswered(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unavailable && error.cause === undefined;
}

function eventLine(event: LoggedEvent): string {
  const retried = event.attempts > 1 ? ` (after ${event.attempts} attempts)` : '';
  const says = event.data === undefined ? '' : ` ${dataLine(event.data)}`;
  return `${time(event.time)}  ${printable(shortType(event.type))}  ${printable(event.key)}${retried}${says}`;
}

async function show(stream: string, sequence: bigint, options: CallingOptions): Promise<void> {
  const found = await asOperator(OperationsService, options, (client) =>
    client.getEvent({ stream, sequence }, oneAnswer),
  );
  if (options.json) return print(asJson(GetEventResponseSchema, found, 2));
  if (found.event !== undefined) print(eventText(found.event));
}

function eventText(event: LoggedEvent): string {
  const about = properties([
    ['at', `${event.stream} ${event.sequence}, partition ${event.partition}`],
    ['about', `${event.aggregate} ${event.key}, version ${event.version}`],
    ['type', event.type],
    ['event', event.id],
    ['said', event.time === undefined ? '' : timestampDate(event.time).toISOString()],
    ['by', event.actor],
    ['attempts', event.attempts === 0 ? '' : String(event.attempts)],
    ['correlation', event.correlationId],
    ['cause', event.causationId],
    ['trace', event.traceId],
  ]);
  const headers = properties(Object.entries(event.headers).toSorted());
  const says = event.data === undefined ? `can not be decoded: ${event.raw.length} bytes` : dataJson(event.data);
  return `${about}\n\n${headers}\n\n${says}`;
}

function timeFrom(given: string): Timestamp {
  const [, count, unit] = /^([1-9]\d{0,5})([smhd])$/.exec(given) ?? [];
  const ago = Number(count) * (UNITS_MS[unit as keyof typeof UNITS_MS] ?? 0);
  const moment = unit === undefined ? new Date(given) : new Date(Date.now() - ago);
  if (!/^(\d{4}-|[1-9]\d*[smhd]$)/.test(given) || Number.isNaN(moment.getTime())) {
    throw new InvalidArgumentError('It is a time such as 2026-01-31T12:00:00Z, or how long ago, such as 15m or 2h.');
  }
  return timestampFromDate(moment);
}

/** Also of dead letters. */
export function sequenceFrom(given: string): bigint {
  if (!/^[1-9]\d{0,17}$/.test(given)) throw new InvalidArgumentError('It is a number from 1.');
  return BigInt(given);
}
