import { type Duration, durationMs, type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { useSyncExternalStore } from 'react';

const TICK_MS = 1_000;
const listeners = new Set<() => void>();
let now = Date.now();
setInterval(() => {
  now = Date.now();
  for (const listener of listeners) listener();
}, TICK_MS);

/** The time, to the second; whoever uses it is drawn again each second. */
export function useNow(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => now,
  );
}

/** A moment, as how long ago or ahead it is, to the second; the exact one in its title. */
export function Moment({ at }: { at: Timestamp | undefined }) {
  const current = useNow();
  if (at === undefined) return null;
  const date = timestampDate(at);
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()}>
      {agoText(current - date.getTime())}
    </time>
  );
}

/** What has just happened is no time ago, and never ahead: the clock here goes by the second. */
function agoText(ms: number): string {
  if (Math.abs(ms) < TICK_MS) return 'now';
  return ms > 0 ? `${spanText(ms)} ago` : `in ${spanText(-ms)}`;
}

/** A moment's clock time, to the millisecond; the whole one in its title. */
export function Clock({ at }: { at: Timestamp | undefined }) {
  if (at === undefined) return null;
  const date = timestampDate(at);
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()}>
      {date.toLocaleTimeString(undefined, { hour12: false })}.{ms}
    </time>
  );
}

const UNITS: readonly [string, number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];

/** Such as `340 ms`, `12 s`, `3 min`. */
export function spanText(ms: number): string {
  const [unit, length] = UNITS.find(([, length]) => ms >= length) ?? ['ms', 1];
  const count = ms / length;
  return `${count < 10 && unit !== 'ms' ? Number(count.toFixed(1)) : Math.round(count)} ${unit}`;
}

export function durationText(duration: Duration | undefined): string {
  return duration === undefined ? '–' : spanText(durationMs(duration));
}
