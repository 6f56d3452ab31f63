import type { Collection, Db } from 'mongodb';
import { queried } from './database.ts';

/** Keys of somebody's personal data that are destroyed, and whose they were. */
export type DestroyedKeys = { owner: string; keyIds: readonly string[] };

/** One of them, as it is stored. */
type ErasedKey = { _id: string; erasedAt: Date };

const COLLECTION = 'erased_keys';
/**
 * Who wrote something in the clear and died before it looked whether it may is made up for by its successor. That one
 * comes within seconds; this long after, nobody looks for it any more.
 */
const RECENT_MS = 30 * 24 * 60 * 60 * 1_000;

/**
 * The destroyed keys, as the database of a service knows them: what they sealed is not to stand there in the clear.
 *
 * Whoever erases notes the keys first, and removes then what is there. Whoever writes something personal looks here
 * after it has written. So one of the two sees what the other did, whatever each has in memory, and however long it slept.
 */
export class ErasedKeys {
  readonly #keys: Collection<ErasedKey>;

  constructor(db: Db) {
    this.#keys = db.collection<ErasedKey>(COLLECTION);
  }

  /** To be called before anything is removed. @throws UnavailableError where the database is away. */
  async note(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const operations = ids.map((id) => ({
      updateOne: { filter: { _id: id }, update: { $set: { erasedAt: new Date() } }, upsert: true },
    }));
    await queried(this.#keys, () => this.#keys.bulkWrite(operations, { ordered: false }));
  }

  /** Which of these keys are destroyed. To be asked after something was written. @throws UnavailableError */
  async among(ids: readonly string[]): Promise<string[]> {
    return ids.length === 0 ? [] : this.#find({ _id: { $in: [...ids] } });
  }

  /** Those that were destroyed in the last 30 days. @throws UnavailableError */
  recent(): Promise<string[]> {
    return this.#find({ erasedAt: { $gte: new Date(Date.now() - RECENT_MS) } });
  }

  async #find(filter: object): Promise<string[]> {
    return (await queried(this.#keys, () => this.#keys.find(filter).toArray())).map(({ _id }) => _id);
  }
}
