import type { Broker } from './broker.ts';
import type { StoredMessage } from './event.ts';
import { partitionOf } from './partitions.ts';

/** What a live follower gets: a message, or word that some may have been missed while the connection was lost. */
export type Live = StoredMessage | 'interrupted';

/** Messages that wait to be read by one follower. A slower one starts again from the journal. */
const MAX_WAITING = 1_000;

/**
 * Follows everything that is stored about a key, in every journal, from now on. Reads what each journal republishes
 * after it stored a message: on the journal's own subjects a subscriber also sees what the stream refused.
 */
export class LiveEvents implements AsyncIterable<Live> {
  readonly #waiting: Live[] = [];
  readonly #close: () => void;
  #wake: () => void = () => {};
  #closed = false;

  constructor(broker: Broker, key: string, signal: AbortSignal) {
    const subject = `live.*.event.${partitionOf(key)}.*.${key}`;
    const subscription = broker.connection.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null || message.headers === undefined) return;
        const { headers, data } = message;
        this.#push({
          subject: headers.get('Nats-Subject'),
          stream: headers.get('Nats-Stream'),
          sequence: Number(headers.get('Nats-Sequence')),
          headers,
          data,
        });
      },
    });
    const forget = broker.onReconnect(() => this.#push('interrupted'));
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
    if (this.#waiting.length >= MAX_WAITING) this.#waiting.splice(0, MAX_WAITING, 'interrupted');
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
