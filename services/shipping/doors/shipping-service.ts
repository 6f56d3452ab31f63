import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  ConfirmDeliveryRequestSchema,
  ConfirmDeliveryResponseSchema,
  GetShipmentResponseSchema,
  ShippingService,
} from '#gen/causeway/shipping/v1/shipping_service_pb.js';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import type { RequestId, UseRequestId } from '#kit/request-id.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { Shipment, ShipmentCommand } from '../domain/shipment.ts';
import { type ShipmentDocument, shipmentMessage } from '../views/shipments/shipments-view.ts';

/** Where it stands that a request id was used (UUIDv5 of caller and request id). The namespace is fixed for ever. */
const requestKeyOf = uuidsIn('0d8f2b1c-54be-5c0a-a8a1-9e6f4f7a3d25');

export type ShippingDoorParts = {
  handle(request: CommandRequest<ShipmentCommand>): Promise<CommandResult<Shipment>>;
  noteRequest(request: CommandRequest<UseRequestId>): Promise<CommandResult<RequestId>>;
  shipments: Projection<ShipmentDocument>;
};

/** ShippingService: where an order's goods are, and that they have arrived. */
export function shippingDoor({ handle, noteRequest, shipments }: ShippingDoorParts): Door {
  return door(ShippingService, {
    async getShipment(request, { caller, signal }) {
      const { find } = await shipments.reached(request.atLeast, signal);
      const orderId = request.orderId.toLowerCase();
      const shipment = await find(orderId);
      const maySee = caller.role === 'operator' || shipment?.customerId === caller.subject;
      if (shipment === undefined || !maySee) {
        throw new CallError('NOT_FOUND', `there is no shipment of order ${orderId}`, {
          reason: 'SHIPMENT_UNKNOWN',
          metadata: { order_id: orderId },
        });
      }
      return create(GetShipmentResponseSchema, { shipment: shipmentMessage(shipment) });
    },

    async confirmDelivery(request, call) {
      requireRole(call, 'operator');
      const { requestId } = request;
      const orderId = request.orderId.toLowerCase();
      const asked = {
        caller: call.caller.subject,
        requestId,
        content: toBinary(ConfirmDeliveryRequestSchema, create(ConfirmDeliveryRequestSchema, { orderId })),
        correlationId: call.correlationId,
        causationId: requestId === '' ? randomUUID() : requestId,
      };
      if (requestId !== '') {
        // The shipment knows of its own requests only; here it is refused to use the same id for another.
        const key = requestKeyOf(`${asked.caller}\n${requestId}`);
        await noteRequest({ ...asked, key, creates: true, command: { type: 'UseRequestId', about: orderId } });
      }
      const result = await handle({ ...asked, key: orderId, command: { type: 'ConfirmDelivery', orderId } });
      return create(ConfirmDeliveryResponseSchema, { version: BigInt(result.version), position: result.position });
    },
  });
}
