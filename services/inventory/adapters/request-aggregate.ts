import { RequestIdUsedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { RequestStateSchema } from '#gen/causeway/inventory/v1/state_pb.js';
import { requestIdAggregate } from '#kit/request-id.ts';

export const requestAggregate = requestIdAggregate({
  field: 'sku',
  event: RequestIdUsedSchema,
  state: RequestStateSchema,
  told: (sku) => `item ${sku}`,
});
