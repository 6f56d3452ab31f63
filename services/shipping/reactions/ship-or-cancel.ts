import {
  type ShipmentCancelRequested,
  ShipmentCancelRequestedSchema,
  type ShipmentRequested,
  ShipmentRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { PermanentError } from '#kit/errors.ts';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Carrier, Consignment } from '../domain/carrier.ts';
import type { Shipment, ShipmentCommand } from '../domain/shipment.ts';

export type ShippingParts = {
  handle(request: CommandRequest<ShipmentCommand>): Promise<CommandResult<Shipment>>;
  carrier: Carrier;
};

/**
 * Sends what is asked for, or promises not to. Both from one journal, and so one after the other for an order: what was
 * asked for last is decided last.
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
      const { orderId } = data;
      const asked = { ...causedBy(event, 'shipping'), key };
      if (data.$typeName === 'causeway.fulfilment.v1.ShipmentCancelRequested') {
        await handle({ ...asked, command: { type: 'CancelShipment', orderId, reason: data.reason } });
        return;
      }
      const { trackingNumber } = await carrier.book(consignment(data), signal);
      const { customerId } = data;
      const { state } = await handle({
        ...asked,
        command: { type: 'DispatchShipment', orderId, customerId, carrier: carrier.name, trackingNumber },
      });
      // It was cancelled before, or by another owner of the partition meanwhile.
      if (state.status === 'Cancelled') await carrier.cancel(orderId, signal);
    },
  };
}

/** @throws PermanentError where the customer was erased: nobody knows where to send it. */
function consignment({ orderId, lines, shipTo }: ShipmentRequested): Consignment {
  if (shipTo === undefined) throw new PermanentError(`order ${orderId} has no address any more`);
  return { orderId, lines, shipTo };
}
