import { PersonalDataErasedSchema } from '#gen/causeway/events/v1/personal_data_erased_pb.js';
import { CustomerErasureRequestedSchema } from '#gen/causeway/operations/v1/events_pb.js';
import { ErasureStateSchema } from '#gen/causeway/operations/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { erasures } from '#kit/erasure.ts';
import { type Erasure, type ErasureCommand, type ErasureEvent, erasure } from '../domain/erasure.ts';

/** The erasures of a customer; their forms on the wire. Their key is made from the customer's id. */
export const erasureAggregate: Aggregate<ErasureCommand, Erasure, ErasureEvent, typeof ErasureStateSchema> = {
  name: erasures.aggregate,
  decider: erasure,
  events: {
    CustomerErasureRequested: CustomerErasureRequestedSchema,
    PersonalDataErased: PersonalDataErasedSchema,
  },
  state: {
    type: ErasureStateSchema,
    version: 1,
    encode: ({ isOpen }) => ({ open: isOpen }),
    decode: ({ open }) => ({ isOpen: open }),
  },
};
