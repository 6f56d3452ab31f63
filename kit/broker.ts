import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, createInbox, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { credentialsFrom } from './broker-credentials.ts';
import { UnavailableError } from './errors.ts';
import { isOutage } from './outages.ts';
import type { Logger } from './telemetry/logging.ts';

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
  /** A subject for answers that nobody else may read: `_INBOX.<name>.<random>`. */
  inbox(): string;
  /** What the broker refused in the last minute, in words: it does not let this user do what the program has to. */
  refusals(): string[];
  /** Calls back with each refusal, until the returned function is called. */
  onRefusal(listener: (refusal: PermissionViolationError) => void): () => void;
  close(): Promise<void>;
};

export type BrokerOptions = {
  /** One or more addresses, separated by commas. */
  url: string;
  /** Path of a file with a JWT and a seed (`.creds`), or with the seed of an nkey (`SU...`) alone. */
  credentials?: string | undefined;
  /** Shown in the broker's connection list, and the second token of all subjects for answers. */
  name: string;
  /** Is told what the broker refuses. */
  logger?: Logger;
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

/** A refusal of something that is done again and again is in health until it is over. */
const REFUSED_MS = 60_000;
/** Different refusals that are remembered. */
const MOST_REFUSALS = 20;

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
    inboxPrefix: inboxPrefix(options.name),
    // Each request would make two errors beforehand, for their stacks: a tenth of a command's time.
    noAsyncTraces: true,
    ...(options.credentials === undefined ? {} : { authenticator: await credentialsFrom(options.credentials) }),
  });
  let connected = true;
  const listeners = new Set<() => void>();
  const refusals = new Refusals(options.logger);
  void (async () => {
    for await (const status of connection.status()) {
      const { type } = status;
      if (type === 'error' && status.error instanceof PermissionViolationError) refusals.add(status.error);
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
    inbox: () => createInbox(inboxPrefix(options.name)),
    refusals: () => refusals.latest(),
    onRefusal: (listener) => refusals.on(listener),
    js: jetstream(connection, { timeout }),
    manager: await jetstreamManager(connection, { timeout, checkAPI: false }),
    replicas: options.replicas ?? 1,
    journalMaxBytes: options.journalMaxBytes ?? JOURNAL_MAX_BYTES,
    close: async () => {
      if (!connection.isClosed()) await connection.close();
    },
  };
}

/** Where the answers to a user of this name arrive; what can't stand in a subject is left out. */
function inboxPrefix(name: string): string {
  return `_INBOX.${name.replaceAll(/[^A-Za-z0-9_-]+/g, '-')}`;
}

/** What the broker does not let us do: nothing of it is silent. */
class Refusals {
  readonly #logger: Logger | undefined;
  readonly #listeners = new Set<(refusal: PermissionViolationError) => void>();
  /** When each was last seen, the latest last. */
  readonly #seen = new Map<string, number>();

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  add(refusal: PermissionViolationError): void {
    const { operation, subject } = refusal;
    const words = wordsOf(refusal);
    // Once a minute is enough of one that is tried again and again.
    if (!this.latest().includes(words)) {
      this.#logger?.error(
        { operation, subject },
        'the broker refuses it: this user may not do what the program has to',
      );
    }
    this.#seen.delete(words);
    this.#seen.set(words, performance.now());
    if (this.#seen.size > MOST_REFUSALS) this.#seen.delete(this.#seen.keys().next().value ?? '');
    for (const listener of this.#listeners) listener(refusal);
  }

  latest(): string[] {
    const from = performance.now() - REFUSED_MS;
    return [...this.#seen].flatMap(([words, at]) => (at > from ? [words] : []));
  }

  on(listener: (refusal: PermissionViolationError) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function wordsOf({ operation, subject }: PermissionViolationError): string {
  return `the broker refuses ${operation === 'publish' ? 'to publish to' : 'to subscribe to'} ${subject}`;
}

/** The refusal that an error comes from, also where the client wrapped it. */
function refusalIn(error: unknown): PermissionViolationError | undefined {
  if (error instanceof PermissionViolationError) return error;
  return error instanceof Error && error.cause instanceof PermissionViolationError ? error.cause : undefined;
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
    const refusal = refusalIn(error);
    if (refusal !== undefined) throw new UnavailableError(wordsOf(refusal), { cause: error });
    if (isOutage(error)) throw new UnavailableError('the broker does not answer', { cause: error });
    throw error;
  }
}
