import { durationMs } from '@bufbuild/protobuf/wkt';
import { BuildStatus, type ProjectionBuild, type ProjectionState } from '#gen/causeway/operations/v1/projections_pb.js';
import type { Tone } from '../../parts/badge.tsx';
import { spanText } from '../../parts/moment.tsx';
import { counted } from '../../parts/words.ts';

const STATUSES: Record<BuildStatus, { text: string; tone: Tone }> = {
  [BuildStatus.UNSPECIFIED]: { text: 'Not known', tone: 'idle' },
  [BuildStatus.BUILDING]: { text: 'Being built', tone: 'busy' },
  [BuildStatus.CAUGHT_UP]: { text: 'Ready to switch', tone: 'warning' },
  [BuildStatus.ACTIVE]: { text: 'What readers see', tone: 'good' },
  [BuildStatus.PREVIOUS]: { text: 'Seen before', tone: 'idle' },
};

export function buildStatus(status: BuildStatus): { text: string; tone: Tone } {
  return STATUSES[status] ?? STATUSES[BuildStatus.UNSPECIFIED];
}

/** How much of its journals has come into a build, 0 to 1; undefined where that is not known. */
export function shareDone({ eventsLeft, eventsTotal }: ProjectionBuild): number | undefined {
  if (eventsTotal <= 0n) return eventsLeft > 0n ? undefined : 1;
  return Math.min(1, Math.max(0, 1 - Number(eventsLeft) / Number(eventsTotal)));
}

/** So many events are always under way; beyond, a build is behind if they are more than a few seconds' worth. */
const UNDER_WAY = 100;
const BEHIND_SECONDS = 5;

export function isBehind({ eventsLeft, eventsPerSecond }: ProjectionBuild): boolean {
  return Number(eventsLeft) > Math.max(UNDER_WAY, eventsPerSecond * BEHIND_SECONDS);
}

/** Such as `12,400 events left, 3,200/s, 4 s to go`. */
export function progressText({ eventsLeft, eventsPerSecond, remaining }: ProjectionBuild): string {
  return [
    `${counted(eventsLeft, 'event')} left`,
    ...(eventsPerSecond > 0 ? [`${Math.round(eventsPerSecond).toLocaleString()}/s`] : []),
    ...(remaining === undefined ? [] : [`${spanText(durationMs(remaining))} to go`]),
  ].join(', ');
}

export type Row = { projection: ProjectionState; build: ProjectionBuild; isFirst: boolean };

/** A row for each build: a view's active one first, what is made beside it and what was before below. */
export function rowsOf(projections: readonly ProjectionState[]): Row[] {
  const order = [BuildStatus.ACTIVE, BuildStatus.BUILDING, BuildStatus.CAUGHT_UP, BuildStatus.PREVIOUS];
  return projections
    .toSorted((one, other) => compare(one.service, other.service) || compare(one.view, other.view))
    .flatMap((projection) =>
      projection.builds
        .toSorted((one, other) => order.indexOf(one.status) - order.indexOf(other.status) || other.build - one.build)
        .map((build, index) => ({ projection, build, isFirst: index === 0 })),
    );
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

/** Whether something is under way that is worth looking at each second. */
export function isAtWork(projections: readonly ProjectionState[]): boolean {
  return projections.some(({ builds }) => builds.some(({ status }) => status === BuildStatus.BUILDING));
}

export type Act = 'rebuild' | 'switch' | 'roll-back' | 'compare' | 'discard';

/** What can be done with a build now. */
export function actsFor({ projection, build }: Row): Act[] {
  switch (build.status) {
    case BuildStatus.ACTIVE:
      return isAtWork([projection]) || projection.builds.some(({ status }) => status === BuildStatus.CAUGHT_UP)
        ? []
        : ['rebuild'];
    case BuildStatus.CAUGHT_UP:
      return ['compare', 'switch', 'discard'];
    case BuildStatus.PREVIOUS:
      return ['compare', 'roll-back', 'discard'];
    case BuildStatus.BUILDING:
      // The first build of a version has nothing beside it that could be shown instead.
      return projection.builds.length > 1 ? ['discard'] : [];
    default:
      return [];
  }
}
