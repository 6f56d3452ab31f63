import type { Collection } from 'mongodb';
import { queried } from './database.ts';
import type { Stored } from './view.ts';

/** What one query reads a view with. Not to be kept for another query. */
export type ViewReader<Document extends object> = {
  /** The document of this id. @throws UnavailableError where the database is away. */
  find(id: string): Promise<Stored<Document> | undefined>;
  /**
   * What is asked of the documents. It is asked again where they came to stand in another collection meanwhile.
   * @throws UnavailableError where the database is away.
   */
  query<Answer>(ask: (documents: Collection<Stored<Document>>) => Promise<Answer>): Promise<Answer>;
};

/** Reads the documents of one collection. */
export function readerOf<Document extends object>(documents: Collection<Stored<Document>>): ViewReader<Document> {
  return readerBy((ask) => queried(documents, () => ask(documents)));
}

/** @param query how a question is put to the documents. */
export function readerBy<Document extends object>(query: ViewReader<Document>['query']): ViewReader<Document> {
  return {
    query,
    async find(id) {
      const found = await query((documents) => documents.findOne({ _id: id } as object));
      return (found as Stored<Document> | null) ?? undefined;
    },
  };
}
