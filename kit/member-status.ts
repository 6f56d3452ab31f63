import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Health } from './lifecycle.ts';

/** A message that could not be handled yet, and is tried again. */
export type Retry = {
  /** Without the partition. */
  consumer: string;
  partition: number;
  key: string;
  eventId: string;
  eventType: string;
  /** Attempts that were made. */
  attempts: number;
  error: string;
  /** In ms since 1970, by the clock of the machine. */
  nextAttemptAt: number;
};

/** A partition, and since when it is owned, in ms since 1970. */
export type OwnedSince = { partition: number; since: number };

/** How a member of a service is, in its own words: on the wire as JSON. Times are in ms since 1970. */
export type MemberStatus = Health & {
  host: string;
  startedAt: number;
  /** Its clock when it answered. */
  now: number;
  partitions: readonly number[];
  /** The same ones, with since when; a program of before does not say. */
  owned?: readonly OwnedSince[];
  /** At most a hundred. */
  retrying: readonly Retry[];
};

const MAX_RETRIES = 100;
const MAX_ERROR_LENGTH = 500;
const MAX_REASONS = 20;
/** Who asks does not wait long. What health waits for is what is away. */
const HEALTH_TIMEOUT_MS = 600;

const startedAt = Date.now() - performance.now();

/** Says how a member is, soon: also where its health takes long to find out. */
export async function memberStatus(
  health: () => Promise<Health>,
  { owned, retrying, clock }: { owned: readonly OwnedSince[]; retrying: readonly Retry[]; clock: () => Date },
): Promise<MemberStatus> {
  const { ready, reasons } = await soon(health);
  return {
    ready,
    reasons: reasons.slice(0, MAX_REASONS).map(shortened),
    host: hostname(),
    startedAt: Math.round(startedAt),
    now: clock().getTime(),
    partitions: owned.map(({ partition }) => partition),
    owned,
    retrying: retrying.slice(0, MAX_RETRIES).map((retry) => ({ ...retry, error: shortened(retry.error) })),
  };
}

async function soon(health: () => Promise<Health>): Promise<Health> {
  const silence = new AbortController();
  try {
    return await Promise.race([
      health(),
      delay(HEALTH_TIMEOUT_MS, undefined, { signal: silence.signal }).then(() => ({
        ready: false,
        reasons: [`its health is not known: what it asks for it has not answered in ${HEALTH_TIMEOUT_MS} ms`],
      })),
    ]);
  } catch (error) {
    return { ready: false, reasons: [error instanceof Error ? error.message : String(error)] };
  } finally {
    silence.abort();
  }
}

function shortened(text: string): string {
  return text.slice(0, MAX_ERROR_LENGTH);
}
