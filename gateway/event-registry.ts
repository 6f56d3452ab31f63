import { createRegistry } from '@bufbuild/protobuf';
import { file_causeway_fulfilment_v1_events } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { file_causeway_inventory_v1_events } from '#gen/causeway/inventory/v1/events_pb.js';
import { file_causeway_notifications_v1_events } from '#gen/causeway/notifications/v1/events_pb.js';
import { file_causeway_operations_v1_events } from '#gen/causeway/operations/v1/events_pb.js';
import { file_causeway_orders_v1_events } from '#gen/causeway/orders/v1/events_pb.js';
import { file_causeway_payments_v1_events } from '#gen/causeway/payments/v1/events_pb.js';
import { file_causeway_public_v1_events } from '#gen/causeway/public/v1/events_pb.js';
import { file_causeway_shipping_v1_events } from '#gen/causeway/shipping/v1/events_pb.js';
import { file_causeway_webhooks_v1_events } from '#gen/causeway/webhooks/v1/events_pb.js';

/** The contracts of all events. */
export const eventFiles = [
  file_causeway_orders_v1_events,
  file_causeway_inventory_v1_events,
  file_causeway_fulfilment_v1_events,
  file_causeway_payments_v1_events,
  file_causeway_shipping_v1_events,
  file_causeway_notifications_v1_events,
  file_causeway_public_v1_events,
  file_causeway_operations_v1_events,
  file_causeway_webhooks_v1_events,
];

/** What may stand in an order's history, or among the dead letters: JSON needs to know the types. */
export const eventRegistry = createRegistry(...eventFiles);
