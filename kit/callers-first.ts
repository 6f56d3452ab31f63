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

let calls = 0;
let sample: { at: number; utilization: EventLoopUtilization; isSaturated: boolean } | undefined;
const waiting: (() => void)[] = [];
let slices: NodeJS.Timeout | undefined;

/** Answers a call, for which somebody waits. */
export async function answering<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  calls++;
  try {
    return await call();
  } finally {
    calls--;
  }
}

/**
 * Where callers crowd a process that has no time left, what nobody waits for begins later: an order is taken at once, and
 * what follows from it a little after. Undefined, as nearly always: it may begin now.
 */
export function afterCallers(): Promise<void> | undefined {
  if (waiting.length === 0 && !areCrowding()) return undefined;
  slices ??= setInterval(beginSome, SLICE_MS);
  return new Promise((begin) => waiting.push(begin));
}

function beginSome(): void {
  const starts = areCrowding() ? STARTS_PER_SLICE : STARTS_AFTERWARDS;
  for (const begin of waiting.splice(0, starts)) begin();
  if (waiting.length > 0) return;
  clearInterval(slices);
  slices = undefined;
}

/** Whether callers crowd a process that has no time left. */
export function areCrowding(): boolean {
  if (calls < CROWD) return false;
  const now = performance.now();
  if (sample === undefined || now - sample.at > SAMPLE_MS) {
    const utilization = performance.eventLoopUtilization();
    // An old sample says nothing of now.
    const isFresh = sample !== undefined && now - sample.at < 10 * SAMPLE_MS;
    const since = isFresh ? performance.eventLoopUtilization(utilization, sample?.utilization).utilization : 0;
    sample = { at: now, utilization, isSaturated: since > SATURATED };
  }
  return sample.isSaturated;
}
