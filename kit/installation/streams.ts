import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { answered, type Broker } from '../broker.ts';
import { DEAD_LETTERS, deadLetterStream } from '../dead-letters.ts';
import { customerKeysStream } from '../personal-data.ts';
import { readDescriptions, type ServiceDescription } from '../service-descriptions.ts';
import { drift, journalStream, NOTICES, PUBLIC, type StreamDeclaration } from '../streams.ts';

/** A stream as the broker has it. */
export type InstalledStream = {
  name: string;
  /** The service whose journal it is; empty where it belongs to the platform. */
  service: string;
  subjects: string[];
  messages: number;
  bytes: number;
  /** 0: no limit. */
  maxBytes: number;
  firstSequence: number;
  lastSequence: number;
  firstAt: Date | undefined;
  lastAt: Date | undefined;
  /** 0: for ever. */
  maxAgeMs: number;
  /** How long the broker knows a message id again. */
  dedupWindowMs: number;
  replicas: number;
  /** Replicas that are not up to date, or not there. */
  replicasBehind: number;
  /** Where it differs from what is declared. Of what nobody declares: nothing. */
  drift: string[];
};

/** Streams as the platform declares them: its own, and every service's that ever started here. */
function declaredStreams(
  broker: Pick<Broker, 'replicas' | 'journalMaxBytes'>,
  descriptions: readonly ServiceDescription[],
): StreamDeclaration[] {
  const journals = [NOTICES, PUBLIC, ...descriptions.flatMap((each) => each.journals)];
  return [
    ...new Map(journals.map((journal) => [journal.stream, journalStream(journal, broker)])).values(),
    deadLetterStream(broker.replicas),
    customerKeysStream(broker.replicas),
  ];
}

/**
 * All streams of the broker, by name.
 * @throws UnavailableError where it is away.
 */
export async function installedStreams(broker: Broker): Promise<InstalledStream[]> {
  const [descriptions, infos] = await Promise.all([readDescriptions(broker), streamInfos(broker)]);
  return streamsFrom(broker, descriptions, infos);
}

function streamInfos(broker: Broker): Promise<StreamInfo[]> {
  return answered(broker, async () => {
    const infos: StreamInfo[] = [];
    for await (const info of broker.manager.streams.list()) infos.push(info);
    return infos;
  });
}

function streamsFrom(
  broker: Pick<Broker, 'replicas' | 'journalMaxBytes'>,
  descriptions: readonly ServiceDescription[],
  infos: readonly StreamInfo[],
): InstalledStream[] {
  const declared = new Map(declaredStreams(broker, descriptions).map((each) => [each.name, each]));
  const owners = new Map(
    descriptions.flatMap(({ service, journals }) => journals.map(({ stream }) => [stream, service])),
  );
  for (const { stream } of [NOTICES, PUBLIC]) owners.delete(stream);
  return infos
    .map((info) => streamFrom(info, owners.get(info.config.name) ?? '', declared.get(info.config.name)))
    .sort((one, other) => one.name.localeCompare(other.name));
}

function streamFrom(
  { config, state, cluster }: StreamInfo,
  service: string,
  declared: StreamDeclaration | undefined,
): InstalledStream {
  const isEmpty = state.messages === 0;
  return {
    name: config.name,
    service,
    subjects: config.subjects ?? [],
    messages: state.messages,
    bytes: state.bytes,
    maxBytes: Math.max(0, config.max_bytes),
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    firstAt: isEmpty ? undefined : new Date(state.first_ts),
    lastAt: isEmpty ? undefined : new Date(state.last_ts),
    maxAgeMs: config.max_age / 1_000_000,
    dedupWindowMs: (config.duplicate_window ?? 0) / 1_000_000,
    replicas: config.num_replicas,
    replicasBehind: cluster?.replicas?.filter(({ current, offline }) => !current || offline === true).length ?? 0,
    drift: declared === undefined ? [] : drift(declared, config as Partial<StreamConfig>),
  };
}

/** Whether a stream holds events that consumers follow: not the broker's buckets, nor what was parked. */
export function isFollowed({ name }: { name: string }): boolean {
  return !name.startsWith('KV_') && !name.startsWith('OBJ_') && name !== DEAD_LETTERS;
}
