import { create, fromBinary } from '@bufbuild/protobuf';
import { type PartitionsAssigned, PartitionsAssignedSchema } from '#gen/causeway/events/v1/partitions_assigned_pb.js';
import { ListRebalancesResponseSchema, type Rebalance, RebalanceSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { SERVICE_AGGREGATE } from '#kit/assignments.ts';
import type { Broker } from '#kit/broker.ts';
import { invalid } from '#kit/errors.ts';
import { Header, type StoredMessage } from '#kit/event.ts';
import { searchLog } from '#kit/log-search.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { NOTICES } from '#kit/streams.ts';
import { saidAt } from './known-events.ts';

type RebalanceMethods = Pick<Implementation<typeof OperationsService>, 'listRebalances'>;

const DEFAULT_PAGE_SIZE = 50;
const MAX_BYTES = 2 * 1024 ** 2;
const SEARCH_MS = 1_300;
const SERVICE = /^[a-z0-9-]*$/;

/** Which instance came to own which partitions, as far back as notices are kept. */
export function rebalanceMethods({ broker }: { broker: Broker }): RebalanceMethods {
  return {
    async listRebalances({ service, pageSize }, call) {
      requireRole(call, 'operator');
      if (!SERVICE.test(service)) throw invalid('service', 'a service has a-z, 0-9 and dashes in its name');
      const filter = {
        streams: [NOTICES.stream],
        aggregate: SERVICE_AGGREGATE,
        ...(service === '' ? {} : { key: service }),
        matches: (message: StoredMessage) => saidIn(message) !== undefined,
      };
      const count = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
      const limits = { count, bytes: MAX_BYTES, searchMs: SEARCH_MS, signal: call.signal };
      const { found } = await searchLog(broker, filter, undefined, limits);
      return create(ListRebalancesResponseSchema, { rebalances: found.flatMap(rebalanceOf) });
    },
  };
}

/** Anybody may publish anything on the subject. */
function saidIn({ headers, data }: StoredMessage): PartitionsAssigned | undefined {
  if (headers.get(Header.type) !== PartitionsAssignedSchema.typeName) return undefined;
  try {
    return fromBinary(PartitionsAssignedSchema, data);
  } catch {
    return undefined;
  }
}

function rebalanceOf(message: StoredMessage): Rebalance[] {
  const said = saidIn(message);
  if (said === undefined) return [];
  const { service, member: instanceId, host, partitions, gained, lost, members: instances } = said;
  const at = saidAt(message);
  return [
    create(RebalanceSchema, {
      eventId: message.headers.get(Header.id),
      ...(at === undefined ? {} : { at }),
      ...{ service, instanceId, host, partitions, gained, lost, instances },
    }),
  ];
}
