import { LRUCache } from 'lru-cache';
import { CallError } from '../errors.ts';

/** Who may call how often, and have how many streams open at a time. */
export type CallLimit = {
  /** @throws CallError RESOURCE_EXHAUSTED with the time after which a call will be heard. */
  admit(caller: string): void;
  /**
   * Counts a stream of the caller until the returned function is called, once or more often.
   * @throws CallError RESOURCE_EXHAUSTED where that would be one too many.
   */
  open(caller: string): () => void;
};

export const unlimited: CallLimit = { admit: () => {}, open: () => () => {} };

export type CallLimitOptions = {
  /** Calls per second and caller, on average; 0: no limit. */
  perSecond: number;
  streamsPerCaller: number;
  /** In milliseconds, and never going back. */
  now?: () => number;
};

/** How long a caller may have been quiet for the calls that it can make at once. */
const BURST_SECONDS = 2;
/** Who has been quiet for longest is forgotten first, and has a full bucket most likely. */
const REMEMBERED_CALLERS = 100_000;

/** So many calls per second and caller, in bursts of twice that (a bucket of tokens for each), and so many streams. */
export function callLimit({ perSecond, streamsPerCaller, now = () => performance.now() }: CallLimitOptions): CallLimit {
  const buckets = new LRUCache<string, { tokens: number; at: number }>({ max: REMEMBERED_CALLERS });
  const streams = new Map<string, number>();
  const full = perSecond * BURST_SECONDS;
  return {
    admit(caller) {
      if (perSecond === 0) return;
      const at = now();
      const before = buckets.get(caller);
      const tokens =
        before === undefined ? full : Math.min(full, before.tokens + ((at - before.at) / 1_000) * perSecond);
      buckets.set(caller, { tokens: tokens < 1 ? tokens : tokens - 1, at });
      if (tokens >= 1) return;
      throw new CallError('RESOURCE_EXHAUSTED', `more than ${perSecond} calls a second`, {
        reason: 'TOO_MANY_CALLS',
        retryAfterMs: Math.ceil(((1 - tokens) / perSecond) * 1_000),
      });
    },
    open(caller) {
      const opened = streams.get(caller) ?? 0;
      if (opened >= streamsPerCaller) {
        throw new CallError('RESOURCE_EXHAUSTED', `more than ${streamsPerCaller} streams open at a time`, {
          reason: 'TOO_MANY_STREAMS',
        });
      }
      streams.set(caller, opened + 1);
      let isOpen = true;
      return () => {
        if (!isOpen) return;
        isOpen = false;
        const left = (streams.get(caller) ?? 0) - 1;
        if (left > 0) streams.set(caller, left);
        else streams.delete(caller);
      };
    },
  };
}
