import {
  type CustomerErasureRequested,
  CustomerErasureRequestedSchema,
} from '#gen/causeway/operations/v1/events_pb.js';
import type { CommandResult } from '#kit/decider.ts';
import { EventTypes, type RecordedEvent, readEvent, type StoredMessage, versionOf } from '#kit/event.ts';
import type { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { noKeys } from '#kit/personal-data.ts';
import { erasureAggregate } from './erasure-aggregate.ts';

const types = new EventTypes([CustomerErasureRequestedSchema]);

/** The event that a request for an erasure made: of this version of the aggregate. */
export async function requestedErasure(
  journal: Journal,
  key: string,
  { version, position }: Pick<CommandResult<unknown>, 'version' | 'position'>,
): Promise<RecordedEvent<CustomerErasureRequested>> {
  const subject = subjectOf(journal.declaration.service, erasureAggregate.name, key);
  const isIt = (message: StoredMessage | undefined) => message !== undefined && versionOf(message) === version;
  const latest = await journal.firstFrom(subject, Number(position.sequence));
  // A repeat is told where the aggregate stands now.
  const found = isIt(latest) ? latest : (await journal.history(subject)).find(isIt);
  if (found === undefined) throw new Error(`${subject} has no version ${version}`);
  return (await readEvent(found, types, noKeys)) as RecordedEvent<CustomerErasureRequested>;
}
