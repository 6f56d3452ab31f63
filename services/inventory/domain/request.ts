import type { Decider } from '#kit/decider.ts';

export type RequestEvent = { type: 'RequestIdUsed'; sku: string };

/** Takes a caller's request id for a request about this item, so that it can't be used for another. */
export type UseRequestId = { type: 'UseRequestId'; sku: string };

export type Request = { status: 'Unused' } | { status: 'Used'; sku: string };

export const request: Decider<UseRequestId, Request, RequestEvent> = {
  initialState: { status: 'Unused' },

  decide({ sku }, state) {
    if (state.status === 'Unused') return { type: 'RequestIdUsed', sku };
    if (state.sku === sku) return undefined;
    return {
      refused: 'ALREADY_EXISTS',
      reason: 'REQUEST_DIFFERS',
      message: `the request was made before, for item ${state.sku}`,
    };
  },

  evolve(_, { sku }) {
    return { status: 'Used', sku };
  },
};
