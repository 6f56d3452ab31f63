import type { Decider, Refusal } from '#kit/decider.ts';

/** A key of a consumer, with what it has parked. */
export type Place = { consumer: string; partition: number; key: string };

/** What was chosen among the dead letters; empty: none in particular. */
export type Selection = { consumer: string; key: string; reason: string; eventType: string; all: boolean };

/** A parked message: where it stands, and what it is. */
export type Parked = {
  sequence: bigint;
  stream: string;
  streamSequence: bigint;
  eventId: string;
  eventType: string;
};

type ReplayRequested = {
  type: 'DeadLetterReplayRequested';
  actId: string;
  selection: Selection;
  note: string;
  edited: Uint8Array;
  editedSequence: bigint;
};
type DiscardRequested = {
  type: 'DeadLetterDiscardRequested';
  actId: string;
  selection: Selection;
  firstOnly: boolean;
  note: string;
};
type KeyTaken = Place & { type: 'ParkedKeyTaken'; actId: string; messages: number; listed: Parked[] };
type KeyReplayed = Place & {
  type: 'ParkedKeyReplayed';
  actId: string;
  handled: number;
  remaining: number;
  error: string;
};
type KeyDiscarded = Place & { type: 'ParkedKeyDiscarded'; actId: string; discarded: number; error: string };

export type ActEvent =
  | ReplayRequested
  | DiscardRequested
  | KeyTaken
  | KeyReplayed
  | KeyDiscarded
  | { type: 'DeadLetterActEnded'; actId: string; keys: number; messages: number; interrupted: boolean }
  | { type: 'RequestIdUsed'; orderId: string };

/** Each command says what its event says. */
export type ActCommand =
  | (Omit<ReplayRequested, 'type'> & { type: 'RequestReplay' })
  | (Omit<DiscardRequested, 'type'> & { type: 'RequestDiscard' })
  | (Omit<KeyTaken, 'type'> & { type: 'TakeKey' })
  | (Omit<KeyReplayed, 'type'> & { type: 'NoteReplayed' })
  | (Omit<KeyDiscarded, 'type'> & { type: 'NoteDiscarded' })
  | { type: 'EndAct'; actId: string; interrupted: boolean }
  | { type: 'UseRequestId'; orderId: string };

type Done = { keys: number; messages: number };

export type Act =
  | { status: 'None' }
  | ({ status: 'Open'; atWork: Place | undefined } & Done)
  | ({ status: 'Interrupted' } & Done)
  | ({ status: 'Ended' } & Done)
  | { status: 'UsedElsewhere'; orderId: string };

/** What an operator does to dead letters: asked for first, then key by key, one at a time, each with what came of it. */
export const act: Decider<ActCommand, Act, ActEvent> = {
  initialState: { status: 'None' },

  decide(command, state) {
    switch (command.type) {
      case 'RequestReplay':
        return state.status === 'None' ? { ...command, type: 'DeadLetterReplayRequested' } : requestDiffers();
      case 'RequestDiscard':
        return state.status === 'None' ? { ...command, type: 'DeadLetterDiscardRequested' } : requestDiffers();
      case 'UseRequestId':
        if (state.status === 'None') return { type: 'RequestIdUsed', orderId: command.orderId };
        return state.status === 'UsedElsewhere' && state.orderId === command.orderId ? undefined : requestDiffers();
      case 'TakeKey':
        return takeKey(command, state);
      case 'NoteReplayed':
        return isAtWork(command, state) ? { ...command, type: 'ParkedKeyReplayed' } : undefined;
      case 'NoteDiscarded':
        return isAtWork(command, state) ? { ...command, type: 'ParkedKeyDiscarded' } : undefined;
      case 'EndAct':
        return end(command, state);
      default:
        return command satisfies never;
    }
  },

  evolve(state, event) {
    if (event.type === 'RequestIdUsed') return { status: 'UsedElsewhere', orderId: event.orderId };
    const { keys, messages } = 'keys' in state ? state : { keys: 0, messages: 0 };
    switch (event.type) {
      case 'DeadLetterReplayRequested':
      case 'DeadLetterDiscardRequested':
        return { status: 'Open', atWork: undefined, keys, messages };
      case 'ParkedKeyTaken':
        return { status: 'Open', atWork: placeOf(event), keys, messages };
      case 'ParkedKeyReplayed':
        return { status: 'Open', atWork: undefined, ...withMore({ keys, messages }, event.handled) };
      case 'ParkedKeyDiscarded':
        return { status: 'Open', atWork: undefined, ...withMore({ keys, messages }, event.discarded) };
      case 'DeadLetterActEnded':
        return { status: event.interrupted ? 'Interrupted' : 'Ended', keys, messages };
      default:
        return event satisfies never;
    }
  },
};

function takeKey(command: Extract<ActCommand, { type: 'TakeKey' }>, state: Act): ActEvent | Refusal | undefined {
  if (state.status === 'Interrupted') return { ...command, type: 'ParkedKeyTaken' };
  if (state.status !== 'Open') return notOpen(command.actId);
  if (state.atWork === undefined) return { ...command, type: 'ParkedKeyTaken' };
  // After a crash it is not known what came of the key: it is taken up again.
  return isSame(state.atWork, command) ? undefined : atWork(command.actId);
}

function end({ actId, interrupted }: Extract<ActCommand, { type: 'EndAct' }>, state: Act) {
  if (state.status === 'Ended' || (state.status === 'Interrupted' && interrupted)) return undefined;
  if (state.status !== 'Open' && state.status !== 'Interrupted') return notOpen(actId);
  if (state.status === 'Open' && state.atWork !== undefined) return atWork(actId);
  const { keys, messages } = state;
  return { type: 'DeadLetterActEnded', actId, keys, messages, interrupted } as const;
}

function isAtWork(place: Place, state: Act): boolean {
  return state.status === 'Open' && state.atWork !== undefined && isSame(state.atWork, place);
}

function isSame(one: Place, other: Place): boolean {
  return one.consumer === other.consumer && one.partition === other.partition && one.key === other.key;
}

function placeOf({ consumer, partition, key }: Place): Place {
  return { consumer, partition, key };
}

function withMore({ keys, messages }: Done, done: number): Done {
  return done === 0 ? { keys, messages } : { keys: keys + 1, messages: messages + done };
}

function requestDiffers(): Refusal {
  return {
    refused: 'ALREADY_EXISTS',
    reason: 'REQUEST_DIFFERS',
    message: 'a request with this id was made before, with other content',
  };
}

function notOpen(actId: string): Refusal {
  return { refused: 'FAILED_PRECONDITION', reason: 'ACT_NOT_OPEN', message: `act ${actId} is not open` };
}

function atWork(actId: string): Refusal {
  return {
    refused: 'FAILED_PRECONDITION',
    reason: 'ACT_AT_WORK',
    message: `act ${actId} is at work on another key: the same request is being carried out elsewhere`,
  };
}
