import { FulfilmentResolutionRequestedSchema } from '#gen/causeway/operations/v1/events_pb.js';
import { ResolutionStateSchema } from '#gen/causeway/operations/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { type Resolution, type ResolutionEvent, type ResolveFulfilment, resolution } from '../domain/resolution.ts';

/** What operators decide about an order's fulfilment; its forms on the wire. */
export const resolutionAggregate: Aggregate<
  ResolveFulfilment,
  Resolution,
  ResolutionEvent,
  typeof ResolutionStateSchema
> = {
  name: 'fulfilment',
  decider: resolution,
  events: { FulfilmentResolutionRequested: FulfilmentResolutionRequestedSchema },
  state: {
    type: ResolutionStateSchema,
    version: 1,
    encode: ({ requests }) => ({ requests }),
    decode: ({ requests }) => ({ requests }),
  },
};
