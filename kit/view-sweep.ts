import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { type Db, MongoServerError } from 'mongodb';
import type { Broker } from './broker.ts';
import { countLetters, DEAD_LETTERS } from './dead-letters.ts';
import { allPartitions } from './partitions.ts';
import { findStream } from './streams.ts';
import { collectionOf, type View } from './view.ts';
import { streamsOf } from './view-heads.ts';
import { BUILD_SLOTS, liveBuilds, slotOf, type ViewNamed, type ViewRegister } from './view-register.ts';

const NAMESPACE_NOT_FOUND = 26;
/** The server's error code (nats-server, errors.json). */
const STREAM_NOT_FOUND = 10_059;

/** The builds of a version of a view that have a collection, whether a register knows of them or not. */
export async function buildsIn(db: Db, view: ViewNamed): Promise<number[]> {
  const [first, ofOthers] = [collectionOf(view), `${collectionOf(view)}_b`];
  const found = await db.listCollections({}, { nameOnly: true }).toArray();
  return found.flatMap(({ name }) => {
    if (name === first) return 1;
    return name.startsWith(ofOthers) ? Number(name.slice(ofOthers.length)) : [];
  });
}

/**
 * Removes what is left of the builds of a view that its register has no more: their consumers, so that nothing is
 * delivered; their dead letters, which nobody could replay; their collections. May be done again, and late: what was
 * parked since by a build that has taken over the slot of one that was left stays.
 */
export async function sweepViews<Document extends object>(
  parts: { service: string; broker: Broker; db: Db },
  view: View<Document>,
  registerNow: () => Promise<ViewRegister>,
): Promise<void> {
  const { service, broker, db } = parts;
  // In this order: what a build parks that is not in the register yet comes behind it.
  const parkedUpTo = (await findStream(broker.manager, DEAD_LETTERS))?.state.last_seq ?? 0;
  const there = await buildsIn(db, view);
  const register = await registerNow();
  const live = liveBuilds(register);
  const left = there.filter((build) => build < register.next && live.every((entry) => entry.build !== build));
  const slots = new Set([...BUILD_SLOTS, ...left]);
  for (const entry of live) slots.delete(slotOf(entry));
  const names = [...slots].map((slot) => `${service}-${collectionOf(view, slot)}`);
  const [parked] = await Promise.all([
    parkedUnder(broker, names),
    ...streamsOf(view).map((stream) => deleteConsumers(broker, stream, names)),
  ]);
  for (const name of parked) {
    await broker.manager.streams.purge(DEAD_LETTERS, { filter: `dead.${name}.>`, seq: parkedUpTo + 1 });
  }
  // Last: as long as they are there, somebody sees that something is left.
  for (const build of left) await db.dropCollection(collectionOf(view, build)).catch(unlessGone);
}

async function deleteConsumers({ manager }: Broker, stream: string, names: readonly string[]): Promise<void> {
  const unwanted = new Set(names.flatMap((name) => allPartitions.map((partition) => `${name}-${partition}`)));
  const found: string[] = [];
  for await (const { name } of manager.consumers.list(stream)) if (unwanted.has(name)) found.push(name);
  await Promise.all(found.map((name) => manager.consumers.delete(stream, name).catch(unlessMissing)));
}

/** Of these consumers, those that have parked something. */
async function parkedUnder(broker: Broker, names: readonly string[]): Promise<string[]> {
  const counts = await Promise.all(names.map((name) => countLetters(broker, `dead.${name}.>`).catch(noLetters)));
  return names.filter((_, index) => (counts[index]?.size ?? 0) > 0);
}

/** Before anything was parked there may be no stream. */
function noLetters(error: unknown): Map<string, number> {
  if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return new Map();
  throw error;
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.ConsumerNotFound) throw error;
}

function unlessGone(error: unknown): void {
  if (!(error instanceof MongoServerError) || error.code !== NAMESPACE_NOT_FOUND) throw error;
}
