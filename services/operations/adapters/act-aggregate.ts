import {
  DeadLetterActEndedSchema,
  DeadLetterDiscardRequestedSchema,
  DeadLetterReplayRequestedSchema,
  ParkedKeyDiscardedSchema,
  ParkedKeyReplayedSchema,
  ParkedKeyTakenSchema,
  RequestIdUsedSchema,
} from '#gen/causeway/operations/v1/events_pb.js';
import { ActStage, type ActState, ActStateSchema } from '#gen/causeway/operations/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { type Act, type ActCommand, type ActEvent, act } from '../domain/act.ts';

/** An act's forms on the wire. Its key is made from the caller and the request id. */
export const actAggregate: Aggregate<ActCommand, Act, ActEvent, typeof ActStateSchema> = {
  name: 'act',
  decider: act,
  events: {
    DeadLetterReplayRequested: DeadLetterReplayRequestedSchema,
    DeadLetterDiscardRequested: DeadLetterDiscardRequestedSchema,
    ParkedKeyTaken: ParkedKeyTakenSchema,
    ParkedKeyReplayed: ParkedKeyReplayedSchema,
    ParkedKeyDiscarded: ParkedKeyDiscardedSchema,
    DeadLetterActEnded: DeadLetterActEndedSchema,
    RequestIdUsed: RequestIdUsedSchema,
  },
  state: { type: ActStateSchema, version: 1, encode, decode },
};

const stages: Record<Act['status'], ActStage> = {
  None: ActStage.UNSPECIFIED,
  Open: ActStage.OPEN,
  Interrupted: ActStage.INTERRUPTED,
  Ended: ActStage.ENDED,
  UsedElsewhere: ActStage.USED_ELSEWHERE,
};

function encode(state: Act) {
  const stage = stages[state.status];
  if (state.status === 'None') return { stage };
  if (state.status === 'UsedElsewhere') return { stage, usedForOrderId: state.orderId };
  const { keys, messages } = state;
  const atWork = state.status === 'Open' ? state.atWork : undefined;
  return { stage, keys, messages, ...(atWork === undefined ? {} : { atWork }) };
}

function decode({ stage, keys, messages, atWork, usedForOrderId }: ActState): Act {
  switch (stage) {
    case ActStage.OPEN: {
      const { consumer = '', partition = 0, key = '' } = atWork ?? {};
      return { status: 'Open', keys, messages, atWork: atWork && { consumer, partition, key } };
    }
    case ActStage.INTERRUPTED:
      return { status: 'Interrupted', keys, messages };
    case ActStage.ENDED:
      return { status: 'Ended', keys, messages };
    case ActStage.USED_ELSEWHERE:
      return { status: 'UsedElsewhere', orderId: usedForOrderId };
    case ActStage.UNSPECIFIED:
      return { status: 'None' };
    default:
      return stage satisfies never;
  }
}
