import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { type Db, MongoServerError } from 'mongodb';
import type { Broker } from './broker.ts';
import { DEAD_LETTERS } from './dead-letters.ts';
import { allPartitions } from './partitions.ts';
import { collectionOf, type View } from './view.ts';
import { streamsOf } from './view-heads.ts';
import type { ViewNamed } from './view-register.ts';

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
 * Removes what is left of a build that is not followed any more: its consumers, so that nothing is delivered; its
 * collection; its dead letters, which nobody could replay. May be done again.
 */
export async function sweepBuild<Document extends object>(
  { service, broker, db }: { service: string; broker: Broker; db: Db },
  view: View<Document>,
  build: number,
): Promise<void> {
  const { consumers, streams } = broker.manager;
  const collection = collectionOf(view, build);
  const consumer = `${service}-${collection}`;
  await Promise.all(
    streamsOf(view).flatMap((stream) =>
      allPartitions.map((partition) => consumers.delete(stream, `${consumer}-${partition}`).catch(unlessMissing)),
    ),
  );
  await streams.purge(DEAD_LETTERS, { filter: `dead.${consumer}.>` }).catch(unlessMissing);
  // Last: as long as it is there, somebody sees that something is left.
  await db.dropCollection(collection).catch((error) => {
    if (!(error instanceof MongoServerError) || error.code !== NAMESPACE_NOT_FOUND) throw error;
  });
}

function unlessMissing(error: unknown): void {
  const isMissing =
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.ConsumerNotFound || error.code === STREAM_NOT_FOUND);
  if (!isMissing) throw error;
}
