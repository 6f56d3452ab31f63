import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Minute } from '#gen/causeway/operations/v1/flow_pb.js';

const MINUTE_MS = 60_000;

/**
 * Orders placed in the sixty seconds until `now`: what the current minute has, and of the one before as much as belongs
 * to them if it was placed evenly.
 */
export function ordersPerMinute(minutes: readonly Minute[], now: number): number {
  const current = minutes.at(-1);
  if (current?.at === undefined) return 0;
  const share = Math.min(1, Math.max(0, (now - timestampMs(current.at)) / MINUTE_MS));
  return Math.round(current.placed + (minutes.at(-2)?.placed ?? 0) * (1 - share));
}

/** Such as `0.4/s`, `12/s`, `1,200/s`; `0` where nothing moves. */
export function rateText(perSecond: number): string {
  if (perSecond < 0.05) return '0';
  const digits = perSecond < 9.95 ? 1 : 0;
  return `${perSecond.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })}/s`;
}

/** Such as `950`, `12k`, `3.4M`. */
export function shortCount(count: number): string {
  return count.toLocaleString('en', { notation: 'compact', maximumFractionDigits: 1 });
}

/** How fast a flow is drawn: a few paces, so that a rate that wavers does not make the picture twitch. */
export type Pace = 'still' | 'slow' | 'easy' | 'brisk' | 'fast' | 'rushing';

const PACES: readonly [Pace, number][] = [
  ['rushing', 100],
  ['fast', 25],
  ['brisk', 5],
  ['easy', 1],
  ['slow', 0.05],
];

export function paceOf(perSecond: number): Pace {
  return PACES.find(([, from]) => perSecond >= from)?.[0] ?? 'still';
}

/** Width of a line, in pixels: it grows with each tenfold of the rate. */
export function lineWidth(perSecond: number): number {
  return Math.round((1 + Math.log10(1 + perSecond) * 1.1) * 10) / 10;
}
