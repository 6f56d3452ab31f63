import { RequestIdUsedSchema } from '#gen/causeway/shipping/v1/events_pb.js';
import { RequestStateSchema } from '#gen/causeway/shipping/v1/state_pb.js';
import { requestIdAggregate } from '#kit/request-id.ts';

export const requestAggregate = requestIdAggregate({
  field: 'orderId',
  event: RequestIdUsedSchema,
  state: RequestStateSchema,
  told: (orderId) => `order ${orderId}`,
});
