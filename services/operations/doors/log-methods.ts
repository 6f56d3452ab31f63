import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { CallError } from '#kit/errors.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';

type LogMethods = Pick<Implementation<typeof OperationsService>, 'searchEvents' | 'getEvent' | 'watchEvents'>;

/** The log of all events. */
export function logMethods(): LogMethods {
  return {
    async searchEvents(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'searchEvents is not there yet');
    },

    async getEvent(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'getEvent is not there yet');
    },

    // biome-ignore lint/correctness/useYield: not there yet.
    async *watchEvents(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'watchEvents is not there yet');
    },
  };
}
