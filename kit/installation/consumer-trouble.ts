import type { ConsumerInfo } from '@nats-io/jetstream';

/** Messages that nobody takes for so long are not on their way any more. */
const TAKEN_WITHIN_MS = 15_000;
/** A handler may take its time, and tries again what failed; longer than this somebody should know. */
const FINISHED_WITHIN_MS = 120_000;

/**
 * Why a consumer makes no progress where it should; empty where it does.
 * @param before the same consumer, some time ago; what has moved since makes progress.
 * @param wasLookedAt whether there was an earlier look: what was not there then has just come.
 */
export function troubleOf(
  info: ConsumerInfo,
  lastActiveAt: Date | undefined,
  before: ConsumerInfo | undefined,
  wasLookedAt: boolean,
): string {
  const { num_pending: pending, num_ack_pending: unacknowledged } = info;
  if (wasLookedAt && (before === undefined || hasMoved(before, info))) return '';
  const now = info.ts === undefined ? Date.now() : Date.parse(info.ts);
  const quietMs = now - (lastActiveAt?.getTime() ?? Date.parse(info.created));
  if (pending > 0 && unacknowledged === 0 && quietMs > TAKEN_WITHIN_MS) {
    const nobody = info.num_waiting === 0 && !info.push_bound ? ', and nobody asks for them' : '';
    return `${pending} messages wait, and none was taken for ${inWords(quietMs)}${nobody}`;
  }
  if (unacknowledged > 0 && quietMs > FINISHED_WITHIN_MS) {
    const behind = pending > 0 ? `, with ${pending} behind` : '';
    return `${unacknowledged} messages are at hand${behind}, and none was finished for ${inWords(quietMs)}`;
  }
  return '';
}

function hasMoved(before: ConsumerInfo, now: ConsumerInfo): boolean {
  return (
    // What waits now has come since.
    (before.num_pending === 0 && before.num_ack_pending === 0) ||
    before.ack_floor.stream_seq !== now.ack_floor.stream_seq ||
    before.delivered.consumer_seq !== now.delivered.consumer_seq
  );
}

/** Such as `20 s`, `5 min` or `3 h`. */
export function inWords(durationMs: number): string {
  const seconds = durationMs / 1_000;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}
