import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import type { Broker } from '#kit/broker.ts';
import { CallError, PermanentError } from '#kit/errors.ts';
import { Header, readEvent, type StoredMessage } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { LiveEvents } from '#kit/live.ts';
import { isOutage } from '#kit/outages.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import type { PersonalData } from '#kit/personal-data.ts';
import type { Projection } from '#kit/projection.ts';
import {
  type HistoryDocument,
  historyOf,
  historySources,
  historyView,
  type PastEvent,
  pastEvent,
} from './history-view.ts';

/** Between two tries to read the history after an interruption. */
const RETRY_MS = 200;

export type WatchParts = { broker: Broker; personalData: PersonalData; history: Projection<HistoryDocument> };

/**
 * An order's history so far, then each event as it is stored; each once, none missed. The live subscription begins
 * before the history is read, and what both have is told apart by its id. After an interruption, or where an
 * aggregate's version skips one, the history is read again.
 * @throws CallError NOT_FOUND for an order that does not exist or may not be seen.
 */
export async function* watchOrder(
  { broker, personalData, history }: WatchParts,
  orderId: string,
  maySee: (customerId: string) => boolean,
  signal: AbortSignal,
): AsyncGenerator<PastEvent> {
  const live = new LiveEvents(broker, { key: orderId }, signal);
  const seen = new Set<string>();
  const versions = new Map<string, number>();
  const unseen = (events: readonly PastEvent[]) => events.filter(({ id }) => !seen.has(id));
  const remember = (event: PastEvent) => {
    seen.add(event.id);
    const aggregate = aggregateOf(event);
    versions.set(aggregate, Math.max(event.version, versions.get(aggregate) ?? 0));
    return event;
  };
  for (const event of await historySoFar(broker, history, orderId, maySee, signal)) yield remember(event);
  for await (const message of live) {
    const event = 'missed' in message ? undefined : await liveEvent(message, personalData);
    if (event !== undefined && seen.has(event.id)) continue;
    const known = event === undefined ? 0 : (versions.get(aggregateOf(event)) ?? 0);
    if (event !== undefined && event.version === known + 1) {
      yield remember(event);
      continue;
    }
    const again = await onceThere(() => historySoFar(broker, history, orderId, maySee, signal), signal);
    for (const missed of unseen(again)) yield remember(missed);
  }
}

function aggregateOf({ stream, aggregate }: PastEvent): string {
  return `${stream} ${aggregate}`;
}

/** What is asked for, asked for again while a part of the platform is away: who watches waits for it. */
async function onceThere<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isLate = error instanceof CallError && error.code === 'DEADLINE_EXCEEDED';
      if (signal.aborted || !(isOutage(error) || isLate)) throw error;
    }
    await delay(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}

/** The history, not older than what the journals hold now. */
async function historySoFar(
  broker: Broker,
  history: Projection<HistoryDocument>,
  orderId: string,
  maySee: (customerId: string) => boolean,
  signal: AbortSignal,
): Promise<PastEvent[]> {
  const heads = await Promise.all(
    historySources.map(async ({ journal, aggregate }) => {
      const last = await new Journal(journal, broker).lastOnLeader(subjectOf(journal.service, aggregate, orderId));
      return last === undefined ? [] : [last];
    }),
  );
  const positions = heads
    .flat()
    .map(({ stream, sequence }) =>
      create(PositionSchema, { stream, sequence: BigInt(sequence), partition: partitionOf(orderId) }),
    );
  return historyOf(await history.reached(positions, signal), orderId, maySee);
}

/** The event in a live message; undefined where only the history can say what happened. */
async function liveEvent(message: StoredMessage, personalData: PersonalData): Promise<PastEvent | undefined> {
  if (!historyView.types.knows(message.headers.get(Header.type))) return undefined;
  try {
    return pastEvent(await readEvent(message, historyView.types, personalData));
  } catch (error) {
    if (error instanceof PermanentError) return undefined;
    throw error;
  }
}
