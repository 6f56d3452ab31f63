import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import {
  ShipmentCancelledSchema,
  ShipmentDeliveredSchema,
  ShipmentDispatchedSchema,
} from '#gen/causeway/shipping/v1/events_pb.js';
import { ShipmentStatus } from '#gen/causeway/shipping/v1/shipping_service_pb.js';
import type { RecordedEvent } from '#kit/event.ts';
import { type ShipmentDocument, shipmentMessage, shipmentsView } from './shipments-view.ts';

const orderId = 'order-1';
const says = { orderId, customerId: 'anna', carrier: 'Simulated Carrier', trackingNumber: 'T-1' };
const dispatched = create(ShipmentDispatchedSchema, says);
const delivered = create(ShipmentDeliveredSchema, { orderId });

/** The shipment after these events, of which the n-th has version n and came at second n. */
function after(carrierDeliversAfterMs: number, ...events: RecordedEvent['data'][]): ShipmentDocument | undefined {
  const view = shipmentsView(carrierDeliversAfterMs);
  return events.reduce<ShipmentDocument | undefined>((shipment, data, index) => {
    const time = new Date((index + 1) * 1_000);
    const event = { id: `event-${index + 1}`, data, time, version: index + 1, correlationId: 'correlation-1' };
    return view.project(shipment, event as never) ?? shipment;
  }, undefined);
}

test('what is dispatched is due when the carrier has had it long enough', () => {
  expect(after(30_000, dispatched)).toEqual({
    customerId: 'anna',
    status: ShipmentStatus.DISPATCHED,
    carrier: 'Simulated Carrier',
    trackingNumber: 'T-1',
    dispatchedAt: new Date(1_000),
    deliveryDue: new Date(31_000),
    version: 1,
    correlationId: 'correlation-1',
    dispatchId: 'event-1',
  });
});

test('a carrier that delivers nothing has nothing due', () => {
  expect(after(0, dispatched)).not.toHaveProperty('deliveryDue');
});

test('what is delivered is due no more', () => {
  const shipment = after(30_000, dispatched, delivered);

  expect(shipment).toMatchObject({ status: ShipmentStatus.DELIVERED, deliveredAt: new Date(2_000), version: 2 });
  expect(shipment).not.toHaveProperty('deliveryDue');
});

test('what was cancelled is nothing that a customer sees', () => {
  const cancelled = create(ShipmentCancelledSchema, { orderId, reason: 'ORDER_CANCELLED' });

  expect(after(30_000, cancelled)).toMatchObject({ status: ShipmentStatus.CANCELLED, customerId: '' });
});

test('the API shows a shipment as its document has it', () => {
  const document = after(30_000, dispatched, delivered);
  if (document === undefined) throw new Error('there is no shipment');
  const stored = { ...document, _id: orderId, applied: {}, revision: 2, partition: 5, generation: 1 };

  expect(shipmentMessage(stored)).toMatchObject({
    ...says,
    status: ShipmentStatus.DELIVERED,
    dispatchedAt: { seconds: 1n },
    deliveredAt: { seconds: 2n },
    version: 2n,
  });
});
