import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  ConsumerKind,
  type ConsumerState,
  ConsumerStateSchema,
  type Finding,
  FindingSchema,
  type ServiceState,
  ServiceStateSchema,
  ServiceStatus,
  Severity,
  type StreamState,
  StreamStateSchema,
} from '#gen/causeway/operations/v1/flow_pb.js';
import { consumerTrouble, type InstalledConsumer, total } from '#kit/installation/consumers.ts';
import type { Finding as Found } from '#kit/installation/finding.ts';
import type { Member } from '#kit/installation/members.ts';
import type { InstalledService } from '#kit/installation/services.ts';
import type { InstalledStream } from '#kit/installation/streams.ts';

const statuses: Record<InstalledService['status'], ServiceStatus> = {
  up: ServiceStatus.UP,
  troubled: ServiceStatus.TROUBLED,
  away: ServiceStatus.AWAY,
};

const kinds: Record<NonNullable<InstalledConsumer['kind']>, ConsumerKind> = {
  reaction: ConsumerKind.REACTION,
  projection: ConsumerKind.PROJECTION,
};

const severities: Record<Found['severity'], Severity> = {
  ok: Severity.OK,
  unknown: Severity.UNKNOWN,
  warning: Severity.WARNING,
  problem: Severity.PROBLEM,
};

export function serviceMessage({ name, status, reasons, members, unownedPartitions }: InstalledService): ServiceState {
  return create(ServiceStateSchema, {
    name,
    status: statuses[status],
    reasons,
    instances: members.map(instanceOf),
    unownedPartitions,
  });
}

/** Of one that does not say how it is, nothing is known but that. */
function instanceOf({ id, status, isSilent, clockAheadMs }: Member) {
  if (status === undefined) {
    const why = isSilent ? 'it does not answer' : 'it is of a program that does not say how it is';
    return { id, ready: false, reasons: [why] };
  }
  return {
    id,
    host: status.host,
    startedAt: timestampFromDate(new Date(status.startedAt)),
    ready: status.ready,
    reasons: status.reasons,
    partitions: [...status.partitions],
    owned: (status.owned ?? []).map(({ partition, since }) => ({
      partition,
      since: timestampFromDate(new Date(since)),
    })),
    clockAhead: durationFromMs(Math.round(clockAheadMs)),
    retrying: status.retrying.map(({ nextAttemptAt, ...retry }) => ({
      ...retry,
      nextAttemptAt: timestampFromDate(new Date(nextAttemptAt)),
    })),
  };
}

export function streamMessage(stream: InstalledStream): StreamState {
  const { firstAt, lastAt, maxAgeMs } = stream;
  return create(StreamStateSchema, {
    name: stream.name,
    service: stream.service,
    subjects: stream.subjects,
    messages: BigInt(stream.messages),
    bytes: BigInt(stream.bytes),
    maxBytes: BigInt(stream.maxBytes),
    firstSequence: BigInt(stream.firstSequence),
    lastSequence: BigInt(stream.lastSequence),
    ...(firstAt === undefined ? {} : { firstAt: timestampFromDate(firstAt) }),
    ...(lastAt === undefined ? {} : { lastAt: timestampFromDate(lastAt) }),
    ...(maxAgeMs === 0 ? {} : { maxAge: durationFromMs(maxAgeMs) }),
    replicas: stream.replicas,
    replicasBehind: stream.replicasBehind,
    drift: stream.drift,
  });
}

export function kindMessage(kind: InstalledConsumer['kind']): ConsumerKind {
  return kind === undefined ? ConsumerKind.UNSPECIFIED : kinds[kind];
}

export function consumerMessage(consumer: InstalledConsumer): ConsumerState {
  const { name, service, kind, stream, eventTypes, parkedKeys, parkedMessages, isOrphan: orphan } = consumer;
  return create(ConsumerStateSchema, {
    name,
    service,
    kind: kindMessage(kind),
    stream,
    eventTypes,
    lag: BigInt(total(consumer, 'lag')),
    unacknowledged: BigInt(total(consumer, 'unacknowledged')),
    redelivered: BigInt(total(consumer, 'redelivered')),
    parkedKeys,
    parkedMessages: BigInt(parkedMessages),
    partitions: consumer.partitions.map((each) => ({
      partition: each.partition,
      lag: BigInt(each.lag),
      unacknowledged: BigInt(each.unacknowledged),
      redelivered: BigInt(each.redelivered),
      deliveredSequence: BigInt(each.deliveredSequence),
      acknowledgedSequence: BigInt(each.acknowledgedSequence),
      ...(each.lastActiveAt === undefined ? {} : { lastActiveAt: timestampFromDate(each.lastActiveAt) }),
      missing: each.isMissing,
    })),
    trouble: consumerTrouble(consumer),
    orphan,
  });
}

export function findingMessage({ severity, ...words }: Found): Finding {
  return create(FindingSchema, { ...words, severity: severities[severity] });
}
