import type { Decider } from '#kit/decider.ts';

/** How a fulfilment is settled; the numbers of the contract. */
export type ResolutionChoice = 1 | 2;

export type ResolutionEvent = {
  type: 'FulfilmentResolutionRequested';
  orderId: string;
  resolution: ResolutionChoice;
  note: string;
};

/** How the fulfilment stands, as its journal's leader said. */
export type Standing =
  | { is: 'unknown' }
  | { is: 'not in need' }
  | { is: 'settled just now' }
  /** @param requestsBefore how often a resolution had been asked for when that was seen. */
  | { is: 'in need'; requestsBefore: number };

export type ResolveFulfilment = {
  type: 'ResolveFulfilment';
  orderId: string;
  resolution: ResolutionChoice;
  note: string;
  standing: Standing;
};

export type Resolution = { requests: number };

/** What operators decide about a fulfilment that no rule could settle: once each time that it needs attention. */
export const resolution: Decider<ResolveFulfilment, Resolution, ResolutionEvent> = {
  initialState: { requests: 0 },

  decide({ orderId, resolution, note, standing }, { requests }) {
    if (standing.is === 'unknown') {
      return {
        refused: 'NOT_FOUND',
        reason: 'FULFILMENT_UNKNOWN',
        message: `there is no fulfilment of order ${orderId}`,
      };
    }
    if (standing.is === 'not in need') {
      return {
        refused: 'FAILED_PRECONDITION',
        reason: 'FULFILMENT_NEEDS_NO_ATTENTION',
        message: `the fulfilment of order ${orderId} needs no attention`,
      };
    }
    if (standing.is === 'settled just now' || standing.requestsBefore !== requests) {
      return {
        refused: 'FAILED_PRECONDITION',
        reason: 'RESOLUTION_ASKED_FOR',
        message: `the fulfilment of order ${orderId} was settled just now, by another request`,
      };
    }
    return { type: 'FulfilmentResolutionRequested', orderId, resolution, note };
  },

  evolve({ requests }) {
    return { requests: requests + 1 };
  },
};
