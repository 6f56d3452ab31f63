import { ProjectionActRequestedSchema } from '#gen/causeway/operations/v1/events_pb.js';
import { ProjectionActsStateSchema } from '#gen/causeway/operations/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import {
  type ProjectionActRequested,
  type ProjectionActs,
  projectionActs,
  type RequestProjectionAct,
} from '../domain/projection-act.ts';

/** What operators do to a view; its forms on the wire. Its key is the service's and the view's name. */
export const projectionActAggregate: Aggregate<
  RequestProjectionAct,
  ProjectionActs,
  ProjectionActRequested,
  typeof ProjectionActsStateSchema
> = {
  name: 'projection',
  decider: projectionActs,
  events: { ProjectionActRequested: ProjectionActRequestedSchema },
  state: {
    type: ProjectionActsStateSchema,
    version: 1,
    encode: ({ acts }) => ({ acts }),
    decode: ({ acts }) => ({ acts }),
  },
};
