import { create } from '@bufbuild/protobuf';
import {
  DiagnoseResponseSchema,
  ListConsumersResponseSchema,
  ListServicesResponseSchema,
  ListStreamsResponseSchema,
} from '#gen/causeway/operations/v1/flow_pb.js';
import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import type { InstalledConsumer } from '#kit/installation/consumers.ts';
import type { Finding } from '#kit/installation/finding.ts';
import type { InstalledService } from '#kit/installation/services.ts';
import type { InstalledStream } from '#kit/installation/streams.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { consumerMessage, findingMessage, serviceMessage, streamMessage } from './flow-messages.ts';
import type { Overview } from './overview.ts';

type FlowMethods = Pick<
  Implementation<typeof OperationsService>,
  'listServices' | 'listStreams' | 'listConsumers' | 'diagnose' | 'watchOverview'
>;

/** What is installed, and what is wrong with it. Each throws UnavailableError where the broker is away. */
type Installation = {
  services(): Promise<InstalledService[]>;
  streams(): Promise<InstalledStream[]>;
  consumers(): Promise<InstalledConsumer[]>;
  /** The worst first. */
  diagnose(): Promise<Finding[]>;
};

export type FlowParts = { installation: Installation; overview: Pick<Overview, 'watch'> };

/** What the platform is doing now, and what is wrong with it. */
export function flowMethods({ installation, overview }: FlowParts): FlowMethods {
  return {
    async listServices(_, call) {
      requireRole(call, 'operator');
      return create(ListServicesResponseSchema, { services: (await installation.services()).map(serviceMessage) });
    },

    async listStreams(_, call) {
      requireRole(call, 'operator');
      return create(ListStreamsResponseSchema, { streams: (await installation.streams()).map(streamMessage) });
    },

    async listConsumers({ service: asked }, call) {
      requireRole(call, 'operator');
      const consumers = (await installation.consumers()).filter(({ service }) => asked === '' || service === asked);
      return create(ListConsumersResponseSchema, { consumers: consumers.map(consumerMessage) });
    },

    async diagnose(_, call) {
      requireRole(call, 'operator');
      return create(DiagnoseResponseSchema, { findings: (await installation.diagnose()).map(findingMessage) });
    },

    async *watchOverview(_, call) {
      requireRole(call, 'operator');
      yield* overview.watch(call.signal);
    },
  };
}
