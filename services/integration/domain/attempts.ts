import type { Decider } from '#kit/decider.ts';

export type AttemptEvent =
  | { type: 'DeliverySucceeded'; deliveryId: string; endpointId: string; httpStatus: number; durationMs: number }
  | {
      type: 'DeliveryAttemptFailed';
      deliveryId: string;
      endpointId: string;
      httpStatus: number;
      error: string;
      durationMs: number;
      givenUp: boolean;
    }
  | { type: 'DeliveryDropped'; deliveryId: string; endpointId: string; reason: string };

/** What has become of a delivery. `Open`: it was not tried yet, or will be tried again. */
export type Attempts = { status: 'Open' } | { status: 'Delivered' } | { status: 'Dropped' };

/**
 * Notes what came of trying to deliver: the command is the event. What was delivered stays delivered, whatever another
 * owner of the partition, who knew nothing of it, has tried meanwhile.
 */
export const attempts: Decider<AttemptEvent, Attempts, AttemptEvent> = {
  initialState: { status: 'Open' },

  decide(event, state) {
    if (state.status === 'Delivered') return undefined;
    if (state.status === 'Dropped' && event.type !== 'DeliverySucceeded') return undefined;
    return event;
  },

  evolve(state, event) {
    switch (event.type) {
      case 'DeliverySucceeded':
        return { status: 'Delivered' };
      case 'DeliveryDropped':
        return { status: 'Dropped' };
      case 'DeliveryAttemptFailed':
        return state;
      default:
        return event satisfies never;
    }
  },
};
