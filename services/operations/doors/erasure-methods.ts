import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { CallError } from '#kit/errors.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';

type ErasureMethods = Pick<Implementation<typeof OperationsService>, 'eraseCustomer'>;

export function erasureMethods(): ErasureMethods {
  return {
    async eraseCustomer(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'not yet');
    },
  };
}
