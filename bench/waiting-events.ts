import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { OrderCompletedSchema } from '#gen/causeway/public/v1/events_pb.js';
import type { Broker } from '#kit/broker.ts';
import { eventHeaders } from '#kit/event.ts';
import { allPartitions, partitionOf, subjectOf } from '#kit/partitions.ts';
import { type JournalDeclaration, journalOf } from '#kit/streams.ts';

/** What the replicas of `waiting-replica.ts` listen to. */
export const waitingJournal: JournalDeclaration = journalOf('waiting', 1024 ** 3);

/** Publishes so many events about as many orders, of each partition the same number, and answers their keys. */
export async function publishEvents({ js }: Broker, count: number): Promise<string[]> {
  const keys = keysByPartition(Math.ceil(count / allPartitions.length));
  const left = keys.values();
  const one = async () => {
    for (const key of left) await js.publish(...eventOf(key));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, one));
  return keys;
}

const IN_FLIGHT = 64;

/** The partitions take turns. */
function keysByPartition(each: number): string[] {
  const found = allPartitions.map((): string[] => []);
  while (found.some(({ length }) => length < each)) {
    const key = randomUUID();
    const keys = found[partitionOf(key)];
    if (keys !== undefined && keys.length < each) keys.push(key);
  }
  return Array.from({ length: each }, (_, index) => found.flatMap((keys) => keys[index] ?? [])).flat();
}

function eventOf(key: string) {
  const headers = eventHeaders({
    ...{ id: key, type: OrderCompletedSchema.typeName, source: 'bench', key, time: new Date(), version: 1 },
    ...{ correlationId: key, causationId: key, actor: 'bench', traceparent: '', tracestate: '' },
  });
  const data = toBinary(OrderCompletedSchema, create(OrderCompletedSchema, { orderId: key }));
  return [subjectOf(waitingJournal.service, 'order', key), data, { headers }] as const;
}
