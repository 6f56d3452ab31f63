import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { CallError } from '#kit/errors.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';

type FlowMethods = Pick<
  Implementation<typeof OperationsService>,
  'listServices' | 'listStreams' | 'listConsumers' | 'diagnose' | 'watchOverview'
>;

/** What the platform is doing now, and what is wrong with it. */
export function flowMethods(): FlowMethods {
  return {
    async listServices(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'listServices is not there yet');
    },

    async listStreams(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'listStreams is not there yet');
    },

    async listConsumers(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'listConsumers is not there yet');
    },

    async diagnose(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'diagnose is not there yet');
    },

    // biome-ignore lint/correctness/useYield: not there yet.
    async *watchOverview(_, call) {
      requireRole(call, 'operator');
      throw new CallError('UNIMPLEMENTED', 'watchOverview is not there yet');
    },
  };
}
