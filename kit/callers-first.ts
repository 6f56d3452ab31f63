import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** Fewer calls than this are no crowd, whatever else the process does. */
const CROWD = 16;
/** Share of the time in which the event loop is at work; beyond, each piece of work makes the others wait. */
const SATURATED = 0.85;
const SAMPLE_MS = 50;
/** While callers crowd a saturated process, so much of the other work is begun: it goes on, and slowly. */
const SLICE_MS = 10;
const STARTS_PER_SLICE = 2;
/** When the crowd is gone, so much at once. */
const STARTS_AFTERWARDS = 64;

/**
 * Where callers crowd a process that has no time left, what nobody waits for begins later: an order is taken at once, and
 * what follows from it a little after.
 */
export class CallersFirst {
  readonly #isSaturated: () => boolean;
  readonly #waiting: (() => void)[] = [];
  #calls = 0;
  #slices: NodeJS.Timeout | undefined;

  /** @param isSaturated whether the process has no time left. */
  constructor(isSaturated: () => boolean) {
    this.#isSaturated = isSaturated;
  }

  /** Whether callers crowd the process, and it has no time left. */
  get areCrowding(): boolean {
    return this.#calls >= CROWD && this.#isSaturated();
  }

  /** Answers a call, for which somebody waits. */
  async answering<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    this.#calls++;
    try {
      return await call();
    } finally {
      this.#calls--;
    }
  }

  /** Resolves when work for which nobody waits may begin. Undefined, as nearly always: it may begin now. */
  afterCallers(): Promise<void> | undefined {
    if (this.#waiting.length === 0 && !this.areCrowding) return undefined;
    this.#slices ??= setInterval(() => this.#beginSome(), SLICE_MS);
    return new Promise((begin) => this.#waiting.push(begin));
  }

  #beginSome(): void {
    const starts = this.areCrowding ? STARTS_PER_SLICE : STARTS_AFTERWARDS;
    for (const begin of this.#waiting.splice(0, starts)) begin();
    if (this.#waiting.length > 0) return;
    clearInterval(this.#slices);
    this.#slices = undefined;
  }
}

let sample: { at: number; utilization: EventLoopUtilization; isSaturated: boolean } | undefined;

function isEventLoopSaturated(): boolean {
  const now = performance.now();
  if (sample !== undefined && now - sample.at <= SAMPLE_MS) return sample.isSaturated;
  const utilization = performance.eventLoopUtilization();
  // An old sample says nothing of now.
  const isFresh = sample !== undefined && now - sample.at < 10 * SAMPLE_MS;
  const share = isFresh ? performance.eventLoopUtilization(utilization, sample?.utilization).utilization : 0;
  sample = { at: now, utilization, isSaturated: share > SATURATED };
  return sample.isSaturated;
}

/** Of this process. */
export const callersFirst = new CallersFirst(isEventLoopSaturated);
