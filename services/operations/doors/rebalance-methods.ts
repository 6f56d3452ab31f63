import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { CallError } from '#kit/errors.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';

type RebalanceMethods = Pick<Implementation<typeof OperationsService>, 'listRebalances'>;

export function rebalanceMethods(): RebalanceMethods {
  return {
    async listRebalances(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'not yet');
    },
  };
}
