import type { Collection } from 'mongodb';
import { ErasedKeys } from './erased-keys.ts';
import { allPartitions } from './partitions.ts';
import type { Stored } from './view.ts';
import type { ViewBuilds } from './view-builds.ts';
import { eraseFrom } from './view-erasure.ts';

const WRITTEN_AT_A_TIME = 500;
const DUPLICATE_KEY = 11_000;

/**
 * Copies what no build can make again: documents of events that their stream has forgotten since, as notices are after
 * a day. Both builds are of the same version, so that they are what the same projection has made.
 */
export async function carryOver<Document extends object>(
  builds: ViewBuilds<Document>,
  build: number,
  signal: AbortSignal,
): Promise<void> {
  const forgetful = builds.view.sources.filter(({ journal }) => journal.maxAgeMs !== undefined);
  const { active } = await builds.known.fresh();
  if (forgetful.length === 0 || active === null) return;
  const from = builds.at(active.build).documents;
  const to = builds.at(build);
  const generations = await to.checkpoints();
  if (!allPartitions.every((partition) => generations.has(partition))) return;
  for (const stream of new Set(forgetful.map(({ journal }) => journal.stream))) {
    const { state } = await builds.parts.broker.manager.streams.info(stream);
    const others = builds.view.sources.map(({ journal }) => journal.stream).filter((other) => other !== stream);
    const isForgotten = Object.fromEntries([
      [`applied.${stream}`, { $lt: state.first_seq }],
      ...others.map((other) => [`applied.${other}`, { $exists: false }]),
    ]);
    let page: object[] = [];
    const write = async () => {
      if (page.length > 0) await to.documents.insertMany(page as never, { ordered: false }).catch(unlessThere);
      await eraseAgain(builds, to.documents, page as Stored<Document>[]);
      page = [];
    };
    for await (const document of from.find(isForgotten as object, { batchSize: WRITTEN_AT_A_TIME })) {
      if (signal.aborted) return;
      page.push({ ...document, generation: generations.get(document.partition)?.generation });
      if (page.length === WRITTEN_AT_A_TIME) await write();
    }
    await write();
  }
}

/** A customer may have been erased between the reading of a document and its writing. */
async function eraseAgain<Document extends object>(
  { view, parts }: ViewBuilds<Document>,
  documents: Collection<Stored<Document>>,
  written: readonly Stored<Document>[],
): Promise<void> {
  if (view.erased === undefined) return;
  const used = new Set(written.flatMap(({ keys }) => keys ?? []));
  const keys = await new ErasedKeys(parts.db).among([...used]);
  if (keys.length > 0) await eraseFrom(view, documents, { keys: { $in: keys } });
}

function unlessThere(error: unknown): void {
  const { code } = error as { code?: unknown };
  if (code !== DUPLICATE_KEY) throw error;
}
