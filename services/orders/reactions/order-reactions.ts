import type { DescMessage, Message } from '@bufbuild/protobuf';
import {
  type FulfilmentCompleted,
  FulfilmentCompletedSchema,
  type FulfilmentFailed,
  FulfilmentFailedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { type PaymentAuthorized, PaymentAuthorizedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import { type ShipmentDispatched, ShipmentDispatchedSchema } from '#gen/causeway/shipping/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest } from '#kit/decider.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { OrderCommand } from '../domain/order.ts';

type Handle = (request: CommandRequest<OrderCommand>) => Promise<unknown>;

/** A late authorisation is voided at once: nothing is confirmed on it. */
export function confirmOnPaymentAuthorized(handle: Handle): Reaction<PaymentAuthorized> {
  return commanding(
    'confirm-on-payment-authorized',
    { service: 'payments', aggregate: 'payment', types: [PaymentAuthorizedSchema] },
    ({ orderId, late }) => (late ? undefined : { type: 'ConfirmOrder', orderId }),
    handle,
  );
}

export function shipOnShipmentDispatched(handle: Handle): Reaction<ShipmentDispatched> {
  return commanding(
    'ship-on-shipment-dispatched',
    { service: 'shipping', aggregate: 'shipment', types: [ShipmentDispatchedSchema] },
    ({ orderId, trackingNumber }) => ({ type: 'ShipOrder', orderId, trackingNumber }),
    handle,
  );
}

export function endOnFulfilmentEnded(handle: Handle): Reaction<FulfilmentCompleted | FulfilmentFailed> {
  return commanding(
    'end-on-fulfilment-ended',
    { service: 'fulfilment', aggregate: 'fulfilment', types: [FulfilmentCompletedSchema, FulfilmentFailedSchema] },
    (ended) =>
      ended.$typeName === 'causeway.fulfilment.v1.FulfilmentCompleted'
        ? { type: 'CompleteOrder', orderId: ended.orderId }
        : { type: 'CancelOrder', orderId: ended.orderId, reason: ended.description, asked: { by: 'fulfilment' } },
    handle,
  );
}

type Followed = { service: string; aggregate: string; types: readonly DescMessage[] };

/** Events of another service's aggregate that are commands on the order, which has the same key. */
function commanding<Event extends Message>(
  name: string,
  { service, aggregate, types }: Followed,
  commandOf: (data: Event) => OrderCommand | undefined,
  handle: Handle,
): Reaction<Event> {
  return {
    name,
    sources: [{ journal: journalOf(service), aggregate }],
    begins: 'with-the-first-event',
    types: new EventTypes(types),
    async handle(event: RecordedEvent<Event>) {
      const command = commandOf(event.data);
      if (command !== undefined) await handle({ ...causedBy(event, 'orders'), key: event.key, command });
    },
  };
}
