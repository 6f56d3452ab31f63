/** What came of the calls since the tally was begun. */
export type Figures = {
  seconds: number;
  /** Requests that were answered; each counts once, however often it was sent. */
  answered: number;
  orders: number;
  /** How often a request was sent again, by what it was told before. */
  retries: Map<string, number>;
  /** What no request may be told: a bug, or one that was never answered. */
  failures: Map<string, number>;
  /** The longest time in which nobody got an answer. */
  longestGapMs: number;
  slowestMs: number;
  watches: number;
};

/** Counts for one step after another. */
export class Tally {
  #figures = nothing();
  #begunAt = performance.now();
  #answeredAt = performance.now();

  /** What was counted since the last step, which ends with this. */
  next(): Figures {
    this.#seeGap();
    const figures = { ...this.#figures, seconds: (performance.now() - this.#begunAt) / 1_000 };
    this.#figures = nothing();
    this.#begunAt = performance.now();
    return figures;
  }

  answered(sinceMs: number): void {
    this.#seeGap();
    this.#answeredAt = performance.now();
    this.#figures.answered++;
    this.#figures.slowestMs = Math.max(this.#figures.slowestMs, this.#answeredAt - sinceMs);
  }

  ordered(): void {
    this.#figures.orders++;
  }

  watched(): void {
    this.#figures.watches++;
  }

  retried(code: string): void {
    count(this.#figures.retries, code);
  }

  failed(what: string): void {
    count(this.#figures.failures, what);
  }

  #seeGap(): void {
    this.#figures.longestGapMs = Math.max(this.#figures.longestGapMs, performance.now() - this.#answeredAt);
  }
}

function nothing(): Figures {
  const [retries, failures] = [new Map<string, number>(), new Map<string, number>()];
  return { seconds: 0, answered: 0, orders: 0, retries, failures, longestGapMs: 0, slowestMs: 0, watches: 0 };
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
