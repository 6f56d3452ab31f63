import {
  type ShipmentCancelRequested,
  ShipmentCancelRequestedSchema,
  type ShipmentRequested,
  ShipmentRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Booked, Carrier } from '../domain/carrier.ts';
import type { Shipment, ShipmentCommand } from '../domain/shipment.ts';

export type ShippingParts = {
  handle(request: CommandRequest<ShipmentCommand>): Promise<CommandResult<Shipment>>;
  carrier: Carrier;
};

/**
 * Sends what is asked for, or promises not to. Both from one journal, and so one after the other for an order: what was
 * asked for last is decided last. What can never be sent is cancelled, so that the order can be undone.
 */
export function shipOrCancelOnRequest({
  handle,
  carrier,
}: ShippingParts): Reaction<ShipmentRequested | ShipmentCancelRequested> {
  return {
    name: 'ship-or-cancel-on-request',
    sources: [{ journal: journalOf('fulfilment'), aggregate: 'fulfilment' }],
    begins: 'with-the-first-event',
    types: new EventTypes([ShipmentRequestedSchema, ShipmentCancelRequestedSchema]),
    async handle(event, { signal }) {
      const { data, key } = event;
      const command = await commandFor(data, carrier, signal);
      const { state } = await handle({ ...causedBy(event, 'shipping'), key, command });
      // Whoever cancelled it, and when: a booking may have been made by an attempt whose answer was lost.
      if (state.status === 'Cancelled') await carrier.cancel(data.orderId, signal);
    },
  };
}

async function commandFor(
  data: ShipmentRequested | ShipmentCancelRequested,
  carrier: Carrier,
  signal: AbortSignal,
): Promise<ShipmentCommand> {
  const { orderId } = data;
  if (data.$typeName === 'causeway.fulfilment.v1.ShipmentCancelRequested') {
    return { type: 'CancelShipment', orderId, reason: data.reason };
  }
  const booked = await book(data, carrier, signal);
  if (booked.result === 'refused') return { type: 'CancelShipment', orderId, reason: booked.reason };
  const { customerId } = data;
  const { trackingNumber } = booked;
  return { type: 'DispatchShipment', orderId, customerId, carrier: carrier.name, trackingNumber };
}

/** Where the customer was erased, nobody knows where to send it. */
async function book(
  { orderId, lines, shipTo }: ShipmentRequested,
  carrier: Carrier,
  signal: AbortSignal,
): Promise<Booked> {
  if (shipTo === undefined) return { result: 'refused', reason: 'NO_ADDRESS' };
  return carrier.book({ orderId, lines, shipTo }, signal);
}
