import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type ShipmentCancelled,
  ShipmentCancelledSchema,
  type ShipmentDelivered,
  ShipmentDeliveredSchema,
  type ShipmentDispatched,
  ShipmentDispatchedSchema,
} from '#gen/causeway/shipping/v1/events_pb.js';
import { type Shipment, ShipmentSchema, ShipmentStatus } from '#gen/causeway/shipping/v1/shipping_service_pb.js';
import { deadlineIndex } from '#kit/deadlines.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Stored, View } from '#kit/view.ts';

/** A shipment as people read it. */
export type ShipmentDocument = {
  customerId: string;
  status: ShipmentStatus;
  carrier: string;
  trackingNumber: string;
  dispatchedAt?: Date;
  deliveredAt?: Date;
  version: number;
  /** When the simulated carrier delivers it; left out where that is done, or is not its business. */
  deliveryDue?: Date;
  /** Of the dispatch, to be told with the delivery. */
  correlationId: string;
  dispatchId: string;
};

type ShipmentEvent = ShipmentDispatched | ShipmentDelivered | ShipmentCancelled;

/** @param carrierDeliversAfterMs how long the simulated carrier takes; 0: it delivers nothing. */
export function shipmentsView(carrierDeliversAfterMs: number): View<ShipmentDocument, ShipmentEvent> {
  return {
    name: 'shipments',
    version: 1,
    sources: [{ journal: journalOf('shipping'), aggregate: 'shipment' }],
    types: new EventTypes([ShipmentDispatchedSchema, ShipmentDeliveredSchema, ShipmentCancelledSchema]),
    indexes: [deadlineIndex('deliveryDue')],
    project(shipment, { id, data, time, version, correlationId }) {
      switch (data.$typeName) {
        case 'causeway.shipping.v1.ShipmentDispatched':
          return {
            customerId: data.customerId,
            status: ShipmentStatus.DISPATCHED,
            carrier: data.carrier,
            trackingNumber: data.trackingNumber,
            dispatchedAt: time,
            version,
            ...(carrierDeliversAfterMs === 0 ? {} : { deliveryDue: new Date(time.getTime() + carrierDeliversAfterMs) }),
            correlationId,
            dispatchId: id,
          };
        case 'causeway.shipping.v1.ShipmentDelivered': {
          if (shipment === undefined) return undefined;
          const { deliveryDue: _, ...dispatched } = shipment;
          return { ...dispatched, status: ShipmentStatus.DELIVERED, deliveredAt: time, version };
        }
        case 'causeway.shipping.v1.ShipmentCancelled':
          return {
            customerId: '',
            status: ShipmentStatus.CANCELLED,
            carrier: '',
            trackingNumber: '',
            version,
            correlationId,
            dispatchId: '',
          };
        default:
          return data satisfies never;
      }
    },
  };
}

/** The shipment as the API shows it. */
export function shipmentMessage(document: Stored<ShipmentDocument>): Shipment {
  const { customerId, status, carrier, trackingNumber, dispatchedAt, deliveredAt, version } = document;
  return create(ShipmentSchema, {
    orderId: document._id,
    customerId,
    status,
    carrier,
    trackingNumber,
    ...(dispatchedAt === undefined ? {} : { dispatchedAt: timestampFromDate(dispatchedAt) }),
    ...(deliveredAt === undefined ? {} : { deliveredAt: timestampFromDate(deliveredAt) }),
    version: BigInt(version),
  });
}
