import { setTimeout as delay } from 'node:timers/promises';
import { type Db, MongoClient } from 'mongodb';
import { UnavailableError } from './errors.ts';
import { isOutage } from './outages.ts';
import { inDatabaseSpan } from './telemetry/tracing.ts';

/** A service's database, and how the client to it is closed. */
export type Database = { db: Db; close(): Promise<void> };

/** A caller gets its answer within 2 s where the database is away. */
const SELECTION_TIMEOUT_MS = 1_200;
const QUERY_TIMEOUT_MS = 1_500;
/** Also of the driver's heartbeats, after which it ends every connection: a busy server is not one that is away. */
const CONNECT_TIMEOUT_MS = 5_000;
const SOCKET_TIMEOUT_MS = 10_000;
const POOL_SIZE = 20;
const RECONNECT_MS = 200;
/** Twice as long as the driver waits for anything that its heartbeats do. */
const STUCK_MS = 15_000;
/** A process that stood still looks once, however long that was. */
const LOOKS = 3;

/**
 * Connects to the database of a service: `<path of the address>_<service>`, path `causeway` where it has none.
 * A server that is away is looked for without end, from the start on; each operation then fails after 1.2 s.
 * @param options.stuckMs how long a heartbeat may take; left out: 15 s.
 */
export function connectDatabase(
  uri: string,
  service: string,
  { stuckMs = STUCK_MS }: { stuckMs?: number } = {},
): Database {
  const client = new MongoClient(uri, {
    appName: service,
    serverSelectionTimeoutMS: SELECTION_TIMEOUT_MS,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    socketTimeoutMS: SOCKET_TIMEOUT_MS,
    heartbeatFrequencyMS: 2_000,
    maxPoolSize: POOL_SIZE,
    ignoreUndefined: true,
  });
  const end = new AbortController();
  let connected = connectAtLast(client, end.signal);
  const stopWatching = watchHeartbeats(client, stuckMs, () => {
    connected = connected.then(() => client.close()).then(() => connectAtLast(client, end.signal));
  });
  return {
    db: client.db(databaseName(uri, service)),
    close: async () => {
      end.abort();
      stopWatching();
      await connected;
      await client.close();
    },
  };
}

/** A client whose first connection fails would never try again: "Topology is closed" for ever. */
async function connectAtLast(client: MongoClient, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await client.connect();
      return;
    } catch {
      await delay(RECONNECT_MS, undefined, { signal }).catch(() => {});
    }
  }
}

/**
 * The driver loses a heartbeat that it writes to a connection in the moment in which that is closed, and begins no other:
 * the database would be away for ever. Whoever is told of it has the client begin anew.
 */
function watchHeartbeats(client: MongoClient, stuckMs: number, onStuck: () => void): () => void {
  /** Servers that were asked, and how often was looked at them since. */
  const asked = new Map<string, number>();
  client.on('serverHeartbeatStarted', ({ connectionId }) => asked.set(connectionId, 0));
  client.on('serverHeartbeatSucceeded', ({ connectionId }) => asked.delete(connectionId));
  client.on('serverHeartbeatFailed', ({ connectionId }) => asked.delete(connectionId));
  client.on('serverClosed', ({ address }) => asked.delete(address));
  const timer = setInterval(() => {
    for (const [server, looks] of asked) asked.set(server, looks + 1);
    if (Math.max(...asked.values()) < LOOKS) return;
    asked.clear();
    onStuck();
  }, stuckMs / LOOKS).unref();
  return () => clearInterval(timer);
}

/**
 * What a query of a collection answers. One that hangs is not waited for: the driver itself gives up only after 10 s.
 * @throws UnavailableError where it is away, or does not answer within 1.5 s.
 */
export async function queried<Answer>(
  collection: { dbName: string; collectionName: string },
  query: () => Promise<Answer>,
): Promise<Answer> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new UnavailableError('the database does not answer')), QUERY_TIMEOUT_MS);
  try {
    return await Promise.race([inDatabaseSpan('find', collection, query), late]);
  } catch (error) {
    if (error instanceof UnavailableError || !isOutage(error)) throw error;
    throw new UnavailableError('the database is away', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Name of a service's database under an address. */
export function databaseName(uri: string, service: string): string {
  const path = new URL(uri.replace(/^mongodb(\+srv)?:/, 'http:').replace(/,[^/]*/, '')).pathname.slice(1);
  return `${path === '' ? 'causeway' : path}_${service}`;
}
