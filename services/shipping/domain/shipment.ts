import type { Decider, Refusal } from '#kit/decider.ts';

export type ShipmentEvent =
  | { type: 'ShipmentDispatched'; orderId: string; customerId: string; carrier: string; trackingNumber: string }
  | { type: 'ShipmentDelivered'; orderId: string }
  | { type: 'ShipmentCancelled'; orderId: string; reason: string };

type DispatchShipment = {
  type: 'DispatchShipment';
  orderId: string;
  customerId: string;
  carrier: string;
  trackingNumber: string;
};

/** It is not wanted any more, or can't be sent. @param reason UPPER_SNAKE_CASE, for programs. */
type CancelShipment = { type: 'CancelShipment'; orderId: string; reason: string };

type ConfirmDelivery = { type: 'ConfirmDelivery'; orderId: string };

export type ShipmentCommand = DispatchShipment | CancelShipment | ConfirmDelivery;

export type Shipment = { status: 'None' | 'Dispatched' | 'Delivered' | 'Cancelled' };

export const shipment: Decider<ShipmentCommand, Shipment, ShipmentEvent> = {
  initialState: { status: 'None' },

  decide(command, { status }) {
    switch (command.type) {
      case 'DispatchShipment':
        return status === 'None' ? { ...command, type: 'ShipmentDispatched' } : undefined;
      case 'CancelShipment':
        // What is with the carrier can't be called back: the order goes on with it.
        return status === 'None' ? { ...command, type: 'ShipmentCancelled' } : undefined;
      case 'ConfirmDelivery':
        return confirmDelivery(command, status);
      default:
        return command satisfies never;
    }
  },

  evolve(_, event) {
    switch (event.type) {
      case 'ShipmentDispatched':
        return { status: 'Dispatched' };
      case 'ShipmentDelivered':
        return { status: 'Delivered' };
      case 'ShipmentCancelled':
        return { status: 'Cancelled' };
      default:
        return event satisfies never;
    }
  },
};

function confirmDelivery(
  { orderId }: ConfirmDelivery,
  status: Shipment['status'],
): ShipmentEvent | Refusal | undefined {
  switch (status) {
    case 'Dispatched':
      return { type: 'ShipmentDelivered', orderId };
    case 'Delivered':
      return undefined;
    case 'None':
    case 'Cancelled':
      return {
        refused: 'FAILED_PRECONDITION',
        reason: 'SHIPMENT_NOT_DISPATCHED',
        message: `nothing was dispatched for order ${orderId}`,
      };
    default:
      return status satisfies never;
  }
}
