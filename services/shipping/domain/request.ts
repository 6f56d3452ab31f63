import type { Decider } from '#kit/decider.ts';

export type RequestEvent = { type: 'RequestIdUsed'; orderId: string };

/** Takes a caller's request id for a request about this order, so that it can't be used for another. */
export type UseRequestId = { type: 'UseRequestId'; orderId: string };

export type Request = { status: 'Unused' } | { status: 'Used'; orderId: string };

export const request: Decider<UseRequestId, Request, RequestEvent> = {
  initialState: { status: 'Unused' },

  decide({ orderId }, state) {
    if (state.status === 'Unused') return { type: 'RequestIdUsed', orderId };
    if (state.orderId === orderId) return undefined;
    return {
      refused: 'ALREADY_EXISTS',
      reason: 'REQUEST_DIFFERS',
      message: `the request was made before, for order ${state.orderId}`,
    };
  },

  evolve(_, { orderId }) {
    return { status: 'Used', orderId };
  },
};
