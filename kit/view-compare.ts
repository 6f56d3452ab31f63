import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { BSON, type Collection } from 'mongodb';
import { queried } from './database.ts';
import type { Stored } from './view.ts';
import type { ViewBuilds } from './view-builds.ts';
import { requireBuild } from './view-switch.ts';

type DocumentDifference = {
  id: string;
  /** Paths of the fields that differ; empty where one build has no such document. */
  fields: string[];
  /** As JSON; empty where there is none. */
  active: string;
  other: string;
};

export type Comparison = {
  compared: number;
  total: number;
  same: number;
  different: number;
  /** In the active build only, and in the other one only. */
  missing: number;
  extra: number;
  /** They kept changing: nothing is said of them. */
  unsettled: number;
  /** The first ones. */
  differences: DocumentDifference[];
};

const READ_AT_A_TIME = 200;
const MAX_DIFFERENCES = 20;
const MAX_JSON = 4_000;
const MAX_FIELDS = 20;
/** How often documents that one build may only not have come to yet are read again. */
const LOOKS = 6;
const LOOK_MS = 100;
const TOLD_MS = 250;
/** What the runner keeps in a document: it says how it came to be, not what it is. */
const BOOKKEEPING = new Set(['applied', 'late', 'revision', 'generation', 'partition', 'keys']);

type Pair<Document extends object> = { active: Stored<Document> | undefined; other: Stored<Document> | undefined };

/**
 * Compares the documents of the active build with those of another, while both go on. Few of them are in memory at a
 * time, however many there are.
 * @param told says how far it is, a few times a second.
 * @throws CallError NOT_FOUND, FAILED_PRECONDITION where there is no such build.
 */
export async function compareBuilds<Document extends object>(
  builds: ViewBuilds<Document>,
  build: number,
  told: (comparison: Comparison) => void,
  left: AbortSignal,
): Promise<Comparison> {
  const register = await builds.known.fresh();
  requireBuild(builds, register, build);
  const active = builds.at(register.active?.build ?? build).documents;
  const other = builds.at(build).documents;
  const counts = await Promise.all([active, other].map((documents) => documents.estimatedDocumentCount()));
  const comparison: Comparison = { ...nothing, total: Math.max(...counts), differences: [] };
  let toldAt = performance.now();
  const next = async (ids: string[]) => {
    for (const [id, pair] of await settled({ active, other }, ids)) note(comparison, id, pair);
    if (performance.now() - toldAt < TOLD_MS) return;
    toldAt = performance.now();
    told({ ...comparison, differences: [] });
  };
  for await (const ids of idsIn(active, left)) await next(ids);
  for await (const ids of idsIn(other, left)) {
    const known = new Set((await read(active, ids)).map(({ _id }) => _id));
    const extra = ids.filter((id) => !known.has(id));
    if (extra.length > 0) await next(extra);
  }
  return { ...comparison, total: comparison.compared };
}

const nothing = { compared: 0, total: 0, same: 0, different: 0, missing: 0, extra: 0, unsettled: 0 };

/** The ids of all documents, some at a time. */
async function* idsIn<Document extends object>(
  documents: Collection<Stored<Document>>,
  left: AbortSignal,
): AsyncGenerator<string[]> {
  // Checkpoints stand in the same collection, and have no revision.
  const all = documents.find({ revision: { $gte: 1 } } as object, {
    projection: { _id: 1 },
    batchSize: READ_AT_A_TIME,
  });
  let ids: string[] = [];
  for await (const { _id } of all) {
    left.throwIfAborted();
    ids.push(String(_id));
    if (ids.length < READ_AT_A_TIME) continue;
    yield ids;
    ids = [];
  }
  if (ids.length > 0) yield ids;
}

/** What both have of these ids, read again where one may not have come as far as the other yet. */
async function settled<Document extends object>(
  { active, other }: { active: Collection<Stored<Document>>; other: Collection<Stored<Document>> },
  ids: readonly string[],
): Promise<Map<string, Pair<Document> | 'unsettled'>> {
  const found = new Map<string, Pair<Document> | 'unsettled'>();
  let open = [...ids];
  for (let look = 1; open.length > 0; look++) {
    const [ours, theirs] = await Promise.all([byId(active, open), byId(other, open)]);
    const pairs = open.map((id) => [id, { active: ours.get(id), other: theirs.get(id) }] as const);
    for (const [id, pair] of pairs) {
      const isAsFar = isDeepStrictEqual(pair.active?.applied, pair.other?.applied);
      const isOneSided = pair.active === undefined || pair.other === undefined;
      if (isAsFar || look === LOOKS) found.set(id, isAsFar || isOneSided ? pair : 'unsettled');
    }
    open = open.filter((id) => !found.has(id));
    if (open.length > 0) await delay(LOOK_MS);
  }
  return found;
}

async function byId<Document extends object>(documents: Collection<Stored<Document>>, ids: readonly string[]) {
  return new Map((await read(documents, ids)).map((document) => [document._id as string, document]));
}

async function read<Document extends object>(documents: Collection<Stored<Document>>, ids: readonly string[]) {
  const found = await queried(documents, () => documents.find({ _id: { $in: ids } } as object).toArray());
  return found as Stored<Document>[];
}

function note<Document extends object>(comparison: Comparison, id: string, pair: Pair<Document> | 'unsettled'): void {
  comparison.compared++;
  if (pair === 'unsettled') {
    comparison.unsettled++;
    return;
  }
  const active = pair.active && plain(pair.active);
  const other = pair.other && plain(pair.other);
  const fields = active === undefined || other === undefined ? [] : differing(active, other, '');
  if (active === undefined) comparison.extra++;
  else if (other === undefined) comparison.missing++;
  else if (fields.length === 0) comparison.same++;
  else comparison.different++;
  if (active !== undefined && other !== undefined && fields.length === 0) return;
  if (comparison.differences.length === MAX_DIFFERENCES) return;
  comparison.differences.push({ id, fields: fields.slice(0, MAX_FIELDS), active: json(active), other: json(other) });
}

function plain(document: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([name]) => !BOOKKEEPING.has(name)));
}

/** Paths of what differs, such as `lines[0].quantity`. */
function differing(one: unknown, other: unknown, path: string): string[] {
  if (isDeepStrictEqual(one, other)) return [];
  if (Array.isArray(one) && Array.isArray(other)) {
    const length = Math.max(one.length, other.length);
    return Array.from({ length }, (_, index) => differing(one[index], other[index], `${path}[${index}]`)).flat();
  }
  if (isRecord(one) && isRecord(other)) {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].flatMap((name) => differing(one[name], other[name], path === '' ? name : `${path}.${name}`));
  }
  return [path];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function json(document: object | undefined): string {
  return document === undefined ? '' : BSON.EJSON.stringify(document).slice(0, MAX_JSON);
}
