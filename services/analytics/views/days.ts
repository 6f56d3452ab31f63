import { invalid } from '#kit/errors.ts';

/** First and last day, such as `2026-11-24`, UTC. Their texts sort as the days do. */
export type Days = { from: string; to: string };

const DAY_MS = 24 * 60 * 60 * 1_000;
const DEFAULT_DAYS = 30;

/** The day of a moment, UTC. */
export function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10);
}

/**
 * The days that a request asks for; left out: the 30 that end with today, or with the one that is given.
 * @throws CallError INVALID_ARGUMENT
 */
export function daysAsked({ from, to }: Days, now: Date, atMost: number): Days {
  const last = to === '' ? now.getTime() : startOf('to', to);
  const first = from === '' ? last - (DEFAULT_DAYS - 1) * DAY_MS : startOf('from', from);
  const days = { from: dayOf(new Date(first)), to: dayOf(new Date(last)) };
  if (days.from > days.to) throw invalid('from', 'is after the last day');
  if ((startOf('to', days.to) - startOf('from', days.from)) / DAY_MS >= atMost) {
    throw invalid('from', `at most ${atMost} days can be asked for`);
  }
  return days;
}

function startOf(field: string, day: string): number {
  const start = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(start.getTime()) || dayOf(start) !== day) throw invalid(field, 'is no day');
  return start.getTime();
}
