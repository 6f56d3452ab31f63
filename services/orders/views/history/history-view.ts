import { create, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Binary } from 'mongodb';
import { file_causeway_fulfilment_v1_events } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { file_causeway_inventory_v1_events } from '#gen/causeway/inventory/v1/events_pb.js';
import { file_causeway_notifications_v1_events } from '#gen/causeway/notifications/v1/events_pb.js';
import { file_causeway_operations_v1_events } from '#gen/causeway/operations/v1/events_pb.js';
import {
  file_causeway_orders_v1_events,
  type OrderPlaced,
  RequestIdUsedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { type HistoryEvent, HistoryEventSchema, type Order } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { file_causeway_payments_v1_events } from '#gen/causeway/payments/v1/events_pb.js';
import { file_causeway_public_v1_events } from '#gen/causeway/public/v1/events_pb.js';
import { file_causeway_shipping_v1_events } from '#gen/causeway/shipping/v1/events_pb.js';
import { CallError } from '#kit/errors.ts';
import { EventTypes, eventsIn, type RecordedEvent } from '#kit/event.ts';
import { hasPersonalData, withoutPersonalData } from '#kit/personal-data.ts';
import { journalOf, NOTICES, PUBLIC } from '#kit/streams.ts';
import type { EventSource, Stored, View } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';

/** An event of an order's history. */
export type PastEvent = {
  id: string;
  type: string;
  version: number;
  time: Date;
  actor: string;
  correlationId: string;
  causationId: string;
  traceId: string;
  data: Binary;
  aggregate: string;
  stream: string;
  partition: number;
  sequence: number;
  /** How many attempts its cause took; not there in what an older program wrote. */
  attempts?: number;
};

/** One document for each event: an order's history grows by writing, without reading what is there. */
export type HistoryDocument = PastEvent & {
  /** Whose order it is; empty in all but the event that placed it. */
  customerId: string;
};

/** Every journal there is, and the aggregates in it that are kept under an order's id. */
export const historySources: readonly EventSource[] = [
  { journal: journalOf('orders'), aggregate: 'order' },
  { journal: journalOf('fulfilment'), aggregate: 'fulfilment' },
  { journal: journalOf('inventory'), aggregate: 'reservation' },
  { journal: journalOf('payments'), aggregate: 'payment' },
  { journal: journalOf('shipping'), aggregate: 'shipment' },
  { journal: journalOf('operations'), aggregate: 'fulfilment' },
  { journal: NOTICES, aggregate: 'email' },
  { journal: PUBLIC, aggregate: 'order' },
];

/** Everything but the note that a request id is taken: it stands under the id of an order that there is not. */
const types = new EventTypes([
  ...eventsIn(file_causeway_orders_v1_events).filter((type) => type !== RequestIdUsedSchema),
  ...[
    file_causeway_fulfilment_v1_events,
    file_causeway_inventory_v1_events,
    file_causeway_payments_v1_events,
    file_causeway_shipping_v1_events,
    file_causeway_operations_v1_events,
    file_causeway_notifications_v1_events,
    file_causeway_public_v1_events,
  ].flatMap(eventsIn),
]);

export const historyView: View<HistoryDocument> = {
  name: 'history',
  version: 3,
  sources: historySources,
  types,
  appendOnly: true,
  erased,
  documentId: ({ key, stream, sequence }) => `${key}:${stream}:${sequence}`,
  project(_, event) {
    return { ...pastEvent(event), customerId: isPlaced(event) ? event.data.customerId : '' };
  },
};

/**
 * All that happened to an order, in every service, a cause before its effects.
 * @throws CallError NOT_FOUND for an order that there is not, or that may not be seen: that it exists is nobody else's
 *   business.
 */
export async function historyOf(
  { query }: ViewReader<HistoryDocument>,
  orderId: string,
  maySee: (customerId: string) => boolean,
): Promise<PastEvent[]> {
  // The ids of an order's documents begin with its own: no other index is needed.
  const ofTheOrder = { _id: { $gt: `${orderId}:`, $lt: `${orderId};` } };
  const events = await query((documents) => documents.find(ofTheOrder).toArray());
  const { customerId } = events.find((event) => event.customerId !== '') ?? { customerId: '' };
  if (events.length === 0 || !maySee(customerId)) {
    throw new CallError('NOT_FOUND', `there is no order ${orderId}`, {
      reason: 'ORDER_UNKNOWN',
      metadata: { order_id: orderId },
    });
  }
  return causalOrder(events);
}

function erased(event: Stored<HistoryDocument>): HistoryDocument {
  const type = types.type(event.type);
  if (!hasPersonalData(type)) return event;
  const said = fromBinary(type, event.data.value());
  return { ...event, data: new Binary(toBinary(type, withoutPersonalData(type, said))) };
}

function isPlaced(event: RecordedEvent): event is RecordedEvent<OrderPlaced> {
  return event.data.$typeName === 'causeway.orders.v1.OrderPlaced';
}

export function pastEvent(event: RecordedEvent): PastEvent {
  const { id, version, time, actor, correlationId, causationId, stream, partition, sequence, data } = event;
  const type: DescMessage = types.type(data.$typeName);
  return {
    id,
    type: type.typeName,
    version,
    time,
    actor,
    correlationId,
    causationId,
    traceId: event.traceparent.split('-')[1] ?? '',
    data: new Binary(toBinary(type, data)),
    aggregate: event.subject.split('.')[3] ?? '',
    stream,
    partition,
    sequence,
    attempts: event.attempts ?? 0,
  };
}

/** The event as the API shows it, with the order after it where that was asked for. */
export function historyEvent(event: PastEvent, order?: Order): HistoryEvent {
  const { id, type, version, time, actor, correlationId, causationId, traceId } = event;
  return create(HistoryEventSchema, {
    id,
    type,
    version: BigInt(version),
    time: timestampFromDate(time),
    actor,
    correlationId,
    causationId,
    traceId,
    data: create(AnySchema, { typeUrl: `type.googleapis.com/${type}`, value: new Uint8Array(event.data.value()) }),
    position: { stream: event.stream, partition: event.partition, sequence: BigInt(event.sequence) },
    aggregate: event.aggregate,
    attempts: event.attempts ?? 0,
    ...(order === undefined ? {} : { order }),
  });
}

/**
 * A cause before its effects, a journal's events in its order, and otherwise by time: clocks of different
 * machines may disagree, causes don't.
 */
export function causalOrder(events: readonly PastEvent[]): PastEvent[] {
  const waiting = events.toSorted(
    (one, other) => one.time.getTime() - other.time.getTime() || one.version - other.version,
  );
  const ids = new Set(waiting.map(({ id }) => id));
  const ordered: PastEvent[] = [];
  const done = new Set<string>();
  const isNext = (event: PastEvent) =>
    (done.has(event.causationId) || !ids.has(event.causationId)) &&
    !waiting.some((other) => other.stream === event.stream && other.sequence < event.sequence);
  while (waiting.length > 0) {
    const index = Math.max(0, waiting.findIndex(isNext));
    const [next] = waiting.splice(index, 1);
    if (next === undefined) break;
    done.add(next.id);
    ordered.push(next);
  }
  return ordered;
}
