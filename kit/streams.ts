import { isDeepStrictEqual } from 'node:util';
import {
  type ClusterInfo,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  PersistMode,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { answered, type Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';

/** The server's error codes (nats-server, errors.json). */
const STREAM_NOT_FOUND = 10059;
const STREAM_IS_FULL = 10077;

/** A stream as the platform declares it: every setting that its guarantees hang on. */
export type StreamDeclaration = Partial<StreamConfig> & { name: string; subjects: string[] };

/**
 * What every stream of the platform has unless it declares something else. A stream that copies, changes or counts
 * what comes in, or gives its messages or consumers an end, does not hold what was published.
 */
const UNLESS_DECLARED: Partial<Record<keyof StreamConfig, unknown>> = {
  max_age: 0,
  max_msgs: -1,
  max_msgs_per_subject: -1,
  max_msg_size: -1,
  max_consumers: -1,
  discard_new_per_subject: false,
  mirror: false,
  sources: false,
  subject_transform: false,
  consumer_limits: false,
  allow_msg_counter: false,
  allow_msg_ttl: false,
  allow_msg_schedules: false,
  subject_delete_marker_ttl: 0,
  sealed: false,
  no_ack: false,
  // What is acknowledged has been written, not only taken on.
  persist_mode: PersistMode.Default,
};

/** A service's journal: one stream, its subjects, its limit. */
export type JournalDeclaration = {
  /** The service that owns it and first token of its subjects, such as `orders`. */
  service: string;
  /** Name of the stream, such as `ORDERS`. */
  stream: string;
  /** Size at which the stream refuses more, where it is another than the platform's journals have. */
  maxBytes?: number;
  /** How long a message is kept; left out: for ever, as in every service's journal. */
  maxAgeMs?: number;
};

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Notification events of all services: what was said and is soon forgotten. */
export const NOTICES: JournalDeclaration = { service: 'notices', stream: 'NOTICES', maxAgeMs: DAY_MS };

/** Integration events: the published language. Who reads it from outside has a month to come back. */
export const PUBLIC: JournalDeclaration = { service: 'public', stream: 'PUBLIC', maxAgeMs: 30 * DAY_MS };

/** Declares a service's journal; the stream is the service's name in capitals, `GIFT_CARDS` of `gift-cards`. */
export function journalOf(service: string, maxBytes?: number): JournalDeclaration {
  return {
    service,
    stream: service.toUpperCase().replaceAll('-', '_'),
    ...(maxBytes === undefined ? {} : { maxBytes }),
  };
}

/**
 * The stream behind a journal. Nothing in it may be deleted, purged, rolled up, expired or scheduled: with message
 * schedules the server silently allows purge and roll-up again.
 */
export function journalStream(
  { service, stream, maxBytes, maxAgeMs = 0 }: JournalDeclaration,
  { replicas, journalMaxBytes }: Pick<Broker, 'replicas' | 'journalMaxBytes'>,
): StreamDeclaration {
  return {
    name: stream,
    subjects: [`${service}.event.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_bytes: maxBytes ?? journalMaxBytes,
    max_age: maxAgeMs * 1_000_000,
    num_replicas: replicas,
    allow_direct: true,
    deny_delete: true,
    deny_purge: true,
    allow_rollup_hdrs: false,
    duplicate_window: 2 * 60 * 1_000_000_000,
    republish: { src: `${service}.event.>`, dest: `live.${service}.event.>` },
  };
}

/** A stream is not as it was declared. The service must not start on it. */
export class StreamDriftError extends Error {
  override name = 'StreamDriftError';
}

/**
 * Where the effective configuration differs from the declared one; a setting the server leaves out counts as off. More
 * room than declared is no difference: an operator may have given it while the platform ran.
 */
export function drift(declared: StreamDeclaration, effective: Partial<StreamConfig>): string[] {
  return Object.entries({ ...UNLESS_DECLARED, ...declared }).flatMap(([name, value]) => {
    const found = effective[name as keyof StreamConfig];
    const isMoreRoom = name === 'max_bytes' && typeof found === 'number' && found > Number(value);
    if (isMoreRoom || isDeepStrictEqual(orOff(found), orOff(value))) return [];
    return [
      `${name} is ${JSON.stringify(found)}, not ${JSON.stringify(value)}${name === 'max_bytes' ? ' or more' : ''}`,
    ];
  });
}

function orOff(value: unknown): unknown {
  const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  return value === undefined || value === 0 || value === -1 || value === PersistMode.Default || isEmpty ? false : value;
}

/**
 * Creates the stream where it is missing, then compares what the server has with what is declared.
 * @throws StreamDriftError naming each setting that differs.
 */
export async function ensureStream(manager: JetStreamManager, declared: StreamDeclaration): Promise<void> {
  const effective = await readOrCreate(manager, declared);
  const differences = drift(declared, effective);
  if (differences.length > 0) {
    throw new StreamDriftError(`stream ${declared.name} is not as declared: ${differences.join('; ')}`);
  }
}

async function readOrCreate(manager: JetStreamManager, declared: StreamDeclaration): Promise<StreamConfig> {
  return ((await findStream(manager, declared.name)) ?? (await manager.streams.add(declared))).config;
}

/** What the broker knows of a stream; undefined where there is none. */
export async function findStream(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NOT_FOUND) throw error;
    return undefined;
  }
}

/** The stream takes nothing more, and loses nothing that it has, until it is given more room. */
export class StreamFullError extends UnavailableError {
  override name = 'StreamFullError';
}

/** Whether the server refused a message because its stream is full; also where its word came wrapped. */
export function isStreamFull(error: unknown): boolean {
  const refusal = error instanceof UnavailableError ? error.cause : error;
  return refusal instanceof JetStreamApiError && refusal.code === STREAM_IS_FULL;
}

/** The body and headers of an event fit in, whatever it says: headers end at 64 KiB, and commands are bounded. */
const ROOM_FOR_AN_EVENT = 128 * 1024;

/**
 * Asks how full a stream is.
 * @throws StreamFullError where there is no room for another event; UnavailableError where the broker does not answer.
 */
export async function requireRoom(broker: Broker, stream: string): Promise<void> {
  const { config, state } = await answered(broker, () => broker.manager.streams.info(stream));
  if (config.max_bytes > 0 && state.bytes + ROOM_FOR_AN_EVENT > config.max_bytes) {
    throw new StreamFullError(`${stream} is full: it holds ${state.bytes} of ${config.max_bytes} bytes`);
  }
}

/** Half of the time for which a replica waits before it stands for election (nats-server, raft.go: 4 s). */
const FOLLOWED_WITHIN_NS = 2_000_000_000;

/**
 * Whether who says this of a stream led it then, and leads it still when this is heard: most replicas have answered it just
 * now, and none of those elects another so soon. One that slept does not know that it was replaced, but sees their silence.
 */
export function isFollowed(cluster: ClusterInfo | undefined): boolean {
  const { leader = '', replicas = [] } = cluster ?? {};
  const following = replicas.filter(
    // 0: never heard of.
    ({ active, offline }) => !offline && active > 0 && active < FOLLOWED_WITHIN_NS,
  );
  return leader !== '' && (following.length + 1) * 2 > replicas.length + 1;
}
