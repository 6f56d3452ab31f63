import { isDeepStrictEqual } from 'node:util';
import type { AnyBulkWriteOperation, Collection, Db } from 'mongodb';
import { queried } from './database.ts';
import type { DestroyedKeys } from './erased-keys.ts';
import { TransientError } from './errors.ts';
import { collectionOf, type Stored, type View } from './view.ts';
import { buildsIn } from './view-sweep.ts';

const WRITTEN_AT_A_TIME = 500;
/** Others may change a document while it is erased, but not for ever. */
const MAX_ROUNDS = 20;

/** Removes what these keys sealed from every build of a view, and whole documents from what is left of its older versions. */
export async function eraseFromView<Document extends object>(
  db: Db,
  view: View<Document>,
  keys: DestroyedKeys,
): Promise<void> {
  for (const build of await buildsIn(db, view)) {
    await eraseFrom(view, db.collection<Stored<Document>>(collectionOf(view, build)), ofKeys(view, keys));
  }
  for (const collection of await olderVersions(db, view)) {
    // How their documents were made is not known any more.
    await queried(collection, () => collection.deleteMany(ofKeys(view, keys)));
  }
}

/** Which documents hold something of these keys. Those of an older program do not say so, but whose they are. */
function ofKeys<Document extends object>({ ownerField }: View<Document>, { keyIds, owner }: DestroyedKeys): object {
  const said = { keys: { $in: [...keyIds] } };
  return ownerField === undefined ? said : { $or: [said, { keys: { $exists: false }, [ownerField]: owner }] };
}

/**
 * Removes what is personal from the documents of a collection that match. Fenced as all writes are: who has read a
 * document before has to read it again.
 * @throws TransientError where others change the documents all the time; UnavailableError
 */
export async function eraseFrom<Document extends object>(
  view: View<Document>,
  documents: Collection<Stored<Document>>,
  filter: object,
): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    let left = 0;
    let page: AnyBulkWriteOperation<Stored<Document>>[] = [];
    const write = async () => {
      if (page.length === 0) return;
      const { matchedCount } = await queried(documents, () => documents.bulkWrite(page, { ordered: false }));
      left += page.length - matchedCount;
      page = [];
    };
    for await (const document of documents.find(filter, { batchSize: WRITTEN_AT_A_TIME })) {
      const replacement = { ...document, ...view.erased?.(document as Stored<Document>) };
      if (isDeepStrictEqual(replacement, document)) continue;
      const { _id, revision } = document as Stored<Document>;
      replacement.revision = revision + 1;
      page.push({ replaceOne: { filter: { _id, revision }, replacement } } as never);
      if (page.length === WRITTEN_AT_A_TIME) await write();
    }
    await write();
    if (left === 0) return;
  }
  throw new TransientError(
    `documents of ${documents.collectionName} are changed again and again while they are erased`,
  );
}

async function olderVersions<Document extends object>(db: Db, view: View<Document>): Promise<Collection[]> {
  const found = await db.listCollections({}, { nameOnly: true }).toArray();
  const name = new RegExp(`^${view.name}_v(\\d+)(_b\\d+)?$`);
  return found.flatMap((each) => {
    const version = Number(name.exec(each.name)?.[1]);
    return version < view.version ? db.collection(each.name) : [];
  });
}
