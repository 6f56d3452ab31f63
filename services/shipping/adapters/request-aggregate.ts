import { RequestIdUsedSchema } from '#gen/causeway/shipping/v1/events_pb.js';
import { RequestStateSchema } from '#gen/causeway/shipping/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { type Request, type RequestEvent, request, type UseRequestId } from '../domain/request.ts';

/** A used request id's forms on the wire. Its key is made from the caller and the request id. */
export const requestAggregate: Aggregate<UseRequestId, Request, RequestEvent, typeof RequestStateSchema> = {
  name: 'request',
  decider: request,
  events: { RequestIdUsed: RequestIdUsedSchema },
  state: {
    type: RequestStateSchema,
    version: 1,
    encode: (state) => (state.status === 'Used' ? { orderId: state.orderId } : {}),
    decode: ({ orderId }) => (orderId === '' ? { status: 'Unused' } : { status: 'Used', orderId }),
  },
};
