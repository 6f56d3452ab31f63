import type { Filter } from 'mongodb';
import { ShipmentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { FulfilmentStatus } from '#gen/causeway/operations/v1/operations_service_pb.js';
import type { Stored } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';
import type { FulfilmentDocument } from './fulfilments-view.ts';

type Reader = Pick<ViewReader<FulfilmentDocument>, 'query'>;
type Documents = Filter<Stored<FulfilmentDocument>>;

/** How long it took, of so many orders; sorted, the shortest first. */
export type Durations = readonly number[];

const LATEST = 500;

const ENDED = [FulfilmentStatus.COMPLETED, FulfilmentStatus.FAILED];

/** How many fulfilments wait for something, for an operator, and longer than they should. */
export async function openFulfilments({ query }: Reader, now: Date) {
  const count = (filter: object) => query((documents) => documents.countDocuments(filter as Documents));
  const [open, needingAttention, overdue] = await Promise.all([
    count({ status: { $in: stillOpen } }),
    count({ status: FulfilmentStatus.NEEDS_ATTENTION }),
    count({ deadline: { $gt: new Date(0), $lt: now } }),
  ]);
  return { open, needingAttention, overdue };
}

/** Each of them by itself: an index finds those, and would have to pass over all that ended. */
const stillOpen = Object.values(FulfilmentStatus).filter(
  (status): status is FulfilmentStatus =>
    typeof status === 'number' && status !== FulfilmentStatus.UNSPECIFIED && !ENDED.includes(status),
);

/**
 * How long the latest orders that were completed took, in ms, from the first step that was asked for: placing an order
 * leads to it within milliseconds, and so does the confirmation to the request of its shipment.
 */
export async function latencies({ query }: Reader): Promise<{ confirmed: Durations; completed: Durations }> {
  const found = (await query((documents) =>
    documents
      .find({ status: FulfilmentStatus.COMPLETED } as Documents)
      .sort({ startedAt: -1, _id: -1 })
      .limit(LATEST)
      .project({ _id: 0, startedAt: 1, since: 1, 'steps.type': 1, 'steps.at': 1 })
      .toArray(),
  )) as unknown as Pick<FulfilmentDocument, 'startedAt' | 'since' | 'steps'>[];
  const since = (begin: Date | null, end: Date | null | undefined) =>
    begin === null || end === null || end === undefined ? [] : Math.max(0, end.getTime() - begin.getTime());
  const shipmentOf = ({ steps }: Pick<FulfilmentDocument, 'steps'>) =>
    steps.find(({ type }) => type === ShipmentRequestedSchema.typeName)?.at;
  return {
    confirmed: found.flatMap((each) => since(each.startedAt, shipmentOf(each))).toSorted(rising),
    completed: found.flatMap(({ startedAt, since: ended }) => since(startedAt, ended)).toSorted(rising),
  };
}

function rising(one: number, other: number): number {
  return one - other;
}

/** The duration that this share of them is not longer than; undefined where there are none. */
export function quantile(durations: Durations, share: number): number | undefined {
  return durations[Math.max(0, Math.ceil(durations.length * share) - 1)];
}
