import {
  ShipmentCancelledSchema,
  ShipmentDeliveredSchema,
  ShipmentDispatchedSchema,
} from '#gen/causeway/shipping/v1/events_pb.js';
import { ShipmentStatus } from '#gen/causeway/shipping/v1/shipping_service_pb.js';
import { ShipmentStateSchema } from '#gen/causeway/shipping/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { journalOf } from '#kit/streams.ts';
import { type Shipment, type ShipmentCommand, type ShipmentEvent, shipment } from '../domain/shipment.ts';

export const shippingJournal = journalOf('shipping');

const events = {
  ShipmentDispatched: ShipmentDispatchedSchema,
  ShipmentDelivered: ShipmentDeliveredSchema,
  ShipmentCancelled: ShipmentCancelledSchema,
};

const wireStatuses = {
  None: ShipmentStatus.UNSPECIFIED,
  Dispatched: ShipmentStatus.DISPATCHED,
  Delivered: ShipmentStatus.DELIVERED,
  Cancelled: ShipmentStatus.CANCELLED,
} as const satisfies Record<Shipment['status'], ShipmentStatus>;

const statuses: Record<ShipmentStatus, Shipment['status']> = {
  [ShipmentStatus.UNSPECIFIED]: 'None',
  [ShipmentStatus.DISPATCHED]: 'Dispatched',
  [ShipmentStatus.DELIVERED]: 'Delivered',
  [ShipmentStatus.CANCELLED]: 'Cancelled',
};

/** A shipment's forms on the wire. */
export const shipmentAggregate: Aggregate<ShipmentCommand, Shipment, ShipmentEvent, typeof ShipmentStateSchema> = {
  name: 'shipment',
  decider: shipment,
  events,
  state: {
    type: ShipmentStateSchema,
    version: 1,
    encode: ({ status }) => ({ status: wireStatuses[status] }),
    decode: ({ status }) => ({ status: statuses[status] }),
  },
};
