import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ConsumerFlowSchema, JournalFlowSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import { consumerTrouble, type InstalledConsumer, total } from '#kit/installation/consumers.ts';
import type { InstallationLook } from '#kit/installation/look.ts';
import { isFollowed } from '#kit/installation/streams.ts';
import { kindMessage } from './flow-messages.ts';

/** Journals, with how much came in since the earlier look. */
export function journalFlows(
  { at, streams = [] }: InstallationLook,
  earlier: InstallationLook | undefined,
): MessageInitShape<typeof JournalFlowSchema>[] {
  const before = new Map(earlier?.streams?.map(({ name, lastSequence }) => [name, lastSequence]));
  return streams.filter(isFollowed).map(({ name, service, messages, lastSequence, bytes, maxBytes }) => ({
    stream: name,
    service,
    events: BigInt(messages),
    eventsPerSecond: perSecond(lastSequence - (before.get(name) ?? lastSequence), at, earlier?.at),
    fullness: maxBytes === 0 ? 0 : bytes / maxBytes,
  }));
}

/** Consumers, with how much they were given since the earlier look. */
export function consumerFlows(
  { at, consumers }: InstallationLook,
  earlier: InstallationLook | undefined,
): MessageInitShape<typeof ConsumerFlowSchema>[] {
  const before = new Map(earlier?.consumers?.consumers.map((consumer) => [placeOf(consumer), consumer]));
  return (consumers?.consumers ?? []).map((consumer) => {
    const { name, service, kind, stream, parkedMessages } = consumer;
    const previous = before.get(placeOf(consumer)) ?? consumer;
    const redelivered = total(consumer, 'redelivered') - total(previous, 'redelivered');
    return {
      name,
      service,
      kind: kindMessage(kind),
      stream,
      messagesPerSecond: perSecond(deliveriesBetween(previous, consumer), at, earlier?.at),
      lag: BigInt(total(consumer, 'lag')),
      redeliveredPerSecond: perSecond(redelivered, at, earlier?.at),
      parkedMessages: BigInt(parkedMessages),
      trouble: consumerTrouble(consumer),
    };
  });
}

/** A partition that was taken over meanwhile counts its deliveries from 0 again. */
function deliveriesBetween(before: InstalledConsumer, now: InstalledConsumer): number {
  const earlier = new Map(before.partitions.map(({ partition, deliveries }) => [partition, deliveries]));
  return now.partitions.reduce((sum, { partition, deliveries }) => {
    const counted = earlier.get(partition) ?? 0;
    return sum + (deliveries >= counted ? deliveries - counted : deliveries);
  }, 0);
}

function placeOf({ name, stream }: InstalledConsumer): string {
  return `${stream} ${name}`;
}

function perSecond(count: number, at: number, before: number | undefined): number {
  return before === undefined || at <= before ? 0 : (Math.max(0, count) * 1_000) / (at - before);
}
