import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import {
  BuildStatus,
  ProjectionBuildSchema,
  ProjectionStateSchema,
} from '#gen/causeway/operations/v1/projections_pb.js';
import { actsFor, isAtWork, isBehind, progressText, rowsOf, shareDone } from './build-words.ts';

const { ACTIVE, BUILDING, CAUGHT_UP, PREVIOUS } = BuildStatus;

function build(given: MessageInitShape<typeof ProjectionBuildSchema>) {
  return create(ProjectionBuildSchema, given);
}

function view(name: string, ...statuses: BuildStatus[]) {
  return create(ProjectionStateSchema, {
    service: 'orders',
    view: name,
    builds: statuses.map((status, index) => ({ build: index + 1, status })),
  });
}

test('progress says what is left, how fast it goes and how long it takes, as far as that is known', () => {
  expect(shareDone(build({ eventsLeft: 250n, eventsTotal: 1_000n }))).toBe(0.75);
  expect(progressText(build({ eventsLeft: 12_400n, eventsPerSecond: 3_200.4, remaining: durationFromMs(3_900) }))).toBe(
    '12,400 events left, 3,200/s, 3.9 s to go',
  );
  expect(progressText(build({ eventsLeft: 1n }))).toBe('1 event left');
});

test('a build of empty journals is done; one whose journals nobody counted is somewhere', () => {
  expect(shareDone(build({}))).toBe(1);
  expect(shareDone(build({ eventsLeft: 5n }))).toBeUndefined();
  expect(shareDone(build({ eventsLeft: 12n, eventsTotal: 10n }))).toBe(0);
});

test("views come by name, what readers see before a view's other builds", () => {
  const rows = rowsOf([view('orders', PREVIOUS, ACTIVE, BUILDING), view('history', ACTIVE)]);

  expect(rows.map((row) => `${row.projection.view} ${BuildStatus[row.build.status]} ${row.isFirst}`)).toEqual([
    'history ACTIVE true',
    'orders ACTIVE true',
    'orders BUILDING false',
    'orders PREVIOUS false',
  ]);
});

test('what can be done depends on where a build stands', () => {
  const acts = (...statuses: BuildStatus[]) =>
    Object.fromEntries(
      rowsOf([view('orders', ...statuses)]).map((row) => [BuildStatus[row.build.status], actsFor(row)]),
    );

  expect(acts(ACTIVE)).toEqual({ ACTIVE: ['rebuild'] });
  expect(acts(ACTIVE, BUILDING)).toEqual({ ACTIVE: [], BUILDING: ['discard'] });
  expect(acts(ACTIVE, CAUGHT_UP)).toEqual({ ACTIVE: [], CAUGHT_UP: ['compare', 'switch', 'discard'] });
  expect(acts(PREVIOUS, ACTIVE)).toEqual({ ACTIVE: ['rebuild'], PREVIOUS: ['compare', 'roll-back', 'discard'] });
  expect(acts(BUILDING)).toEqual({ BUILDING: [] });
});

test('it is looked at often only while something is being built', () => {
  expect(isAtWork([view('orders', ACTIVE, CAUGHT_UP), view('history', ACTIVE, BUILDING)])).toBe(true);
  expect(isAtWork([view('orders', ACTIVE, CAUGHT_UP)])).toBe(false);
});

test('what is under way at the moment is not behind', () => {
  expect(isBehind(build({ eventsLeft: 100n }))).toBe(false);
  expect(isBehind(build({ eventsLeft: 101n }))).toBe(true);
  expect(isBehind(build({ eventsLeft: 5_000n, eventsPerSecond: 1_000 }))).toBe(false);
});
