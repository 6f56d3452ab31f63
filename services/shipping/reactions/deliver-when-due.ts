import type { DeadlineRule } from '#kit/deadlines.ts';
import type { CommandRequest } from '#kit/decider.ts';
import type { Projection } from '#kit/projection.ts';
import type { ShipmentCommand } from '../domain/shipment.ts';
import type { ShipmentDocument } from '../views/shipments/shipments-view.ts';

/** Who the simulated carrier is to the journal. */
const CARRIER = 'carrier';

/** The simulated carrier delivers what it has had long enough. Delivered already: nothing is left to do. */
export function deliverWhenDue(
  handle: (request: CommandRequest<ShipmentCommand>) => Promise<unknown>,
  shipments: Projection<ShipmentDocument>,
): DeadlineRule<ShipmentDocument> {
  return {
    name: 'deliver-when-due',
    projection: shipments,
    field: 'deliveryDue',
    onOverdue: ({ _id: orderId, dispatchId, correlationId }) =>
      handle({
        key: orderId,
        command: { type: 'ConfirmDelivery', orderId },
        caller: CARRIER,
        requestId: '',
        content: Buffer.from(dispatchId),
        correlationId,
        causationId: dispatchId,
      }),
  };
}
