import { create, createRegistry, fromBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import { file_causeway_fulfilment_v1_events } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { file_causeway_inventory_v1_events } from '#gen/causeway/inventory/v1/events_pb.js';
import { file_causeway_notifications_v1_events } from '#gen/causeway/notifications/v1/events_pb.js';
import { file_causeway_operations_v1_events } from '#gen/causeway/operations/v1/events_pb.js';
import { file_causeway_orders_v1_events } from '#gen/causeway/orders/v1/events_pb.js';
import { file_causeway_payments_v1_events } from '#gen/causeway/payments/v1/events_pb.js';
import { file_causeway_public_v1_events } from '#gen/causeway/public/v1/events_pb.js';
import { file_causeway_shipping_v1_events } from '#gen/causeway/shipping/v1/events_pb.js';
import { file_causeway_webhooks_v1_events } from '#gen/causeway/webhooks/v1/events_pb.js';
import { Header, type StoredMessage } from '#kit/event.ts';

/** Every event type of every service: what a message of the log may say. */
export const knownEvents = createRegistry(
  file_causeway_orders_v1_events,
  file_causeway_inventory_v1_events,
  file_causeway_fulfilment_v1_events,
  file_causeway_payments_v1_events,
  file_causeway_shipping_v1_events,
  file_causeway_notifications_v1_events,
  file_causeway_public_v1_events,
  file_causeway_operations_v1_events,
  file_causeway_webhooks_v1_events,
);

/** What a message says, where its contract is known and fits. Nothing that is sealed is opened. */
export function knownData({ headers, data: value }: StoredMessage): Any | undefined {
  const type = knownEvents.getMessage(headers.get(Header.type));
  if (type === undefined) return undefined;
  try {
    fromBinary(type, value);
  } catch {
    return undefined;
  }
  return create(AnySchema, { typeUrl: `type.googleapis.com/${type.typeName}`, value });
}

/** A message's headers, but for the state of its aggregate, which is nobody else's business. */
export function shownHeaders({ headers }: StoredMessage): Record<string, string> {
  const names = headers.keys().filter((name) => name !== Header.state);
  return Object.fromEntries(names.map((name) => [name, headers.values(name).join(', ')]));
}
