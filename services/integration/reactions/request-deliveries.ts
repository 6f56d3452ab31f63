import { toJson } from '@bufbuild/protobuf';
import {
  type OrderCancelled,
  OrderCancelledSchema,
  type OrderCompleted,
  OrderCompletedSchema,
  type PaymentRefunded,
  PaymentRefundedSchema,
  type StockDepleted,
  StockDepletedSchema,
} from '#gen/causeway/public/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest } from '#kit/decider.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { PUBLIC } from '#kit/streams.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { DeliveryRequest } from '../domain/publication.ts';
import type { EndpointDocument } from '../views/endpoints/endpoints-view.ts';

type PublicEvent = OrderCompleted | OrderCancelled | PaymentRefunded | StockDepleted;

/** What endpoints can be told of. */
export const publicTypes = new EventTypes([
  OrderCompletedSchema,
  OrderCancelledSchema,
  PaymentRefundedSchema,
  StockDepletedSchema,
]);

/** A delivery's id, made from event and endpoint: there is one of each, however often it is asked for. Fixed for ever. */
const deliveryIdOf = uuidsIn('0c1f5f0e-31d5-5a3e-9a77-6d1b8f5d2c94');

export type RequestDeliveriesParts = {
  /** Every endpoint there is, by its id. */
  endpoints(): Promise<ReadonlyMap<string, EndpointDocument>>;
  request(request: CommandRequest<DeliveryRequest>): Promise<unknown>;
};

/** An integration event is to be delivered to each endpoint that is enabled and wants to know of its type. */
export function requestDeliveries({ endpoints, request }: RequestDeliveriesParts): Reaction<PublicEvent> {
  return {
    name: 'request-deliveries-on-public-event',
    sources: [
      { journal: PUBLIC, aggregate: 'order' },
      { journal: PUBLIC, aggregate: 'item' },
    ],
    begins: 'with-the-first-event',
    types: publicTypes,
    handle: async (event) => {
      const wanting = [...(await endpoints())].filter(([, endpoint]) => wants(endpoint, event.type));
      if (wanting.length === 0) return;
      const payload = payloadOf(event);
      const requests = wanting.map(([endpointId]) => {
        const deliveryId = deliveryIdOf(`${event.id}\n${endpointId}`);
        const said = { deliveryId, endpointId, eventId: event.id, eventType: event.type, key: event.key, payload };
        const command: DeliveryRequest = { type: 'DeliveryRequested', ...said };
        return request({ ...causedBy(event, 'integration'), key: deliveryId, creates: true, command });
      });
      await Promise.all(requests);
    },
  };
}

function wants({ enabled, types }: EndpointDocument, type: string): boolean {
  return enabled && (types.length === 0 || types.includes(type));
}

/** The body as Standard Webhooks has it: `type`, `timestamp`, `data`; the data as protobuf's JSON, with empty fields. */
function payloadOf({ type, time, data }: RecordedEvent<PublicEvent>): string {
  const said = toJson(publicTypes.type(type), data, { alwaysEmitImplicit: true });
  return JSON.stringify({ type, timestamp: time.toISOString(), data: said });
}
