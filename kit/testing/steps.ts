import type { AnyBulkWriteOperation, BulkWriteOptions, Collection, Filter } from 'mongodb';

/** What a process that has died says to those in it that still wait. Nobody is left to hear it. */
class DiedError extends Error {
  override name = 'DiedError';
}

type Step = { process: string; take(): void; die(): void };

/**
 * Runs programs that stand for processes step by step: each call of a database or broker is a step, and between any two
 * it is decided whose is next, or who dies. One step runs at a time, so that the same decisions make the same run.
 */
export class Steps {
  readonly #waiting: Step[] = [];
  readonly #dead = new Set<string>();
  #running: Promise<unknown> = Promise.resolve();
  #taken = 0;

  /** How many steps have been taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Makes a call a step of a process. */
  async step<Answer>(process: string, call: () => Promise<Answer>): Promise<Answer> {
    const died = () => new DiedError(`${process} is dead`);
    if (this.#dead.has(process)) throw died();
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ process, take: resolve, die: () => reject(died()) });
    });
    const running = call();
    this.#running = running.catch(() => {});
    return running;
  }

  /**
   * Runs until the programs have ended.
   * @param next picks one of the processes whose step is next; `dies` ends that process instead.
   */
  async run(programs: Promise<unknown>, next: (processes: readonly string[]) => { index: number; dies?: boolean }) {
    let ended = false;
    const end = () => {
      ended = true;
    };
    programs.then(end, end);
    for (;;) {
      await this.#running;
      // Whatever follows from what has come in is done first.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#waiting.length === 0) {
        if (ended) return;
        continue;
      }
      const { index, dies = false } = next(this.#waiting.map(({ process }) => process));
      const process = this.#waiting[index]?.process ?? '';
      if (dies) this.#kill(process);
      else {
        this.#taken++;
        this.#waiting.splice(index, 1)[0]?.take();
        // It begins in a later microtask.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  #kill(process: string): void {
    this.#dead.add(process);
    const [theirs, others] = [
      this.#waiting.filter((step) => step.process === process),
      this.#waiting.filter((step) => step.process !== process),
    ];
    this.#waiting.splice(0, this.#waiting.length, ...others);
    for (const step of theirs) step.die();
  }

  /** A collection as a process sees it. Each write of a bulk is a step of its own: none is done together with another. */
  collection<Document extends object>(process: string, collection: Collection<Document>): Collection<Document> {
    const step = <Answer>(call: () => Promise<Answer>) => this.step(process, call);
    return new Proxy(collection, {
      get: (target, name) => {
        if (name === 'bulkWrite') {
          return (operations: AnyBulkWriteOperation<Document>[], options: BulkWriteOptions) =>
            oneByOne(target, operations, options, step);
        }
        if (name === 'find') return (filter: Filter<Document>) => stepping(target.find(filter), step);
        const member = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        return (...words: unknown[]) => step(async () => member.apply(target, words));
      },
    });
  }
}

type Stepping = <Answer>(call: () => Promise<Answer>) => Promise<Answer>;

function stepping<Cursor extends { limit(count: number): Cursor; toArray(): Promise<unknown> }>(
  cursor: Cursor,
  step: Stepping,
) {
  return {
    limit: (count: number) => stepping(cursor.limit(count), step),
    toArray: () => step(() => cursor.toArray()),
  };
}

/** What failed is thrown when all others are written, as an unordered bulk does. */
async function oneByOne<Document extends object>(
  collection: Collection<Document>,
  operations: readonly AnyBulkWriteOperation<Document>[],
  options: BulkWriteOptions,
  step: Stepping,
): Promise<{ matchedCount: number; insertedCount: number }> {
  const sum = { matchedCount: 0, insertedCount: 0 };
  const failures: unknown[] = [];
  for (const operation of operations) {
    try {
      const { matchedCount, insertedCount } = await step(() => collection.bulkWrite([operation], options));
      sum.matchedCount += matchedCount;
      sum.insertedCount += insertedCount;
    } catch (error) {
      if (error instanceof DiedError) throw error;
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return sum;
}
