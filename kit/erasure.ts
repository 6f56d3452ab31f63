import type { Db } from 'mongodb';
import { type PersonalDataErased, PersonalDataErasedSchema } from '#gen/causeway/events/v1/personal_data_erased_pb.js';
import { type ConsumerParts, KeyedConsumer } from './consumer.ts';
import { type DestroyedKeys, ErasedKeys } from './erased-keys.ts';
import { EventTypes } from './event.ts';
import { journalOf } from './streams.ts';
import type { EventSource } from './view.ts';

/** Name of the reaction. A service whose views hold personal data has to have it. */
export const FORGET_ERASED = 'forget-erased-customers';

/** Where it is told whose keys are destroyed. */
export const erasures: EventSource = { journal: journalOf('operations'), aggregate: 'erasure' };

/** What holds personal data in the clear. */
export type Erasable = {
  /** Removes what these keys sealed. May be done again. @throws UnavailableError */
  erase(keys: DestroyedKeys): Promise<void>;
};

/**
 * The reaction of a service that keeps personal data in the clear: whatever a destroyed key sealed is removed. A service
 * that was away does it when it is back. What is written meanwhile, or later by whoever still has the key in memory, is
 * removed by its writer (`ErasedKeys`).
 */
export function forgetErased(holders: readonly Erasable[], { db, ...parts }: ConsumerParts & { db: Db }) {
  const erased = new ErasedKeys(db);
  return new KeyedConsumer<PersonalDataErased>(
    {
      name: FORGET_ERASED,
      sources: [erasures],
      begins: 'with-the-first-event',
      types: new EventTypes([PersonalDataErasedSchema]),
      async handle({ data: { owner, keyIds } }) {
        await erased.note(keyIds);
        for (const holder of holders) await holder.erase({ owner, keyIds });
      },
    },
    parts,
  );
}
