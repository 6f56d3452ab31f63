import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  BuildStatus,
  type CompareProjectionResponse,
  CompareProjectionResponseSchema,
  type ProjectionBuild,
  ProjectionBuildSchema,
  type ProjectionState,
  ProjectionStateSchema,
} from '#gen/causeway/operations/v1/projections_pb.js';
import type { Comparison } from '#kit/view-compare.ts';
import type { BuildStatus as BuildFound, ViewStatus } from '#kit/view-status.ts';

const statuses: Record<BuildFound['status'], BuildStatus> = {
  building: BuildStatus.BUILDING,
  'caught up': BuildStatus.CAUGHT_UP,
  active: BuildStatus.ACTIVE,
  previous: BuildStatus.PREVIOUS,
};

/** A view as the API shows it. */
export function projectionMessage(service: string, { view, version, streams, builds }: ViewStatus): ProjectionState {
  return create(ProjectionStateSchema, { service, view, version, streams, builds: builds.map(buildMessage) });
}

function buildMessage(found: BuildFound): ProjectionBuild {
  const { build, status, collection, startedAt, startedBy, documents, left, total, perSecond, positions } = found;
  const remainingMs = status === 'building' && perSecond > 0 ? (left / perSecond) * 1_000 : undefined;
  return create(ProjectionBuildSchema, {
    build,
    status: statuses[status],
    collection,
    startedAt: timestampFromMs(startedAt),
    startedBy,
    documents: BigInt(documents),
    eventsLeft: BigInt(left),
    eventsTotal: BigInt(total),
    eventsPerSecond: perSecond,
    ...(remainingMs === undefined ? {} : { remaining: durationFromMs(Math.round(remainingMs)) }),
    positions: positions.map(({ sequence, ...place }) => ({ ...place, sequence: BigInt(sequence) })),
    parkedMessages: BigInt(found.parked),
    switchesWhenCaughtUp: found.switchWhenCaughtUp,
    trouble: found.trouble,
  });
}

export function comparisonMessage({ differences, ...counts }: Comparison): CompareProjectionResponse {
  const { compared, total, same, different, missing, extra, unsettled } = counts;
  return create(CompareProjectionResponseSchema, {
    compared: BigInt(compared),
    total: BigInt(total),
    same: BigInt(same),
    different: BigInt(different),
    missing: BigInt(missing),
    extra: BigInt(extra),
    unsettled: BigInt(unsettled),
    differences,
  });
}
