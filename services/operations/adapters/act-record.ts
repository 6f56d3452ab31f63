import type { Message } from '@bufbuild/protobuf';
import { EventTypes, readEvent } from '#kit/event.ts';
import type { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import type { Keys } from '#kit/personal-data.ts';
import { actAggregate } from './act-aggregate.ts';

const types = new EventTypes(Object.values(actAggregate.events), actAggregate.upcasters);

/** What the events of an act say, first to last. */
export async function actRecord(journal: Journal, actId: string, keys: Keys): Promise<Message[]> {
  const subject = subjectOf(journal.declaration.service, actAggregate.name, actId);
  const messages = await journal.history(subject);
  return Promise.all(messages.map(async (message) => (await readEvent(message, types, keys)).data));
}
