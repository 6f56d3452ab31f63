import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ActStateSchema } from '#gen/causeway/operations/v1/state_pb.js';
import { given } from '#kit/testing/given.ts';
import { actAggregate } from '../adapters/act-aggregate.ts';
import { type Act, type ActCommand, type ActEvent, act, type Place } from './act.ts';

const actId = 'act-1';
const selection = { consumer: 'payments-authorize', key: '', reason: '', eventType: '', all: false };
const [place, other]: [Place, Place] = [
  { consumer: 'payments-authorize', partition: 2, key: 'order-1' },
  { consumer: 'payments-authorize', partition: 2, key: 'order-2' },
];
const letter = { sequence: 7n, stream: 'ORDERS', streamSequence: 3n, eventId: 'e-1', eventType: 'OrderPlaced' };

const asking = { actId, selection, note: 'mended', edited: new Uint8Array(), editedSequence: 0n };
const requested: ActEvent = { type: 'DeadLetterReplayRequested', ...asking };
const discarding = { actId, selection, firstOnly: true, note: 'done by hand' };
const taken: ActEvent = { type: 'ParkedKeyTaken', actId, ...place, messages: 2, listed: [letter] };
const replayed: ActEvent = { type: 'ParkedKeyReplayed', actId, ...place, handled: 2, remaining: 0, error: '' };
const failed: ActEvent = { ...replayed, handled: 0, remaining: 2, error: 'refused again' };
const discarded: ActEvent = { type: 'ParkedKeyDiscarded', actId, ...place, discarded: 2, error: '' };
const interrupted: ActEvent = { type: 'DeadLetterActEnded', actId, keys: 0, messages: 0, interrupted: true };
const ended: ActEvent = { ...interrupted, interrupted: false };

const takeKey: ActCommand = { ...taken, type: 'TakeKey' };
const takeOther: ActCommand = { ...takeKey, ...other };
const end: ActCommand = { type: 'EndAct', actId, interrupted: false };

describe('an act', () => {
  test('is asked for before anything is done, with who it is about and why', () => {
    given(act)
      .when({ type: 'RequestReplay', ...asking })
      .thenEvent(requested);
    given(act)
      .when({ type: 'RequestDiscard', ...discarding })
      .thenEvent({ type: 'DeadLetterDiscardRequested', ...discarding });
    given(act).when(takeKey).thenRefused('FAILED_PRECONDITION', 'ACT_NOT_OPEN');
    given(act).when(end).thenRefused('FAILED_PRECONDITION', 'ACT_NOT_OPEN');
  });

  test('takes one key at a time, and notes what came of it once', () => {
    given(act, requested).when(takeKey).thenEvent(taken);
    given(act, requested, taken).when(takeOther).thenRefused('FAILED_PRECONDITION', 'ACT_AT_WORK');
    given(act, requested, taken).when(end).thenRefused('FAILED_PRECONDITION', 'ACT_AT_WORK');
    given(act, requested, taken)
      .when({ ...replayed, type: 'NoteReplayed' })
      .thenEvent(replayed);
    given(act, requested, taken)
      .when({ ...discarded, type: 'NoteDiscarded' })
      .thenEvent(discarded);
    given(act, requested, taken, replayed)
      .when({ ...replayed, type: 'NoteReplayed' })
      .thenNothing();
    given(act, requested, taken)
      .when({ ...replayed, ...other, type: 'NoteReplayed' })
      .thenNothing();
  });

  test('takes a key up again of which it is not known what came', () => {
    given(act, requested, taken).when(takeKey).thenNothing();
    given(act, requested, taken, replayed)
      .when(takeOther)
      .thenEvent({ ...taken, ...other } as ActEvent);
  });

  test('ends with how many keys and messages were done', () => {
    given(act, requested).when(end).thenEvent(ended);
    given(act, requested, taken, replayed)
      .when(end)
      .thenEvent({ ...ended, keys: 1, messages: 2 } as ActEvent);
    given(act, requested, taken, failed).when(end).thenEvent(ended);
    given(act, requested, ended).when(end).thenNothing();
    given(act, requested, ended).when(takeKey).thenRefused('FAILED_PRECONDITION', 'ACT_NOT_OPEN');
  });

  test('that was interrupted goes on', () => {
    const interrupt: ActCommand = { ...end, interrupted: true };
    given(act, requested).when(interrupt).thenEvent(interrupted);
    given(act, requested, interrupted).when(interrupt).thenNothing();
    given(act, requested, interrupted).when(takeKey).thenEvent(taken);
    given(act, requested, interrupted).when(end).thenEvent(ended);
  });

  test('has its request id for itself', () => {
    given(act, requested)
      .when({ type: 'RequestReplay', ...asking })
      .thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
    given(act, requested)
      .when({ type: 'RequestDiscard', ...discarding })
      .thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
    given(act, requested)
      .when({ type: 'UseRequestId', orderId: 'order-1' })
      .thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
  });
});

test('a request id that settled one fulfilment is not used for another, nor for an act', () => {
  const used: ActEvent = { type: 'RequestIdUsed', orderId: 'order-1' };
  given(act).when({ type: 'UseRequestId', orderId: 'order-1' }).thenEvent(used);
  given(act, used).when({ type: 'UseRequestId', orderId: 'order-1' }).thenNothing();
  given(act, used).when({ type: 'UseRequestId', orderId: 'order-2' }).thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
  given(act, used)
    .when({ type: 'RequestReplay', ...asking })
    .thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
  given(act, used).when(takeKey).thenRefused('FAILED_PRECONDITION', 'ACT_NOT_OPEN');
});

const anyPlace = fc.constantFrom(place, other);
const anyCommand: fc.Arbitrary<ActCommand> = fc.oneof(
  fc.constant<ActCommand>({ type: 'RequestReplay', ...asking }),
  fc.constant<ActCommand>({ type: 'UseRequestId', orderId: 'order-1' }),
  anyPlace.map((at): ActCommand => ({ type: 'TakeKey', actId, ...at, messages: 1, listed: [] })),
  anyPlace.map((at): ActCommand => ({ type: 'NoteReplayed', actId, ...at, handled: 1, remaining: 0, error: '' })),
  anyPlace.map((at): ActCommand => ({ type: 'NoteDiscarded', actId, ...at, discarded: 1, error: '' })),
  fc.boolean().map((isInterrupted): ActCommand => ({ type: 'EndAct', actId, interrupted: isInterrupted })),
);

test('whatever comes: one outcome of each key that was taken, none of another, and the state survives the wire', () => {
  fc.assert(
    fc.property(fc.array(anyCommand, { maxLength: 20 }), (commands) => {
      let state: Act = act.initialState;
      let open: Place | undefined;
      for (const command of commands) {
        const decided = act.decide(command, state);
        if (decided === undefined || 'refused' in decided) continue;
        if (decided.type === 'ParkedKeyTaken') {
          expect(open).toBeUndefined();
          open = decided;
        } else if (decided.type === 'ParkedKeyReplayed' || decided.type === 'ParkedKeyDiscarded') {
          expect(decided.key).toBe(open?.key);
          open = undefined;
        }
        state = act.evolve(state, decided);
        const stored = toBinary(ActStateSchema, create(ActStateSchema, actAggregate.state.encode(state)));
        expect(actAggregate.state.decode(fromBinary(ActStateSchema, stored))).toEqual(state);
      }
    }),
    { numRuns: 1_000 },
  );
});
