import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import { CallError } from '../errors.ts';

/** Who may call how often. */
export type CallLimit = { admit(caller: string): Promise<void> | undefined };

export const unlimited: CallLimit = { admit: () => undefined };

/**
 * So many calls per second and caller, in bursts of twice that.
 * @param perSecond 0: no limit.
 */
export function callLimit(perSecond: number): CallLimit {
  if (perSecond === 0) return unlimited;
  const limiter = new RateLimiterMemory({ points: perSecond * 2, duration: 2 });
  return {
    async admit(caller) {
      try {
        await limiter.consume(caller);
      } catch (refused) {
        throw new CallError('RESOURCE_EXHAUSTED', `more than ${perSecond} calls a second`, {
          reason: 'TOO_MANY_CALLS',
          retryAfterMs: Math.max(1, (refused as RateLimiterRes).msBeforeNext),
        });
      }
    },
  };
}
