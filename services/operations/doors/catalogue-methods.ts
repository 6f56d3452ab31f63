import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { CallError } from '#kit/errors.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';

type CatalogueMethods = Pick<Implementation<typeof OperationsService>, 'getEventCatalogue'>;

/** What events there are, who says them and who listens. */
export function catalogueMethods(): CatalogueMethods {
  return {
    async getEventCatalogue(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'getEventCatalogue is not there yet');
    },
  };
}
