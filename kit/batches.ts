import { isOutage } from './outages.ts';

export type BatchesOptions<Item> = {
  /** Items in one batch at most. */
  maxItems: number;
  /** Two items of one key are never in the same batch; left out: any may be. */
  keyOf?(item: Item): string;
};

type Waiting<Item, Result> = { item: Item; resolve(result: Result): void; reject(error: unknown): void };

/**
 * Does together what was asked for one by one: what comes while a batch is at work goes with the next. One batch at a
 * time, in the order in which it was asked for.
 */
export class Batches<Item, Result> {
  readonly #run: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #options: BatchesOptions<Item>;
  #waiting: Waiting<Item, Result>[] = [];
  #atWork: Promise<void> | undefined;

  /** @param run answers with the results in the order of the items. Where it fails, any part of it may be done. */
  constructor(run: (items: readonly Item[]) => Promise<readonly Result[]>, options: BatchesOptions<Item>) {
    this.#run = run;
    this.#options = options;
  }

  /** Rejects with the error of its batch where something is away, else with none but the item's own. */
  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#atWork ??= this.#work();
    });
  }

  /** Resolves when nothing is at work and nothing waits. */
  async settled(): Promise<void> {
    await this.#atWork;
  }

  async #work(): Promise<void> {
    // What comes in the same turn goes together.
    await undefined;
    while (this.#waiting.length > 0) await this.#attempt(this.#take());
    this.#atWork = undefined;
  }

  #take(): Waiting<Item, Result>[] {
    const { maxItems, keyOf } = this.#options;
    const keys = new Set<string>();
    const taken: Waiting<Item, Result>[] = [];
    const left: Waiting<Item, Result>[] = [];
    for (const each of this.#waiting) {
      const key = keyOf?.(each.item);
      if (taken.length === maxItems || (key !== undefined && keys.has(key))) left.push(each);
      else taken.push(each);
      if (key !== undefined) keys.add(key);
    }
    this.#waiting = left;
    return taken;
  }

  async #attempt(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#run(batch.map(({ item }) => item));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
    } catch (error) {
      if (batch.length === 1 || isOutage(error)) for (const { reject } of batch) reject(error);
      // One that can't be done must not take the others with it.
      else for (const each of batch) await this.#attempt([each]);
    }
  }
}
