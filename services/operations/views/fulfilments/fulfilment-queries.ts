import type { Filter } from 'mongodb';
import type { FulfilmentStatus } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { invalid } from '#kit/errors.ts';
import type { Stored } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';
import type { FulfilmentDocument } from './fulfilments-view.ts';

export type FulfilmentFilter = {
  status: FulfilmentStatus | undefined;
  /** Only those whose deadline is before. */
  overdueAt: Date | undefined;
};

/** A page of fulfilments, the newest first; overdue ones the longest overdue first. */
export async function listFulfilments(
  { query }: ViewReader<FulfilmentDocument>,
  { status, overdueAt }: FulfilmentFilter,
  pageSize: number,
  pageToken: string,
): Promise<{ fulfilments: Stored<FulfilmentDocument>[]; nextPageToken: string }> {
  const sort = overdueAt === undefined ? newestFirst : longestOverdueFirst;
  const filter = {
    // Checkpoints stand in the same collection and have no status; nor has what is not known yet.
    status: status ?? { $gte: 1 },
    ...(overdueAt === undefined ? {} : { deadline: { $lt: overdueAt } }),
    ...(pageToken === '' ? {} : { $and: after(pageToken, sort) }),
  } as Filter<Stored<FulfilmentDocument>>;
  const { field, direction } = sort;
  const found = (await query((documents) =>
    documents
      .find(filter)
      .sort({ [field]: direction, _id: direction })
      .limit(pageSize + 1)
      .toArray(),
  )) as Stored<FulfilmentDocument>[];
  const fulfilments = found.slice(0, pageSize);
  const last = fulfilments.at(-1);
  const isLast = found.length <= pageSize || last === undefined;
  return { fulfilments, nextPageToken: isLast ? '' : tokenOf(last[field], last._id) };
}

type Sort = { field: 'startedAt' | 'deadline'; direction: 1 | -1 };

const newestFirst: Sort = { field: 'startedAt', direction: -1 };
const longestOverdueFirst: Sort = { field: 'deadline', direction: 1 };

function tokenOf(time: Date | null, id: string): string {
  return Buffer.from(`${time?.getTime() ?? 0} ${id}`).toString('base64url');
}

function after(token: string, { field, direction }: Sort): object[] {
  const [time, id] = Buffer.from(token, 'base64url').toString().split(' ');
  const date = new Date(Number(time));
  if (id === undefined || Number.isNaN(date.getTime())) throw invalid('page_token', 'is not a token of this list');
  const [orAt, behind] = direction === 1 ? ['$gte', '$gt'] : ['$lte', '$lt'];
  // The first condition says nothing new, but where an index has to begin.
  return [
    { [field]: { [orAt as string]: date } },
    { $or: [{ [field]: { [behind as string]: date } }, { _id: { [behind as string]: id } }] },
  ];
}
