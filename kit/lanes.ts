/** What became of one try: it is finished with, or comes again after a while. */
export type Outcome = 'finished' | { againAfterMs: number };

/** Places for keys that are at work at the same time, shared by lanes of several partitions. */
export class Places {
  #free: number;
  /** Who found none, the longest waiting first. */
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Takes a place; where there is none, `again` is called once when there is. */
  take(again: () => void): boolean {
    if (this.#free === 0) {
      this.#waiting.add(again);
      return false;
    }
    this.#free--;
    return true;
  }

  giveBack(): void {
    this.#free++;
    // One that was closed or has paused meanwhile does not take it.
    for (const again of this.#waiting) {
      if (this.#free === 0) return;
      this.#waiting.delete(again);
      again();
    }
  }
}

export type LaneRules<Item> = {
  /** Items of one key are handled one after another, in the order in which they were added. */
  keyOf(item: Item): string;
  /** One try. Must not throw. */
  run(item: Item): Promise<Outcome>;
  /** How many keys may be at work at once, asked each time. */
  limit(): number;
  /** As many keys may be at work in all lanes that share them. */
  places: Places;
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
  /** As one function, so that it waits for a place once. */
  readonly #again = () => this.#startNext();
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
      if (!this.#rules.places.take(this.#again)) return;
      this.#ready.shift();
      this.#runsAlone = alone;
      const running = this.#run(key, item).finally(() => {
        this.#running.delete(running);
        if (alone) this.#runsAlone = false;
        // Others that wait for a place come first.
        this.#rules.places.giveBack();
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
