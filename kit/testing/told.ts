import { randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { type Position, PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import type { Broker } from '#kit/broker.ts';
import { eventHeaders, Header, versionOf } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import { type PersonalData, sealed } from '#kit/personal-data.ts';
import type { JournalDeclaration } from '#kit/streams.ts';

type Words = {
  /** Left out: another one each time. */
  id?: string;
  causationId?: string;
  correlationId?: string;
  time?: Date;
  /** Whose personal data the event has. */
  dataOwner?: string;
  /** Of the decider that made the event, without its state: an older program's. */
  stateVersion?: number;
};

/**
 * Another service, as a test plays it: says events about one kind of aggregate, each the next version of its key.
 * @returns the event's id and position.
 */
export function telling(
  { broker, personalData }: { broker: Broker; personalData: PersonalData },
  declaration: JournalDeclaration,
  aggregate: string,
) {
  const journal = new Journal(declaration, broker);
  return async <Type extends DescMessage>(
    type: Type,
    key: string,
    says: MessageInitShape<Type>,
    words: Words = {},
  ): Promise<{ id: string; position: Position }> => {
    await journal.ensure();
    const subject = subjectOf(declaration.service, aggregate, key);
    const last = await journal.lastOnLeader(subject);
    const id = words.id ?? randomUUID();
    const headers = eventHeaders({
      id,
      type: type.typeName,
      source: declaration.service,
      key,
      time: words.time ?? new Date(),
      version: last === undefined ? 1 : versionOf(last) + 1,
      correlationId: words.correlationId ?? 'test',
      causationId: words.causationId ?? 'test',
      actor: 'test',
      traceparent: '',
      tracestate: '',
    });
    if (words.stateVersion !== undefined) headers.set(Header.stateVersion, String(words.stateVersion));
    const dataKey = words.dataOwner === undefined ? undefined : await personalData.keyOf(words.dataOwner);
    if (dataKey !== undefined) headers.set(Header.key, dataKey.id);
    const data = sealed(type, create(type, says), key, dataKey);
    // Of its own: the same event may be said twice.
    const msgId = randomUUID();
    const expectedSequence = last?.sequence ?? 0;
    const { sequence } = await journal.append({ subject, data, headers, id: msgId, expectedSequence });
    const position = { stream: declaration.stream, partition: partitionOf(key), sequence: BigInt(sequence) };
    return { id, position: create(PositionSchema, position) };
  };
}
