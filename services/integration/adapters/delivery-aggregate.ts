import {
  DeliveryAttemptFailedSchema,
  DeliveryDroppedSchema,
  DeliveryRequestedSchema,
  DeliverySucceededSchema,
  RequestIdUsedSchema,
} from '#gen/causeway/webhooks/v1/events_pb.js';
import { AttemptsStateSchema, PublicationStateSchema } from '#gen/causeway/webhooks/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { type AttemptEvent, type Attempts, attempts } from '../domain/attempts.ts';
import { type DeliveryRequest, type Publication, publication, type RequestIdUsed } from '../domain/publication.ts';

type Published<Event extends { type: string }> = Aggregate<Event, Publication, Event, typeof PublicationStateSchema>;

const nothing = { type: PublicationStateSchema, version: 1, encode: () => ({}), decode: () => ({}) };

/** A delivery's request on the wire. */
export const deliveryAggregate: Published<DeliveryRequest> = {
  name: 'delivery',
  decider: publication(),
  events: { DeliveryRequested: DeliveryRequestedSchema },
  state: nothing,
};

/** What came of trying to deliver, on the wire. By itself, so that who delivers is not handed its own notes. */
export const attemptAggregate: Aggregate<AttemptEvent, Attempts, AttemptEvent, typeof AttemptsStateSchema> = {
  name: 'attempt',
  decider: attempts,
  events: {
    DeliverySucceeded: DeliverySucceededSchema,
    DeliveryAttemptFailed: DeliveryAttemptFailedSchema,
    DeliveryDropped: DeliveryDroppedSchema,
  },
  state: {
    type: AttemptsStateSchema,
    version: 1,
    encode: ({ status }) => ({ delivered: status === 'Delivered', dropped: status === 'Dropped' }),
    decode: ({ delivered, dropped }) => {
      if (delivered) return { status: 'Delivered' };
      return { status: dropped ? 'Dropped' : 'Open' };
    },
  },
};

/** A used request id on the wire. Its key is made from the caller and the request id. */
export const requestAggregate: Published<RequestIdUsed> = {
  name: 'request',
  decider: publication(),
  events: { RequestIdUsed: RequestIdUsedSchema },
  state: nothing,
};
