import { setTimeout as delay } from 'node:timers/promises';

/** Resolves when the next may begin, or once the signal aborts. */
export type Pace = (signal: AbortSignal) => Promise<void>;

export type PaceParts = {
  now(): number;
  /** Resolves after so long, or once the signal aborts. */
  wait(durationMs: number, signal: AbortSignal): Promise<void>;
};

const real: PaceParts = {
  now: () => performance.now(),
  wait: async (durationMs, signal) => {
    await delay(durationMs, undefined, { signal }).catch(() => {});
  },
};

/** Lets so many begin in a second, evenly; what took long is not made up for. @param perSecond 0: as many as come. */
export function paceOf(perSecond: number, { now, wait }: PaceParts = real): Pace {
  let next = 0;
  return async (signal) => {
    if (perSecond === 0) return;
    const begins = Math.max(next, now());
    next = begins + 1_000 / perSecond;
    if (begins > now()) await wait(begins - now(), signal);
  };
}
