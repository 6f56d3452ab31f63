/** What became of one try: it is finished with, or comes again after a while. */
export type Outcome = 'finished' | { againAfterMs: number };

export type LaneRules<Item> = {
  /** Items of one key are handled one after another, in the order in which they were added. */
  keyOf(item: Item): string;
  /** One try. Must not throw. */
  run(item: Item): Promise<Outcome>;
  /** How many keys may be at work at once, asked each time. */
  limit(): number;
  /** Whether nothing else may be at work beside this item. */
  alone(item: Item): boolean;
};

/**
 * Handles items of different keys at the same time, and items of one key strictly in order: while one waits for its
 * next try, those behind it wait too, and other keys go on.
 */
export class Lanes<Item> {
  readonly #rules: LaneRules<Item>;
  /** What is left of each key; the first is at work, or next. */
  readonly #queues = new Map<string, Item[]>();
  /** Keys whose first item may start. */
  readonly #ready: string[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #running = new Set<Promise<void>>();
  #runsAlone = false;
  #pauses = 0;
  #closed = false;

  constructor(rules: LaneRules<Item>) {
    this.#rules = rules;
  }

  add(item: Item): void {
    const key = this.#rules.keyOf(item);
    const queue = this.#queues.get(key);
    if (queue !== undefined) {
      queue.push(item);
      return;
    }
    this.#queues.set(key, [item]);
    this.#ready.push(key);
    this.#startNext();
  }

  /** Starts nothing for a while. What is at work goes on. */
  pause(durationMs: number): void {
    this.#pauses++;
    this.#after(durationMs, () => {
      this.#pauses--;
      this.#startNext();
    });
  }

  /** Starts nothing any more, and resolves when nothing is at work any more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#running);
  }

  #startNext(): void {
    while (!this.#closed && this.#pauses === 0) {
      const key = this.#ready[0];
      const item = key === undefined ? undefined : this.#queues.get(key)?.[0];
      if (key === undefined || item === undefined) return;
      const alone = this.#rules.alone(item);
      if (this.#runsAlone || this.#running.size >= (alone ? 1 : this.#rules.limit())) return;
      this.#ready.shift();
      this.#runsAlone = alone;
      const running = this.#run(key, item).finally(() => {
        this.#running.delete(running);
        if (alone) this.#runsAlone = false;
        this.#startNext();
      });
      this.#running.add(running);
    }
  }

  async #run(key: string, item: Item): Promise<void> {
    const outcome = await this.#rules.run(item);
    if (outcome === 'finished') return this.#advance(key);
    if (outcome.againAfterMs === 0) this.#ready.unshift(key);
    else this.#after(outcome.againAfterMs, () => this.#makeReady(key));
  }

  #advance(key: string): void {
    const queue = this.#queues.get(key);
    queue?.shift();
    if (queue === undefined || queue.length === 0) this.#queues.delete(key);
    else this.#ready.push(key);
  }

  #makeReady(key: string): void {
    this.#ready.push(key);
    this.#startNext();
  }

  #after(durationMs: number, then: () => void): void {
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, durationMs);
    this.#timers.add(timer);
  }
}
