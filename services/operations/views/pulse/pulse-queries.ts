import type { ViewReader } from '#kit/view-reader.ts';
import { MINUTE_MS, minuteOf, type OutcomeCount, type PulseDocument } from './pulse-view.ts';

export type Pulse = {
  /** The last sixty, the current one last. */
  minutes: Omit<PulseDocument, 'outcomes'>[];
  /** Of the same time, the most frequent first. */
  outcomes: OutcomeCount[];
};

const MINUTES = 60;

/** What happened to orders in the last hour. */
export async function pulseOf({ query }: ViewReader<PulseDocument>, now: Date): Promise<Pulse> {
  const last = minuteOf(now).getTime();
  const first = last - (MINUTES - 1) * MINUTE_MS;
  const inTime = { minute: { $gte: new Date(first), $lte: new Date(last) } };
  const found = (await query((documents) =>
    documents
      .find(inTime as object)
      .project({ _id: 0, applied: 0 })
      .toArray(),
  )) as unknown as PulseDocument[];
  const minutes = Array.from({ length: MINUTES }, (_, index) => nothingIn(new Date(first + index * MINUTE_MS)));
  const outcomes = new Map<string, number>();
  for (const { minute, outcomes: ended, ...counts } of found) {
    const sum = minutes[(minute.getTime() - first) / MINUTE_MS];
    if (sum !== undefined) for (const name of counted) sum[name] += counts[name];
    for (const { outcome, orders } of ended) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + orders);
  }
  return {
    minutes,
    outcomes: [...outcomes]
      .map(([outcome, orders]) => ({ outcome, orders }))
      .sort((one, other) => other.orders - one.orders || (one.outcome < other.outcome ? -1 : 1)),
  };
}

const counted = ['placed', 'confirmed', 'shipped', 'completed', 'cancelled'] as const;

function nothingIn(minute: Date): Pulse['minutes'][number] {
  return { minute, placed: 0, confirmed: 0, shipped: 0, completed: 0, cancelled: 0 };
}
