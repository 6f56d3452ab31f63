import type { Decider } from '#kit/decider.ts';

/** What is done to a view; the numbers of the contract. */
export const ProjectionActKind = { rebuild: 1, switch: 2, discard: 3 } as const;

export type ProjectionActRequested = {
  type: 'ProjectionActRequested';
  service: string;
  view: string;
  act: (typeof ProjectionActKind)[keyof typeof ProjectionActKind];
  /** Which build is switched to, or dropped; 0 for a rebuild. */
  build: number;
  reason: string;
  switchWhenCaughtUp: boolean;
};

export type RequestProjectionAct = Omit<ProjectionActRequested, 'type'> & { type: 'RequestProjectionAct' };

export type ProjectionActs = { acts: number };

/** What operators have done to a view. It is recorded before it is done; whether it can be done, its service knows. */
export const projectionActs: Decider<RequestProjectionAct, ProjectionActs, ProjectionActRequested> = {
  initialState: { acts: 0 },

  decide(command) {
    return { ...command, type: 'ProjectionActRequested' };
  },

  evolve({ acts }) {
    return { acts: acts + 1 };
  },
};
