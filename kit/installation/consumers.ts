import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumerInfo } from '@nats-io/jetstream';
import { answered, type Broker } from '../broker.ts';
import { countLetters, rowOf } from '../dead-letters.ts';
import { allPartitions } from '../partitions.ts';
import { type ConsumerDescription, readDescriptions, type ServiceDescription } from '../service-descriptions.ts';
import { troubleOf } from './consumer-trouble.ts';
import { isFollowed } from './streams.ts';

/** One partition of a consumer, as the broker has it. */
export type InstalledPartition = {
  partition: number;
  /** Messages that it has not been given yet. */
  lag: number;
  /** Messages that it was given, and has not acknowledged yet. */
  unacknowledged: number;
  /** How many of these it may have. */
  maxUnacknowledged: number;
  redelivered: number;
  deliveredSequence: number;
  /** Messages that were delivered since it was made, or reset. */
  deliveries: number;
  acknowledgedSequence: number;
  lastActiveAt: Date | undefined;
  createdAt: Date;
  ackWaitMs: number;
  /** Whether anybody waits for its messages now. */
  isPulled: boolean;
  /** Whether the broker has no such consumer. */
  isMissing: boolean;
  /** Why it makes no progress where it should; empty where it does. */
  trouble: string;
};

/** All partitions of a consumer of one stream. */
export type InstalledConsumer = {
  /** Without the partition. */
  name: string;
  /** Empty where no service is known that it could be of. */
  service: string;
  kind: ConsumerDescription['kind'] | undefined;
  stream: string;
  eventTypes: string[];
  /** Of a reaction. */
  attemptTimeoutMs: number | undefined;
  parkedKeys: number;
  parkedMessages: number;
  partitions: InstalledPartition[];
  /** Whether it belongs to no program that runs. */
  isOrphan: boolean;
};

export type ConsumersLook = { at: number; infos: ConsumerInfo[]; consumers: InstalledConsumer[] };

/** Whoever looks once looks again after this long at what seems to stand still. */
export const SECOND_LOOK_MS = 700;

/**
 * All consumers that are described, or that the broker has under a name of a partition; by name.
 * @throws UnavailableError where the broker is away.
 */
export async function installedConsumers(broker: Broker): Promise<InstalledConsumer[]> {
  const first = await lookAtConsumers(broker);
  if (!first.consumers.some((consumer) => hasTrouble(consumer))) return first.consumers;
  await delay(SECOND_LOOK_MS);
  return (await lookAtConsumers(broker, first)).consumers;
}

/**
 * One look. What seems to stand still counts as trouble where an earlier look has seen it in the same place, or there
 * was no earlier one.
 */
export async function lookAtConsumers(broker: Broker, earlier?: ConsumersLook): Promise<ConsumersLook> {
  const [descriptions, infos, parked] = await Promise.all([
    readDescriptions(broker),
    consumerInfos(broker),
    parkedByConsumer(broker),
  ]);
  return { at: performance.now(), infos, consumers: consumersFrom(descriptions, infos, parked, earlier?.infos) };
}

async function consumerInfos(broker: Broker): Promise<ConsumerInfo[]> {
  return answered(broker, async () => {
    const streams: string[] = [];
    for await (const name of broker.manager.streams.names()) if (isFollowed({ name })) streams.push(name);
    const infos = await Promise.all(
      streams.map(async (stream) => {
        const found: ConsumerInfo[] = [];
        for await (const info of broker.manager.consumers.list(stream)) found.push(info);
        return found;
      }),
    );
    // Those without a name of ours are somebody's ordered reader: one name each, and gone soon.
    return infos.flat().filter(({ config }) => config.durable_name !== undefined);
  });
}

type Parked = Map<string, { keys: number; messages: number }>;

async function parkedByConsumer(broker: Broker): Promise<Parked> {
  const parked: Parked = new Map();
  // Before anything was parked there may be no stream.
  const counts = await countLetters(broker, 'dead.*.*.*').catch(() => new Map<string, number>());
  for (const [subject, count] of counts) {
    const consumer = rowOf(subject)?.consumer ?? '';
    const { keys, messages } = parked.get(consumer) ?? { keys: 0, messages: 0 };
    parked.set(consumer, { keys: keys + 1, messages: messages + count });
  }
  return parked;
}

/** Consumers by what services say of themselves, and by what the broker has. */
function consumersFrom(
  descriptions: readonly ServiceDescription[],
  infos: readonly ConsumerInfo[],
  parked: Parked,
  earlier?: readonly ConsumerInfo[],
): InstalledConsumer[] {
  const before = new Map(earlier?.map((info) => [`${info.stream_name} ${info.name}`, info]));
  const found = groups(infos);
  const described = descriptions.flatMap(({ service, consumers }) =>
    consumers.flatMap((consumer) => consumer.sources.map(({ stream }) => ({ service, consumer, stream }))),
  );
  for (const { consumer, stream } of described) {
    // Of a view there may be later builds only.
    const isFound = [...found.values()].some((group) => group.stream === stream && isOf(consumer, group.name));
    if (!isFound) found.set(`${stream} ${consumer.name}`, { stream, name: consumer.name, partitions: new Map() });
  }
  return [...found.values()]
    .map(({ stream, name, partitions }) => {
      const own = described.find((each) => each.stream === stream && isOf(each.consumer, name));
      const service = own?.service ?? serviceOf(name, descriptions);
      const { keys = 0, messages = 0 } = parked.get(name) ?? {};
      const of = [...partitions.values()];
      return {
        name,
        service,
        kind: own?.consumer.kind,
        stream,
        eventTypes: own?.consumer.eventTypes ?? [],
        attemptTimeoutMs: own?.consumer.attemptTimeoutMs,
        parkedKeys: keys,
        parkedMessages: messages,
        partitions: (own === undefined ? [...partitions.keys()].toSorted() : allPartitions).map((partition) => {
          const info = partitions.get(partition);
          return partitionFrom(partition, info, before.get(`${stream} ${info?.name}`), earlier !== undefined);
        }),
        // While a program is replaced, the one before still pulls.
        isOrphan: own === undefined && of.every(({ num_waiting, push_bound }) => num_waiting === 0 && !push_bound),
      };
    })
    .sort((one, other) => one.name.localeCompare(other.name) || one.stream.localeCompare(other.stream));
}

type Group = { stream: string; name: string; partitions: Map<number, ConsumerInfo> };

function groups(infos: readonly ConsumerInfo[]): Map<string, Group> {
  const found = new Map<string, Group>();
  for (const info of infos) {
    const [, name, digit] = /^(.+)-(\d)$/.exec(info.name) ?? [];
    if (name === undefined || !allPartitions.includes(Number(digit))) continue;
    const place = `${info.stream_name} ${name}`;
    const group = found.get(place) ?? { stream: info.stream_name, name, partitions: new Map() };
    group.partitions.set(Number(digit), info);
    found.set(place, group);
  }
  return found;
}

/** A view that is built anew has a consumer of its own name for each build. */
function isOf({ name, kind }: ConsumerDescription, found: string): boolean {
  if (found === name) return true;
  return kind === 'projection' && found.startsWith(`${name}_b`) && /^\d+$/.test(found.slice(name.length + 2));
}

/** The service with the longest name that the consumer's begins with. */
function serviceOf(name: string, descriptions: readonly ServiceDescription[]): string {
  const candidates = descriptions.map(({ service }) => service).filter((service) => name.startsWith(`${service}-`));
  return candidates.toSorted((one, other) => other.length - one.length)[0] ?? '';
}

function partitionFrom(
  partition: number,
  info: ConsumerInfo | undefined,
  before: ConsumerInfo | undefined,
  wasLookedAt: boolean,
): InstalledPartition {
  if (info === undefined) return { ...missing, partition };
  const { delivered, ack_floor, config } = info;
  return {
    partition,
    lag: info.num_pending,
    unacknowledged: info.num_ack_pending,
    maxUnacknowledged: Math.max(0, config.max_ack_pending ?? 0),
    redelivered: info.num_redelivered,
    deliveredSequence: delivered.stream_seq,
    deliveries: delivered.consumer_seq,
    acknowledgedSequence: ack_floor.stream_seq,
    lastActiveAt: lastActive(info),
    createdAt: new Date(info.created),
    ackWaitMs: (config.ack_wait ?? 0) / 1_000_000,
    isPulled: info.num_waiting > 0 || info.push_bound,
    isMissing: false,
    trouble: troubleOf(info, lastActive(info), before, wasLookedAt),
  };
}

const missing: Omit<InstalledPartition, 'partition'> = {
  lag: 0,
  unacknowledged: 0,
  maxUnacknowledged: 0,
  redelivered: 0,
  deliveredSequence: 0,
  deliveries: 0,
  acknowledgedSequence: 0,
  lastActiveAt: undefined,
  createdAt: new Date(0),
  ackWaitMs: 0,
  isPulled: false,
  isMissing: true,
  trouble: '',
};

/** The server says so in RFC 3339, whatever the library's type. */
function lastActive({ delivered, ack_floor }: ConsumerInfo): Date | undefined {
  const times = [delivered.last_active, ack_floor.last_active].flatMap((time) =>
    time === undefined ? [] : Date.parse(String(time)),
  );
  return times.length === 0 ? undefined : new Date(Math.max(...times));
}

export function hasTrouble({ partitions }: InstalledConsumer): boolean {
  return partitions.some(({ trouble }) => trouble !== '');
}

/** What is said of a consumer whose partitions have trouble: of the first one, and of how many others. */
export function consumerTrouble({ partitions }: InstalledConsumer): string {
  const [first, ...others] = partitions.filter(({ trouble }) => trouble !== '');
  if (first === undefined) return '';
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  return `partition ${first.partition}${more}: ${first.trouble}`;
}

/** The sum of a figure over a consumer's partitions. */
export function total(
  { partitions }: Pick<InstalledConsumer, 'partitions'>,
  figure: 'lag' | 'unacknowledged' | 'redelivered',
): number {
  return partitions.reduce((sum, partition) => sum + partition[figure], 0);
}
