import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Filter } from 'mongodb';
import {
  type DeliveryAttemptFailed,
  DeliveryAttemptFailedSchema,
  type DeliveryDropped,
  DeliveryDroppedSchema,
  type DeliveryRequested,
  DeliveryRequestedSchema,
  type DeliverySucceeded,
  DeliverySucceededSchema,
} from '#gen/causeway/webhooks/v1/events_pb.js';
import { type Delivery, DeliverySchema, DeliveryStatus } from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import { invalid } from '#kit/errors.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Stored, View } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';

type Attempt = { at: Date; httpStatus: number; error: string; durationMs: number };

/** A delivery as operators read it, with its latest attempts. */
export type DeliveryDocument = {
  endpointId: string;
  eventId: string;
  eventType: string;
  key: string;
  status: DeliveryStatus;
  attempts: Attempt[];
  droppedReason: string;
  createdAt: Date;
};

/** Attempts that are shown; the journal has all. */
const SHOWN_ATTEMPTS = 20;

const journal = journalOf('webhooks');

export const deliveriesView: View<
  DeliveryDocument,
  DeliveryRequested | DeliverySucceeded | DeliveryAttemptFailed | DeliveryDropped
> = {
  name: 'deliveries',
  version: 1,
  sources: [
    { journal, aggregate: 'delivery' },
    { journal, aggregate: 'attempt' },
  ],
  types: new EventTypes([
    DeliveryRequestedSchema,
    DeliverySucceededSchema,
    DeliveryAttemptFailedSchema,
    DeliveryDroppedSchema,
  ]),
  indexes: [
    { key: { createdAt: -1, _id: -1 } },
    { key: { endpointId: 1, createdAt: -1, _id: -1 } },
    { key: { status: 1, createdAt: -1, _id: -1 } },
    { key: { endpointId: 1, status: 1, createdAt: -1, _id: -1 } },
  ],
  project(delivery, { data, time }) {
    switch (data.$typeName) {
      case 'causeway.webhooks.v1.DeliveryRequested': {
        const { endpointId, eventId, eventType, key } = data;
        const begun = { status: DeliveryStatus.PENDING, attempts: [], droppedReason: '', createdAt: time };
        return { endpointId, eventId, eventType, key, ...begun };
      }
      case 'causeway.webhooks.v1.DeliverySucceeded':
        return delivery && tried(delivery, DeliveryStatus.DELIVERED, { at: time, error: '', ...data });
      case 'causeway.webhooks.v1.DeliveryAttemptFailed':
        return delivery && tried(delivery, statusAfter(delivery, data), { at: time, ...data });
      default:
        return delivery && { ...delivery, status: DeliveryStatus.DROPPED, droppedReason: data.reason };
    }
  },
};

/** What was given up stays so when an operator has it tried once more, in vain. */
function statusAfter({ status }: DeliveryDocument, { givenUp }: DeliveryAttemptFailed): DeliveryStatus {
  return givenUp ? DeliveryStatus.FAILED : status;
}

function tried(delivery: DeliveryDocument, status: DeliveryStatus, attempt: Attempt): DeliveryDocument {
  const { at, httpStatus, error, durationMs } = attempt;
  const attempts = [...delivery.attempts, { at, httpStatus, error, durationMs }].slice(-SHOWN_ATTEMPTS);
  return { ...delivery, status, attempts, droppedReason: '' };
}

export type DeliveryFilter = { endpointId: string; status: DeliveryStatus };

/** A page of deliveries, the newest first, and the token of the next page; empty after the last. */
export async function listDeliveries(
  { query }: ViewReader<DeliveryDocument>,
  { endpointId, status }: DeliveryFilter,
  pageSize: number,
  pageToken: string,
): Promise<{ deliveries: Stored<DeliveryDocument>[]; nextPageToken: string }> {
  const filter = {
    ...(endpointId === '' ? {} : { endpointId }),
    ...(status === DeliveryStatus.UNSPECIFIED ? {} : { status }),
    // Checkpoints stand in the same collection, and have no revision.
    revision: { $gte: 1 },
    ...(pageToken === '' ? {} : after(pageToken)),
  } as Filter<Stored<DeliveryDocument>>;
  const found = (await query((documents) =>
    documents
      .find(filter)
      .sort({ createdAt: -1, _id: -1 })
      .limit(pageSize + 1)
      .toArray(),
  )) as Stored<DeliveryDocument>[];
  const deliveries = found.slice(0, pageSize);
  const last = deliveries.at(-1);
  return { deliveries, nextPageToken: found.length > pageSize && last !== undefined ? tokenOf(last) : '' };
}

function tokenOf({ createdAt, _id }: Stored<DeliveryDocument>): string {
  return Buffer.from(`${createdAt.getTime()} ${_id}`).toString('base64url');
}

function after(token: string) {
  const [time, id] = Buffer.from(token, 'base64url').toString().split(' ');
  const createdAt = new Date(Number(time));
  if (id === undefined || Number.isNaN(createdAt.getTime())) {
    throw invalid('page_token', 'is not a token of this list');
  }
  // The first condition says nothing new, but where an index has to begin.
  return { createdAt: { $lte: createdAt }, $or: [{ createdAt: { $lt: createdAt } }, { _id: { $lt: id } }] };
}

/** The delivery as the API shows it. */
export function deliveryMessage({ _id, attempts, createdAt, ...words }: Stored<DeliveryDocument>): Delivery {
  const { endpointId, eventId, eventType, key, status, droppedReason } = words;
  return create(DeliverySchema, {
    deliveryId: _id,
    endpointId,
    eventId,
    eventType,
    key,
    status,
    droppedReason,
    attempts: attempts.map(({ at, ...attempt }) => ({ ...attempt, at: timestampFromDate(at) })),
    createdAt: timestampFromDate(createdAt),
  });
}
