import { type AnyBulkWriteOperation, type Collection, MongoBulkWriteError } from 'mongodb';
import type { ErasedKeys } from './erased-keys.ts';
import type { RecordedEvent } from './event.ts';
import { hasPersonalData } from './personal-data.ts';
import { inDatabaseSpan } from './telemetry/tracing.ts';
import { type Checkpoint, checkpointId, type Stored, type View } from './view.ts';
import { eraseFrom } from './view-erasure.ts';

const DUPLICATE_KEY = 11_000;
/** A document that others keep changing, or that a unique index of the view refuses, is not tried for ever. */
const MAX_ROUNDS = 20;
/** Late events that a document remembers. A crash may leave one that comes again. */
const MAX_LATE = 1_000;

/** A partition of a view is not to be written under this claim any more. */
export class ClaimLostError extends Error {
  readonly partition: number;

  constructor(partition: number, message: string) {
    super(message);
    this.name = new.target.name;
    this.partition = partition;
  }
}

/** Somebody dropped the view, or a part of it, while it was followed. It is rebuilt. */
export class ViewLostError extends ClaimLostError {}

/** Another process has taken the partition over. */
export class SupersededError extends ClaimLostError {}

/** The right to write a partition of a view: of one owner, as long as no other has taken it, in one generation. */
export type Claim = Pick<Checkpoint, 'owner' | 'generation'>;

/** Claims by partition. */
export type Claims = ReadonlyMap<number, Claim>;

/** An event that the projection threw at: a bug, or a document that nobody foresaw. */
export type Refusal = { event: RecordedEvent; error: unknown };

type Write<Document extends object> = { id: string; operation: AnyBulkWriteOperation<Stored<Document>> };

/**
 * The documents and checkpoints of a view in its collection. Every write is fenced: a document's by its revision and
 * generation, a checkpoint's by its owner and generation.
 */
export class ViewStore<Document extends object> {
  readonly #view: View<Document>;
  readonly #documents: Collection<Stored<Document>>;
  readonly #checkpoints: Collection<Checkpoint>;
  readonly #sources: number;
  readonly #requireLive: () => Promise<void>;
  readonly #erasedKeys: ErasedKeys | undefined;
  #indexing: Promise<unknown> | undefined;

  /**
   * @param requireLive throws where the documents were discarded: nobody may bring them back to life.
   * @param erasedKeys of the same database; needed where the view holds personal data.
   */
  constructor(
    view: View<Document>,
    documents: Collection<Stored<Document>>,
    requireLive = async () => {},
    erasedKeys?: ErasedKeys,
  ) {
    if (view.erased !== undefined && erasedKeys === undefined)
      throw new Error(`${view.name} needs to know erased keys`);
    this.#view = view;
    this.#documents = documents;
    this.#checkpoints = documents as unknown as Collection<Checkpoint>;
    this.#sources = view.sources.length;
    this.#requireLive = requireLive;
    this.#erasedKeys = view.erased === undefined ? undefined : erasedKeys;
  }

  /**
   * Takes partitions over; what their checkpoints say now is the claim on them. A partition without a checkpoint is
   * begun anew: nothing is known of its documents, so those that are there are removed, and any that a slow writer
   * still adds are of an older generation.
   * @param owner to be used once: two claims of the same owner can't be told apart.
   */
  async claim(owner: string, partitions: readonly number[]): Promise<Map<number, Checkpoint>> {
    await this.#requireLive();
    await this.#ensureIndexes();
    await this.#checkpoints.bulkWrite(
      partitions.map((partition) => ({
        updateOne: {
          filter: { _id: checkpointId(partition) },
          update: { $set: { owner }, $setOnInsert: { generation: Date.now(), positions: {} } },
          upsert: true,
        },
      })),
      { ordered: false },
    );
    // Who slept since it looked is told here, and removes what it has just made.
    await this.#requireLive();
    const checkpoints = await this.checkpoints(partitions);
    for (const partition of partitions) {
      const { generation = 0 } = checkpoints.get(partition) ?? {};
      this.#check(partition, { owner, generation }, checkpoints.get(partition));
      await this.#documents.deleteMany({ partition, generation: { $lt: generation } } as object);
    }
    await this.#erase(partitions);
    return checkpoints;
  }

  /**
   * Removes what is personal of these events where their keys were destroyed: whoever erased may have come before they
   * were written. To be called after that.
   */
  async eraseAgain(events: readonly RecordedEvent[]): Promise<void> {
    const used = new Set(events.flatMap((event) => personalKeyOf(this.#view, event) ?? []));
    const keys = (await this.#erasedKeys?.among([...used])) ?? [];
    if (keys.length > 0) await eraseFrom(this.#view, this.#documents, { keys: { $in: keys } });
  }

  /** What whoever had the partitions before has written and had no time to look after. */
  async #erase(partitions: readonly number[]): Promise<void> {
    const keys = (await this.#erasedKeys?.recent()) ?? [];
    if (keys.length === 0) return;
    await eraseFrom(this.#view, this.#documents, { partition: { $in: [...partitions] }, keys: { $in: keys } });
  }

  /** The checkpoints that there are, by partition. */
  async checkpoints(partitions: readonly number[]): Promise<Map<number, Checkpoint>> {
    return byPartition(await this.#checkpoints.find({ _id: { $in: partitions.map(checkpointId) } }).toArray());
  }

  /** @throws ViewLostError, SupersededError */
  async checkClaims(claims: Claims): Promise<void> {
    const checkpoints = await this.checkpoints([...claims.keys()]);
    for (const [partition, claim] of claims) this.#check(partition, claim, checkpoints.get(partition));
  }

  /**
   * Folds each document's events and writes one unordered bulk, until nothing is left: what others wrote meanwhile is
   * read and folded again. An event that the projection throws at, and its key's later ones, are handed to `refuse`.
   * @throws ViewLostError, SupersededError before anything is written: the events were received under this claim, and
   *   whoever has taken it since may have received some that came before them.
   * @param options.areLate they were parked, and events of other keys that came after them have been applied.
   */
  async write(
    events: readonly RecordedEvent[],
    claims: Claims,
    refuse: (refusal: Refusal) => Promise<void>,
    { areLate = false }: { areLate?: boolean } = {},
  ): Promise<void> {
    const byDocument = Map.groupBy(events, (event) => this.#view.documentId?.(event) ?? event.key);
    const partitions = new Set(events.map(({ partition }) => partition));
    const held = new Map([...partitions].map((partition) => [partition, claimOn(claims, partition)]));
    const known = new Map<string, Stored<Document>>();
    let left = [...byDocument.keys()];
    let unread = left.filter((id) => this.#mayExist(id, byDocument.get(id)?.[0]));
    for (let round = 0; left.length > 0; round++) {
      if (round === MAX_ROUNDS) throw new Error(`${left.length} documents could not be written, ${left[0]} among them`);
      for (const document of await this.#read(unread, held)) known.set(document._id, document);
      const writes: Write<Document>[] = [];
      for (const id of left) {
        const folded = fold(this.#view, known.get(id), byDocument.get(id) ?? [], held, areLate);
        for (const refusal of folded.refused) await refuse(refusal);
        byDocument.set(id, folded.accepted);
        if (folded.operation !== undefined) writes.push({ id, operation: folded.operation });
      }
      left = await this.#bulk(writes);
      for (const id of left) known.delete(id);
      unread = left;
    }
  }

  /**
   * Raises checkpoints; they never fall.
   * @throws ViewLostError, SupersededError
   */
  async raise(positions: ReadonlyMap<number, Record<string, number>>, claims: Claims): Promise<void> {
    const operations = [...positions].map(([partition, raised]) => ({
      updateOne: {
        filter: { _id: checkpointId(partition), ...claimOn(claims, partition) },
        update: {
          $max: Object.fromEntries(Object.entries(raised).map(([stream, at]) => [`positions.${stream}`, at])),
        },
      },
    }));
    const { matchedCount } = await inDatabaseSpan('bulkWrite', this.#checkpoints, () =>
      this.#checkpoints.bulkWrite(operations, { ordered: false }),
    );
    if (matchedCount === positions.size) return;
    await this.checkClaims(claims);
    throw new Error(`checkpoints of ${this.#documents.collectionName} could not be raised`);
  }

  /**
   * The first event of a document that is made from one aggregate can be written without looking for it first. Where
   * it is there nevertheless, the database says so, and it is read after all.
   */
  #mayExist(id: string, first: RecordedEvent | undefined): boolean {
    if (this.#view.appendOnly === true) return false;
    return first === undefined || first.version > 1 || first.key !== id || this.#sources > 1;
  }

  /** Partitions are taken at the same time: one look at the indexes is enough for all of them. */
  #ensureIndexes(): Promise<unknown> {
    const ofKeys = this.#view.erased === undefined ? [] : [{ key: { keys: 1 }, sparse: true }];
    const indexes = [{ key: { partition: 1, generation: 1 } }, ...ofKeys, ...(this.#view.indexes ?? [])];
    this.#indexing ??= this.#documents.createIndexes(indexes).finally(() => {
      this.#indexing = undefined;
    });
    return this.#indexing;
  }

  /** Reads documents, and with them whether the claims still hold. */
  async #read(ids: readonly string[], claims: Claims): Promise<Stored<Document>[]> {
    const wanted = [...[...claims.keys()].map(checkpointId), ...ids];
    const found = await inDatabaseSpan('find', this.#documents, () =>
      this.#documents.find({ _id: { $in: wanted } } as object, { batchSize: wanted.length + 1 }).toArray(),
    );
    const isCheckpoint = ({ _id }: { _id: unknown }) => String(_id).startsWith('checkpoint:');
    const checkpoints = byPartition(found.filter(isCheckpoint) as unknown as Checkpoint[]);
    for (const [partition, claim] of claims) this.#check(partition, claim, checkpoints.get(partition));
    return found.filter((each) => !isCheckpoint(each)) as Stored<Document>[];
  }

  #check(partition: number, { owner, generation }: Claim, checkpoint: Checkpoint | undefined): void {
    const place = `partition ${partition} of ${this.#documents.collectionName}`;
    if (checkpoint?.generation !== generation) throw new ViewLostError(partition, `${place} was dropped`);
    if (checkpoint.owner !== owner) throw new SupersededError(partition, `${place} has another owner`);
  }

  /** Writes one unordered bulk; answers which documents somebody else has changed meanwhile. */
  async #bulk(writes: readonly Write<Document>[]): Promise<string[]> {
    if (writes.length === 0) return [];
    const replaced = writes.filter(({ operation }) => 'replaceOne' in operation).map(({ id }) => id);
    try {
      const operations = writes.map(({ operation }) => operation);
      const { matchedCount } = await inDatabaseSpan('bulkWrite', this.#documents, () =>
        this.#documents.bulkWrite(operations, { ordered: false }),
      );
      return matchedCount === replaced.length ? [] : replaced;
    } catch (error) {
      if (!(error instanceof MongoBulkWriteError)) throw error;
      const failures = [error.writeErrors].flat();
      // Without a failed write it says that the connection went, or that the write is not safe: nothing is known of it.
      if (failures.length === 0 || failures.some(({ code }) => code !== DUPLICATE_KEY)) throw error;
      const taken = failures.flatMap(({ index }) => writes[index]?.id ?? []);
      return error.result.matchedCount === replaced.length ? taken : [...taken, ...replaced];
    }
  }
}

type Folded<Document extends object> = {
  operation: AnyBulkWriteOperation<Stored<Document>> | undefined;
  accepted: RecordedEvent[];
  refused: Refusal[];
};

/** What is to be written of a document after its events; nothing where all of them are in it already. */
function fold<Document extends object>(
  view: View<Document>,
  stored: Stored<Document> | undefined,
  events: readonly RecordedEvent[],
  claims: Claims,
  areLate: boolean,
): Folded<Document> {
  const partition = events[0]?.partition ?? 0;
  const { generation } = claimOn(claims, partition);
  if (stored !== undefined && stored.generation > generation) {
    throw new ViewLostError(partition, `partition ${partition} of ${view.name} was begun anew`);
  }
  const current = stored?.generation === generation ? stored : undefined;
  const applied: Record<string, number> = { ...current?.applied };
  // What came late into a document of one key comes in its order all the same.
  const late = areLate && view.documentId !== undefined ? [...(current?.late ?? [])] : undefined;
  const keys = new Set(current?.keys);
  const accepted: RecordedEvent[] = [];
  const refused: Refusal[] = [];
  let document: Document | undefined = current;
  for (const event of events) {
    const upTo = applied[event.stream] ?? 0;
    if (late === undefined ? event.sequence <= upTo : late.includes(placeOf(event))) continue;
    const before = refused.find(({ event: { key } }) => key === event.key);
    if (before !== undefined) {
      refused.push({ event, error: undefined });
      continue;
    }
    try {
      document = view.project(document, event) ?? document;
      applied[event.stream] = Math.max(upTo, event.sequence);
      late?.push(placeOf(event));
      const key = personalKeyOf(view, event);
      if (key !== undefined) keys.add(key);
      accepted.push(event);
    } catch (error) {
      refused.push({ event, error });
    }
  }
  if (document === undefined || document === current) return { operation: undefined, accepted, refused };
  // A document of an older generation is written over.
  const revision = (stored?.revision ?? 0) + 1;
  const remembered = late?.slice(-MAX_LATE) ?? current?.late;
  const replacement = {
    ...document,
    _id: events[0] && documentId(view, events[0]),
    applied,
    ...(remembered === undefined ? {} : { late: remembered }),
    ...(keys.size === 0 ? {} : { keys: [...keys] }),
    revision,
    partition,
    generation,
  };
  const operation =
    stored === undefined
      ? { insertOne: { document: replacement } }
      : { replaceOne: { filter: { _id: stored._id, revision: stored.revision }, replacement } };
  return { operation: operation as unknown as AnyBulkWriteOperation<Stored<Document>>, accepted, refused };
}

/** What sealed the personal data that the view was handed with the event. */
function personalKeyOf<Document extends object>(
  view: View<Document>,
  { data, keyId }: RecordedEvent,
): string | undefined {
  if (view.erased === undefined || keyId === '') return undefined;
  return hasPersonalData(view.types.type(data.$typeName)) ? keyId : undefined;
}

function placeOf({ stream, sequence }: RecordedEvent): string {
  return `${stream} ${sequence}`;
}

function documentId<Document extends object>(view: View<Document>, event: RecordedEvent): string {
  return view.documentId?.(event) ?? event.key;
}

/** Nothing but owner and generation, also where the claim is a whole checkpoint. */
function claimOn(claims: Claims, partition: number): Claim {
  const claim = claims.get(partition);
  if (claim === undefined) throw new Error(`partition ${partition} is not claimed`);
  return { owner: claim.owner, generation: claim.generation };
}

function byPartition(checkpoints: readonly Checkpoint[]): Map<number, Checkpoint> {
  return new Map(checkpoints.map((checkpoint) => [Number(checkpoint._id.split(':')[1]), checkpoint]));
}
