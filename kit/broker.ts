import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { credentialsFrom } from './broker-credentials.ts';
import { UnavailableError } from './errors.ts';
import { isOutage } from './outages.ts';

/** A connection to the broker and what is used of it. */
export type Broker = {
  connection: NatsConnection;
  js: JetStreamClient;
  manager: JetStreamManager;
  /** Replicas of each stream that the platform declares: 3 on a cluster, else 1. */
  replicas: number;
  /** Size at which a journal refuses more, unless it declares another. */
  journalMaxBytes: number;
  /** False from the moment the connection is lost until it is back: what needs the broker can fail at once. */
  connected(): boolean;
  /** Calls back after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void;
  close(): Promise<void>;
};

export type BrokerOptions = {
  /** One or more addresses, separated by commas. */
  url: string;
  /** Path of a file with a JWT and a seed (`.creds`), or with the seed of an nkey (`SU...`) alone. */
  credentials?: string | undefined;
  /** Shown in the broker's connection list. */
  name: string;
  replicas?: number;
  journalMaxBytes?: number | undefined;
  /** How long a request to the broker may take. */
  timeoutMs?: number;
  /** How often the broker is asked for a sign of life. Two that stay out end the connection, and another is made. */
  pingIntervalMs?: number;
};

const REQUEST_TIMEOUT_MS = 1_500;
const JOURNAL_MAX_BYTES = 8 * 1024 ** 3;
/**
 * The library's two minutes would leave a process for five of them on a connection that leads nowhere. Others of a cluster
 * take 4 to 9 s to elect another leader for a node that hangs; who is connected to that node is to be elsewhere by then.
 */
const PING_INTERVAL_MS = 2_000;

/**
 * Connects; keeps on reconnecting for ever once connected. Rejects where nobody answers at the address.
 * @throws SettingsError for credentials that are none.
 */
export async function connectBroker(options: BrokerOptions): Promise<Broker> {
  const timeout = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
  const connection = await connect({
    servers: options.url.split(','),
    name: options.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    reconnectJitter: 100,
    timeout: 5_000,
    pingInterval: options.pingIntervalMs ?? PING_INTERVAL_MS,
    maxPingOut: 2,
    // Each request would make two errors beforehand, for their stacks: a tenth of a command's time.
    noAsyncTraces: true,
    ...(options.credentials === undefined ? {} : { authenticator: await credentialsFrom(options.credentials) }),
  });
  let connected = true;
  const listeners = new Set<() => void>();
  void (async () => {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect') connected = false;
      if (type === 'reconnect') {
        connected = true;
        for (const listener of listeners) listener();
      }
    }
  })();
  return {
    connection,
    connected: () => connected && !connection.isClosed(),
    onReconnect: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    js: jetstream(connection, { timeout }),
    manager: await jetstreamManager(connection, { timeout, checkAPI: false }),
    replicas: options.replicas ?? 1,
    journalMaxBytes: options.journalMaxBytes ?? JOURNAL_MAX_BYTES,
    close: async () => {
      if (!connection.isClosed()) await connection.close();
    },
  };
}

/**
 * The broker's answer to a request.
 * @throws UnavailableError where it is away, or does not answer in time.
 */
export async function answered<Answer>(broker: Broker, request: () => Promise<Answer>): Promise<Answer> {
  if (!broker.connected()) throw new UnavailableError('the broker is away');
  try {
    return await request();
  } catch (error) {
    if (isOutage(error)) throw new UnavailableError('the broker does not answer', { cause: error });
    throw error;
  }
}
