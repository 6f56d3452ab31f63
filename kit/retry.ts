import { BusyError, CallError, type Code, PermanentError, TransientError } from './errors.ts';
import { ConflictError } from './journal.ts';
import { isOutage } from './outages.ts';

/** What an error of a handler says about its message. */
export type Verdict =
  /** It is parked at once: `FAILED` is a bug, `REFUSED` was meant. */
  | { kind: 'permanent'; reason: 'REFUSED' | 'FAILED' }
  /** The next attempt may work. */
  | { kind: 'transient' }
  /** Something that the handler needs is away, or busy. No attempt is counted. */
  | { kind: 'unavailable' };

const TRANSIENT_CODES: ReadonlySet<Code> = new Set(['ABORTED', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'CANCELLED']);

/** Judges by type, never by text. Whatever nobody foresaw is a bug. */
export function verdictOn(error: unknown): Verdict {
  if (isOutage(error) || error instanceof BusyError) return { kind: 'unavailable' };
  if (error instanceof PermanentError) return { kind: 'permanent', reason: 'REFUSED' };
  if (error instanceof TransientError || error instanceof ConflictError || isTimeout(error)) {
    return { kind: 'transient' };
  }
  if (error instanceof CallError) return verdictOnCall(error.code);
  return { kind: 'permanent', reason: 'FAILED' };
}

/** A reaction's command is answered as a caller's would be. */
function verdictOnCall(code: Code): Verdict {
  if (code === 'UNAVAILABLE') return { kind: 'unavailable' };
  if (TRANSIENT_CODES.has(code)) return { kind: 'transient' };
  return { kind: 'permanent', reason: code === 'INTERNAL' || code === 'UNIMPLEMENTED' ? 'FAILED' : 'REFUSED' };
}

/** What AbortSignal.timeout gives: somebody was asked and did not answer in time. */
function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

export type Backoff = { minMs: number; maxMs: number };

/**
 * How long to wait after the nth attempt, from 1: exponential with full jitter, so that those who failed together
 * don't come back together.
 */
export function backoffMs(attempt: number, { minMs, maxMs }: Backoff, random: () => number = Math.random): number {
  return random() * Math.min(maxMs, minMs * 2 ** (attempt - 1));
}
