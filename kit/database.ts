import { type Db, MongoClient } from 'mongodb';

/** A service's database, and how the client to it is closed. */
export type Database = { db: Db; close(): Promise<void> };

/** A caller gets its answer within 2 s where the database is away. */
const SELECTION_TIMEOUT_MS = 1_200;
const SOCKET_TIMEOUT_MS = 10_000;
const POOL_SIZE = 20;

/**
 * Connects to the database of a service: `<path of the address>_<service>`, path `causeway` where it has none.
 * The driver goes on looking for a server that is away; each operation then fails after 1.2 s.
 */
export function connectDatabase(uri: string, service: string): Database {
  const client = new MongoClient(uri, {
    appName: service,
    serverSelectionTimeoutMS: SELECTION_TIMEOUT_MS,
    connectTimeoutMS: SELECTION_TIMEOUT_MS,
    socketTimeoutMS: SOCKET_TIMEOUT_MS,
    heartbeatFrequencyMS: 2_000,
    maxPoolSize: POOL_SIZE,
    ignoreUndefined: true,
  });
  return { db: client.db(databaseName(uri, service)), close: () => client.close() };
}

/** Name of a service's database under an address. */
export function databaseName(uri: string, service: string): string {
  const path = new URL(uri.replace(/^mongodb(\+srv)?:/, 'http:').replace(/,[^/]*/, '')).pathname.slice(1);
  return `${path === '' ? 'causeway' : path}_${service}`;
}
