import { setTimeout as delay } from 'node:timers/promises';
import type { Broker } from './broker.ts';
import type { Database } from './database.ts';
import type { Journal } from './journal.ts';
import type { PersonalData } from './personal-data.ts';
import type { Door } from './rpc/door.ts';
import type { ServiceDescription } from './service-descriptions.ts';

/** What a part of the platform says of itself. Not ready: it can't do its work now, for these reasons. */
export type Health = { ready: boolean; reasons: string[] };

/** A service as its composition root makes it: what it offers, and how it is started and stopped. */
export type Service = {
  name: string;
  doors: Door[];
  /** Ready to answer when it resolves. Rejects with a message for the operator. */
  start(): Promise<void>;
  /** Drains: takes nothing new, finishes what it holds, then closes. May be called in any state. */
  stop(): Promise<void>;
  health(): Promise<Health>;
  /** What it says, what it listens to and what it asks: its permissions at the broker are made from it. */
  describe(): ServiceDescription;
};

/**
 * Whether a service can take commands and answer queries now: it asks the broker, which must have room for events and
 * for customers' keys, and the database.
 * @param journal undefined: the service only reads, and needs no room.
 */
export async function healthOf(
  { broker, db, personalData }: { broker: Broker; db: Database['db']; personalData: PersonalData },
  journal: Journal | undefined,
  parts: readonly { health(): Health }[],
): Promise<Health> {
  const room =
    journal === undefined
      ? []
      : [
          problem(`journal ${journal.stream}`, journal.requireRoom()),
          problem("customers' keys", personalData.requireRoom()),
        ];
  const asked = await Promise.all([...room, problem('database', db.command({ ping: 1 }))]);
  const reasons = [...broker.refusals(), ...asked.flat(), ...parts.flatMap((part) => part.health().reasons)];
  return { ready: reasons.length === 0, reasons };
}

async function problem(what: string, request: Promise<unknown>): Promise<string[]> {
  try {
    await request;
    return [];
  } catch (error) {
    return [`${what}: ${error instanceof Error ? error.message : error}`];
  }
}

const READY_TIMEOUT_MS = 5_000;
const READY_INTERVAL_MS = 20;

/**
 * Waits until all is ready, so that whoever is told "ready" can call at once; not for long, because a part that is
 * away when a process starts is no reason not to start. Answers with how it stands then.
 */
export async function becomesReady(
  health: () => Promise<Health>,
  timeoutMs: number = READY_TIMEOUT_MS,
): Promise<Health> {
  const latest = performance.now() + timeoutMs;
  let found = await health();
  while (!found.ready && performance.now() < latest) {
    await delay(READY_INTERVAL_MS);
    found = await health();
  }
  return found;
}
