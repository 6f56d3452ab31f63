import {
  type CustomerErasureRequested,
  CustomerErasureRequestedSchema,
} from '#gen/causeway/operations/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { erasures } from '#kit/erasure.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import type { PersonalData } from '#kit/personal-data.ts';
import type { Erasure, ErasureCommand } from '../domain/erasure.ts';

export type DestroyKeysParts = {
  handle(request: CommandRequest<ErasureCommand>): Promise<CommandResult<Erasure>>;
  personalData: Pick<PersonalData, 'keysOf' | 'destroyKeys'>;
};

/**
 * Destroys the keys that an erasure was asked for, then tells every service. May be done again, and by two at once: by the
 * call that asked, and by the reaction, which finishes it where the call's process died.
 */
export async function destroyKeys(
  { handle, personalData }: DestroyKeysParts,
  event: RecordedEvent<CustomerErasureRequested>,
): Promise<void> {
  const { customerId, keyIds } = event.data;
  await personalData.destroyKeys(keyIds);
  // Those of before too: what they sealed may have come back with a backup.
  const { destroyed } = await personalData.keysOf(customerId);
  await handle({
    ...causedBy(event, 'operations'),
    key: event.key,
    command: { type: 'TellErased', owner: customerId, keyIds: destroyed },
  });
}

export function destroyKeysOnErasureRequested(parts: DestroyKeysParts): Reaction<CustomerErasureRequested> {
  return {
    name: 'destroy-keys-on-erasure-requested',
    sources: [erasures],
    begins: 'with-the-first-event',
    types: new EventTypes([CustomerErasureRequestedSchema]),
    handle: (event) => destroyKeys(parts, event),
  };
}
