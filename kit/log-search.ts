import { answered, type Broker } from './broker.ts';
import type { TimedMessage } from './direct-batch.ts';
import type { StoredMessage } from './event.ts';
import { Journal } from './journal.ts';
import { partitionOf } from './partitions.ts';
import { messagesBetween, sequenceAt } from './stream-window.ts';

/** What is looked for in the journals; what is left out: any. */
export type LogFilter = {
  streams?: readonly string[];
  aggregate?: string;
  key?: string;
  matches?(message: StoredMessage): boolean;
  /** When it was stored. */
  from?: Date;
  /** Not included. */
  until?: Date;
};

/**
 * Where a search goes on: in each stream that it has not come to the end of, below this sequence. Empty: nowhere, it has
 * found everything.
 */
export type LogCursor = ReadonlyMap<string, number>;

export type LogPage = {
  /** The newest first. */
  found: TimedMessage[];
  next: LogCursor;
  /** What is younger was looked at; undefined: all was. */
  searchedBackTo: Date | undefined;
  /** Messages that were looked at. */
  scanned: number;
};

export type LogLimits = { count: number; bytes: number; searchMs: number; signal: AbortSignal };

/** How far back a stream is read at once, in sequences: the further the less there is to be read. */
const FIRST_WINDOW = 64;
const MAX_WINDOW = 65_536;
/** Messages that are read at once, about. With a subject the broker passes over the others. */
const READ_AT_ONCE = 512;

type JournalState = { service: string; first: number; last: number };

/** The streams that are journals, by name, with the service that stands first in their subjects. */
export async function journalStreams(broker: Broker): Promise<Map<string, JournalState>> {
  return answered(broker, async () => {
    const journals = new Map<string, JournalState>();
    for await (const { config, state } of broker.manager.streams.list('*.event.>')) {
      const service = /^([^.*>]+)\.event\.>$/.exec(config.subjects?.[0] ?? '')?.[1];
      if (service !== undefined) journals.set(config.name, { service, first: state.first_seq, last: state.last_seq });
    }
    return journals;
  });
}

/**
 * Looks through the journals, the newest message first over all of them, until a page is full or the time is over. Nothing
 * is indexed for it: each journal is read backwards, in windows of its sequences.
 * @param after where an earlier page ended: what was stored since is not looked at.
 * @throws UnavailableError
 */
export async function searchLog(
  broker: Broker,
  filter: LogFilter,
  after: LogCursor | undefined,
  limits: LogLimits,
): Promise<LogPage> {
  const until = performance.now() + limits.searchMs;
  const searches = await begun(broker, filter, after, limits.count);
  await Promise.all(searches.map((search) => search.look()));
  const found: TimedMessage[] = [];
  let bytes = 0;
  while (found.length < limits.count) {
    const next = youngest(searches, ({ newest }) => newest?.storedAtMicros);
    const open = youngest(searches, (search) => (search.isOpen ? search.lookedBackTo : undefined));
    if (open !== undefined && (next?.newest === undefined || open.lookedBackTo >= next.newest.storedAtMicros)) {
      if (performance.now() > until || limits.signal.aborted) break;
      await open.look();
      continue;
    }
    const message = next?.newest;
    if (message === undefined) break;
    bytes += message.data.length;
    if (found.length > 0 && bytes > limits.bytes) break;
    next?.take();
    found.push(message);
  }
  const left = searches.filter((search) => !search.isDone);
  const times = left.map((search) => search.newest?.storedAtMicros ?? search.lookedBackTo);
  return {
    found,
    next: new Map(left.map((search) => [search.stream, search.below])),
    // Where nothing was met with yet, all that is said is that nothing comes from the future.
    searchedBackTo: times.length === 0 ? undefined : new Date(Math.min(Math.max(...times) / 1_000, Date.now())),
    scanned: searches.reduce((sum, { scanned }) => sum + scanned, 0),
  };
}

async function begun(broker: Broker, filter: LogFilter, after: LogCursor | undefined, count: number) {
  const journals = await journalStreams(broker);
  const chosen = [...journals].filter(
    ([stream]) => (filter.streams?.includes(stream) ?? true) && (after?.has(stream) ?? true),
  );
  const searches = await Promise.all(
    chosen.map(async ([stream, state]) => {
      const subject = subjectIn(state.service, filter);
      const range = await rangeOf(broker, stream, { ...filter, ...state, subject, below: after?.get(stream) });
      return new JournalSearch(broker, stream, { ...range, subject, count, matches: matching(filter) });
    }),
  );
  return searches.filter((search) => !search.isDone);
}

function subjectIn(service: string, { aggregate, key }: LogFilter): string | undefined {
  if (aggregate === undefined && key === undefined) return undefined;
  const partition = key === undefined ? '*' : partitionOf(key);
  return `${service}.event.${partition}.${aggregate ?? '*'}.${key ?? '*'}`;
}

function matching({ matches = () => true, from, until }: LogFilter): (message: TimedMessage) => boolean {
  const fromMicros = (from?.getTime() ?? Number.NEGATIVE_INFINITY) * 1_000;
  const untilMicros = (until?.getTime() ?? Number.POSITIVE_INFINITY) * 1_000;
  return (message) => message.storedAtMicros >= fromMicros && message.storedAtMicros < untilMicros && matches(message);
}

type Range = { from: number; below: number };

/** The sequences between which all that is looked for stands. */
async function rangeOf(
  broker: Broker,
  stream: string,
  asked: Pick<LogFilter, 'from' | 'until'> & JournalState & { subject: string | undefined; below: number | undefined },
): Promise<Range> {
  const nothing = { from: 1, below: 1 };
  const { subject, first: start, last } = asked;
  // An empty journal begins at 0, which is no sequence to ask for.
  const from = asked.from === undefined ? Math.max(start, 1) : await sequenceAt(broker, stream, asked.from);
  const until = asked.until === undefined ? undefined : await sequenceAt(broker, stream, asked.until);
  if (from === undefined) return nothing;
  const below = Math.min(asked.below ?? last + 1, until ?? last + 1);
  if (subject === undefined) return { from, below };
  const journal = new Journal({ service: '', stream }, broker);
  const [first, latest] = await Promise.all([journal.firstFrom(subject, from), journal.lastOnLeader(subject)]);
  if (first === undefined || latest === undefined) return nothing;
  return { from: first.sequence, below: Math.min(below, latest.sequence + 1) };
}

type SearchParts = Range & {
  subject: string | undefined;
  /** More than so many are not kept. */
  count: number;
  matches(message: TimedMessage): boolean;
};

/** The search through one journal, backwards. */
class JournalSearch {
  readonly stream: string;
  readonly #broker: Broker;
  readonly #parts: SearchParts;
  /** What was found and not taken, the oldest first. */
  #found: TimedMessage[] = [];
  #below: number;
  #window = FIRST_WINDOW;
  #lookedBackTo = Number.POSITIVE_INFINITY;
  #scanned = 0;

  constructor(broker: Broker, stream: string, parts: SearchParts) {
    this.stream = stream;
    this.#broker = broker;
    this.#parts = parts;
    this.#below = parts.below;
  }

  /** What was found and not taken. */
  get newest(): TimedMessage | undefined {
    return this.#found.at(-1);
  }

  /** Whether it has to look further before it can say what comes next. */
  get isOpen(): boolean {
    return this.#found.length === 0 && this.#below > this.#parts.from;
  }

  get isDone(): boolean {
    return this.#found.length === 0 && this.#below <= this.#parts.from;
  }

  /** When the oldest message that was looked at was stored. */
  get lookedBackTo(): number {
    return this.#lookedBackTo;
  }

  get scanned(): number {
    return this.#scanned;
  }

  /** Everything from this sequence on was looked at, and taken where it was found. */
  get below(): number {
    const { newest } = this;
    return newest === undefined ? this.#below : newest.sequence + 1;
  }

  take(): void {
    this.#found.pop();
  }

  /** Looks through the window below. */
  async look(): Promise<void> {
    const { subject, matches, count, from: end } = this.#parts;
    const from = Math.max(end, this.#below - this.#window);
    const range = { from, to: this.#below - 1, ...(subject === undefined ? {} : { subject }) };
    const found: TimedMessage[] = [];
    let read = 0;
    let oldest: Pick<TimedMessage, 'sequence' | 'storedAtMicros'> | undefined;
    for await (const message of messagesBetween(this.#broker, this.stream, range)) {
      read++;
      oldest ??= { sequence: from, storedAtMicros: message.storedAtMicros };
      if (matches(message)) found.push(message);
      if (found.length <= count) continue;
      // More than are asked for: the older ones are found once more, if they are.
      found.shift();
      oldest = found[0];
    }
    this.#below = oldest?.sequence ?? from;
    this.#lookedBackTo = oldest?.storedAtMicros ?? this.#lookedBackTo;
    this.#found = found;
    this.#scanned += read;
    if (read > READ_AT_ONCE) this.#window = READ_AT_ONCE;
    else if (read * 2 <= READ_AT_ONCE) this.#window = Math.min(this.#window * 2, MAX_WINDOW);
  }
}

function youngest(
  searches: readonly JournalSearch[],
  timeOf: (search: JournalSearch) => number | undefined,
): JournalSearch | undefined {
  let best: { search: JournalSearch; time: number } | undefined;
  for (const search of searches) {
    const time = timeOf(search);
    if (time !== undefined && (best === undefined || time > best.time)) best = { search, time };
  }
  return best?.search;
}
