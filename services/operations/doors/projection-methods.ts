import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { CallError } from '#kit/errors.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';

type ProjectionMethods = Pick<
  Implementation<typeof OperationsService>,
  'listProjections' | 'rebuildProjection' | 'switchProjection' | 'discardProjectionBuild' | 'compareProjection'
>;

/** Views, and how they are built anew. */
export function projectionMethods(): ProjectionMethods {
  return {
    async listProjections(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'listProjections is not there yet');
    },

    async rebuildProjection(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'rebuildProjection is not there yet');
    },

    async switchProjection(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'switchProjection is not there yet');
    },

    async discardProjectionBuild(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'discardProjectionBuild is not there yet');
    },

    // biome-ignore lint/correctness/useYield: not there yet.
    async *compareProjection(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'compareProjection is not there yet');
    },
  };
}
