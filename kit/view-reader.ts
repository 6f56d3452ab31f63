import type { Collection, Db } from 'mongodb';
import { queried } from './database.ts';
import type { Stored } from './view.ts';

/** What one query reads: the documents of a view as they stand in one collection. Not to be kept for another query. */
export type ViewReader<Document extends object> = {
  readonly collection: Collection<Stored<Document>>;
  /** The document of this id. @throws UnavailableError where the database is away. */
  readonly find: (id: string) => Promise<Stored<Document> | undefined>;
};

/** Reads the documents of a collection. */
export function viewReader<Document extends object>(db: Db, name: string): ViewReader<Document> {
  const collection = db.collection<Stored<Document>>(name);
  return {
    collection,
    async find(id) {
      const found = await queried(collection, () => collection.findOne({ _id: id } as object));
      return (found as Stored<Document> | null) ?? undefined;
    },
  };
}
