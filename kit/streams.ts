import { isDeepStrictEqual } from 'node:util';
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  PersistMode,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';

const STREAM_NOT_FOUND = 10059;

/** A stream as the platform declares it: every setting that its guarantees hang on. */
export type StreamDeclaration = Partial<StreamConfig> & { name: string; subjects: string[] };

/** A service's journal: one stream, its subjects, its limit. */
export type JournalDeclaration = {
  /** The service that owns it and first token of its subjects, such as `orders`. */
  service: string;
  /** Name of the stream, such as `ORDERS`. */
  stream: string;
  /** Size at which the stream refuses more. An alarm is raised at 80 %. */
  maxBytes: number;
};

const GIGABYTE = 1024 ** 3;

/** Declares a service's journal; the stream is the service's name in capitals. */
export function journalOf(service: string, maxBytes: number = 8 * GIGABYTE): JournalDeclaration {
  return { service, stream: service.toUpperCase(), maxBytes };
}

/**
 * The stream behind a journal. Nothing in it may be deleted, purged, rolled up, expired or scheduled: with message
 * schedules the server silently allows purge and roll-up again.
 */
export function journalStream({ service, stream, maxBytes }: JournalDeclaration, replicas: number): StreamDeclaration {
  return {
    name: stream,
    subjects: [`${service}.event.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_bytes: maxBytes,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    max_msg_size: -1,
    num_replicas: replicas,
    allow_direct: true,
    deny_delete: true,
    deny_purge: true,
    allow_rollup_hdrs: false,
    allow_msg_ttl: false,
    allow_msg_schedules: false,
    sealed: false,
    no_ack: false,
    // What is acknowledged has been written, not only taken on.
    persist_mode: PersistMode.Default,
    duplicate_window: 2 * 60 * 1_000_000_000,
    republish: { src: `${service}.event.>`, dest: `live.${service}.event.>` },
  };
}

/** A stream is not as it was declared. The service must not start on it. */
export class StreamDriftError extends Error {
  override name = 'StreamDriftError';
}

/** Where the effective configuration differs from the declared one; a setting the server leaves out counts as off. */
export function drift(declared: StreamDeclaration, effective: Partial<StreamConfig>): string[] {
  return Object.entries(declared)
    .filter(([name, value]) => !isDeepStrictEqual(orOff(effective[name as keyof StreamConfig]), orOff(value)))
    .map(
      ([name, value]) =>
        `${name} is ${JSON.stringify(effective[name as keyof StreamConfig])}, not ${JSON.stringify(value)}`,
    );
}

function orOff(value: unknown): unknown {
  return value === undefined || value === 0 || value === PersistMode.Default ? false : value;
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
  try {
    return (await manager.streams.info(declared.name)).config;
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NOT_FOUND) throw error;
    return (await manager.streams.add(declared)).config;
  }
}
