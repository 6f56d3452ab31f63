import { setTimeout as delay } from 'node:timers/promises';
import type { IndexDescription } from 'mongodb';
import type { Health } from './lifecycle.ts';
import { isOutage } from './outages.ts';
import type { Tenure } from './ownership.ts';
import type { Projection } from './projection.ts';
import type { Logger } from './telemetry/logging.ts';
import type { Stored } from './view.ts';

/** What is done about documents whose time has come. */
export type DeadlineRule<Document extends object> = {
  /** Reads as policy, such as `undo-when-overdue`; unique in a service. */
  name: string;
  /** A view whose documents hold an open deadline, a Date, and none once it is closed. It has `deadlineIndex`. */
  projection: Pick<Projection<Document>, 'reached'>;
  /** The document's field that holds it. */
  field: keyof Document & string;
  /**
   * Called again and again for as long as the document is overdue; by two processes at once for a moment when a
   * partition changes its owner. So it has to be a command that a decider settles by what it knows itself.
   * @param now by the clock that found it overdue.
   */
  onOverdue(document: Stored<Document>, now: Date): Promise<unknown>;
};

export type DeadlineOptions = {
  /** How often it is looked what is overdue. */
  everyMs: number;
  /** Documents held in memory. */
  pageSize: number;
  /** Documents at work at the same time. */
  maxAtWork: number;
};

const defaults: DeadlineOptions = { everyMs: 1_000, pageSize: 256, maxAtWork: 16 };

/** The index that a view needs for deadlines in this field. */
export function deadlineIndex(field: string): IndexDescription {
  return { key: { partition: 1, [field]: 1, _id: 1 } };
}

/**
 * Deadlines are data: the owner of a partition asks a view what is overdue, page by page and the longest overdue first.
 * Nothing has to be armed, and none can be lost. What stays overdue, because something is wrong with it, comes again
 * only after all that became overdue later.
 */
export class Deadlines<Document extends object> {
  readonly name: string;
  readonly #rule: DeadlineRule<Document>;
  readonly #logger: Logger;
  readonly #clock: () => Date;
  readonly #options: DeadlineOptions;
  #partitions: readonly number[] = [];
  #tenure: Tenure | undefined;
  /** The last document of the page before, where another page follows it. */
  #after: Stored<Document> | undefined;
  #stop: AbortController | undefined;
  #looking: Promise<void> = Promise.resolve();
  #page: Promise<unknown> = Promise.resolve();
  #problem: string | undefined;

  constructor(
    rule: DeadlineRule<Document>,
    { service, logger, clock }: { service: string; logger: Logger; clock: () => Date },
    options: Partial<DeadlineOptions> = {},
  ) {
    this.name = `${service}-${rule.name}`;
    this.#rule = rule;
    this.#logger = logger;
    this.#clock = clock;
    this.#options = { ...defaults, ...options };
  }

  /** Looks after exactly these partitions from now on; resolves when nothing of the others is at work any more. */
  async own(partitions: readonly number[], tenure?: Tenure): Promise<void> {
    this.#partitions = partitions;
    this.#tenure = tenure;
    if (partitions.length === 0) {
      this.#stop?.abort();
      this.#stop = undefined;
      await this.#looking;
      // Nobody looks any more who could see that it is over.
      if (this.#partitions.length === 0) this.#problem = undefined;
      return;
    }
    if (this.#stop === undefined) {
      const stop = new AbortController();
      this.#stop = stop;
      this.#looking = this.#looking.then(() => this.#keepLooking(stop.signal));
    }
    await this.#page;
  }

  /** Finishes what is at work, then stops. */
  async stop(): Promise<void> {
    await this.own([]);
  }

  /** It listens to no journal, but looks into a view. */
  describe(): undefined {}

  health(): Health {
    const reasons = this.#problem === undefined ? [] : [`deadlines ${this.name}: ${this.#problem}`];
    return { ready: reasons.length === 0, reasons };
  }

  async #keepLooking(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      // A process that was paused may have lost all of them meanwhile.
      await this.#tenure?.sure(stop);
      const page = this.#look(stop).catch((error) => this.#interrupted(error));
      this.#page = page;
      const isMore = await page;
      if (!isMore) await delay(this.#options.everyMs, undefined, { signal: stop }).catch(() => {});
    }
  }

  #interrupted(error: unknown): false {
    if (this.#problem === undefined) this.#logger.warn({ err: error, deadlines: this.name }, 'what is overdue waits');
    this.#problem = error instanceof Error ? error.message : String(error);
    return false;
  }

  /** One page; answers whether another one follows it. */
  async #look(stop: AbortSignal): Promise<boolean> {
    const now = this.#clock();
    const page = await this.#overdue(now, stop);
    const left = page.values();
    const work = Array.from({ length: this.#options.maxAtWork }, async () => {
      for (const document of left) {
        if (!stop.aborted && this.#partitions.includes(document.partition)) await this.#handle(document, now);
      }
    });
    const outage = (await Promise.allSettled(work)).find((each) => each.status === 'rejected');
    if (outage !== undefined) throw outage.reason;
    this.#problem = undefined;
    this.#after = page.length < this.#options.pageSize ? undefined : page.at(-1);
    return this.#after !== undefined;
  }

  async #overdue(now: Date, stop: AbortSignal): Promise<Stored<Document>[]> {
    const { projection, field } = this.#rule;
    const { query } = await projection.reached([], stop);
    const partition = { $in: [...this.#partitions] };
    const after = this.#after;
    const filter =
      after === undefined
        ? { partition, [field]: { $lte: now } }
        : {
            partition,
            $or: [{ [field]: { $gt: after[field], $lte: now } }, { [field]: after[field], _id: { $gt: after._id } }],
          };
    return (await query((documents) =>
      documents
        .find(filter as object)
        .sort({ [field]: 1, _id: 1 })
        .limit(this.#options.pageSize)
        .toArray(),
    )) as Stored<Document>[];
  }

  /** What is wrong with one document keeps no other one back; an outage does. */
  async #handle(document: Stored<Document>, now: Date): Promise<void> {
    try {
      await this.#rule.onOverdue(document, now);
    } catch (error) {
      if (isOutage(error)) throw error;
      this.#logger.error({ err: error, deadlines: this.name, key: document._id }, 'overdue, and nothing came of it');
    }
  }
}
