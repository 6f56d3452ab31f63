import type { Broker } from '#kit/broker.ts';
import { Header } from '#kit/event.ts';

/** An event as it went by. */
export type Passing = { at: Date; stream: string; type: string; key: string };

const RECENT = 8;

/** The flow of events as it happens: what each journal republishes after it has stored it. */
export class Flow {
  readonly #events = new Map<string, number>();
  readonly #recent: Passing[] = [];
  readonly #ended = new Set<string>();
  #count = 0;

  constructor(broker: Broker) {
    broker.connection.subscribe('live.>', {
      callback: (error, { headers }) => {
        if (error !== null || headers === undefined) return;
        const type = headers.get(Header.type).split('.').at(-1) ?? '';
        this.#add({ at: new Date(), stream: headers.get('Nats-Stream'), type, key: headers.get(Header.subject) });
      },
    });
  }

  #add(passing: Passing): void {
    this.#count++;
    this.#events.set(passing.stream, (this.#events.get(passing.stream) ?? 0) + 1);
    if (passing.stream === 'ORDERS' && ['OrderCompleted', 'OrderCancelled'].includes(passing.type)) {
      this.#ended.add(passing.key);
    }
    this.#recent.push(passing);
    if (this.#recent.length > RECENT) this.#recent.shift();
  }

  /** Events so far. */
  get count(): number {
    return this.#count;
  }

  /** Orders that have come to their end. */
  get ended(): number {
    return this.#ended.size;
  }

  /** The latest events, the oldest first. */
  get recent(): readonly Passing[] {
    return this.#recent;
  }

  /** Events of each stream so far. */
  get byStream(): ReadonlyMap<string, number> {
    return this.#events;
  }
}
