import type { Broker } from './broker.ts';
import type { StoredMessage } from './event.ts';
import { headersOfCore } from './message-headers.ts';
import { partitionOf } from './partitions.ts';

/** Word that messages are left out: so many that were not read in time, or, where none is said, an unknown number. */
export type Missed = { missed: number | undefined };

/** What a live follower gets. */
export type Live = StoredMessage | Missed;

/** What is followed; what is left out: any. */
export type Followed = { aggregate?: string; key?: string; matches?: (message: StoredMessage) => boolean };

/** Messages that wait to be read by one follower. A slower one is told how many it has missed. */
const MAX_WAITING = 1_000;

/**
 * Follows what is stored in every journal, from now on. Reads what each journal republishes after it stored a message: on
 * the journal's own subjects a subscriber also sees what the stream refused. What has no headers that can be read is
 * passed over: it is no event.
 */
export class LiveEvents implements AsyncIterable<Live> {
  readonly #waiting: Live[] = [];
  readonly #close: () => void;
  #wake: () => void = () => {};
  #closed = false;

  constructor(broker: Broker, { aggregate = '*', key, matches = () => true }: Followed, signal: AbortSignal) {
    const place = key === undefined ? `*.${aggregate}.*` : `${partitionOf(key)}.${aggregate}.${key}`;
    const subscription = broker.connection.subscribe(`live.*.event.${place}`, {
      callback: (error, message) => {
        const headers = error === null ? headersOfCore(message) : undefined;
        if (headers === undefined) return;
        const stored = {
          subject: headers.last('Nats-Subject'),
          stream: headers.last('Nats-Stream'),
          sequence: Number(headers.last('Nats-Sequence')),
          headers,
          data: message.data,
        };
        // Anybody may publish here, and what says no sequence stands in no journal.
        if (stored.sequence > 0 && matches(stored)) this.#push(stored);
      },
    });
    const forget = broker.onReconnect(() => this.#push({ missed: undefined }));
    this.#close = () => {
      this.#closed = true;
      forget();
      if (!subscription.isClosed()) subscription.unsubscribe();
      this.#wake();
    };
    signal.addEventListener('abort', this.#close, { once: true });
    if (signal.aborted) this.#close();
  }

  #push(live: Live): void {
    if (this.#waiting.length >= MAX_WAITING) {
      const left = this.#waiting.splice(0).map((each) => ('missed' in each ? each.missed : 1));
      this.#waiting.push({ missed: left.some((each) => each === undefined) ? undefined : sum(left) });
    }
    this.#waiting.push(live);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Live> {
    try {
      while (!this.#closed) {
        const next = this.#waiting.shift();
        if (next !== undefined) yield next;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      this.#close();
    }
  }
}

function sum(counts: readonly (number | undefined)[]): number {
  return counts.reduce<number>((total, count = 0) => total + count, 0);
}
