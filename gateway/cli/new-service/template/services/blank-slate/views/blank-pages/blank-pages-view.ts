import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Filter } from 'mongodb';
import { type BlankPage, BlankPageSchema } from '#gen/causeway/blank_slate/v1/blank_slate_service_pb.js';
import { type BlankPageAdded, BlankPageAddedSchema } from '#gen/causeway/blank_slate/v1/events_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Stored, View } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';

/** A blank page as people read it. */
export type BlankPageDocument = { customerId: string; title: string; addedAt: Date; version: number };

export const blankPagesView: View<BlankPageDocument, BlankPageAdded> = {
  name: 'blank-pages',
  version: 1,
  sources: [{ journal: journalOf('blank-slate'), aggregate: 'blank-page' }],
  types: new EventTypes([BlankPageAddedSchema]),
  // For pages by id, of everybody and of one customer; checkpoints have no revision.
  indexes: [{ key: { _id: 1, revision: 1 } }, { key: { customerId: 1, _id: 1, revision: 1 } }],
  project(_, { data, time, version }) {
    return { customerId: data.customerId, title: data.title, addedAt: time, version };
  },
};

/**
 * A page by id, and the token of the next one; empty on the last.
 * @param customerId undefined: everybody's.
 * @param after the id that the page before ended with.
 */
export async function listBlankPages(
  { query }: ViewReader<BlankPageDocument>,
  customerId: string | undefined,
  after: string,
  pageSize: number,
): Promise<{ found: Stored<BlankPageDocument>[]; next: string }> {
  const filter = {
    ...(customerId === undefined ? {} : { customerId }),
    _id: { $gt: after },
    revision: { $gte: 1 },
  } as Filter<Stored<BlankPageDocument>>;
  const page = (await query((documents) =>
    documents
      .find(filter)
      .sort({ _id: 1 })
      .limit(pageSize + 1)
      .toArray(),
  )) as Stored<BlankPageDocument>[];
  const found = page.slice(0, pageSize);
  return { found, next: page.length > pageSize ? (found.at(-1)?._id ?? '') : '' };
}

/** The blank page as the API shows it. */
export function blankPageMessage({ _id, customerId, title, addedAt, version }: Stored<BlankPageDocument>): BlankPage {
  return create(BlankPageSchema, {
    blankPageId: _id,
    customerId,
    title,
    addedAt: timestampFromDate(addedAt),
    version: BigInt(version),
  });
}
