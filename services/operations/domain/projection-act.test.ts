import { test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { ProjectionActKind, type ProjectionActRequested, projectionActs } from './projection-act.ts';

const asked = {
  service: 'orders',
  view: 'history',
  act: ProjectionActKind.rebuild,
  build: 0,
  reason: 'a field was missing',
  switchWhenCaughtUp: true,
} as const;
const event: ProjectionActRequested = { type: 'ProjectionActRequested', ...asked };

test('what an operator has done to a view is recorded, each time', () => {
  given(projectionActs)
    .when({ type: 'RequestProjectionAct', ...asked })
    .thenEvent(event);
  given(projectionActs, event)
    .when({ type: 'RequestProjectionAct', ...asked, act: ProjectionActKind.switch, build: 2 })
    .thenEvent({ ...event, act: ProjectionActKind.switch, build: 2 });
});
