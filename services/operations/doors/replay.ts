import type { Message } from '@bufbuild/protobuf';
import type { DeadLetterReplayRequested, ParkedKeyReplayed } from '#gen/causeway/operations/v1/events_pb.js';
import type { Place } from '../domain/act.ts';
import {
  type ActKind,
  type Acts,
  type Asked,
  type Desk,
  orWhyNot,
  type Progress,
  placeOf,
  type Taken,
} from './acts.ts';

/** A letter that is handled as if it said something else. */
export type Edit = { sequence: number; data: Uint8Array };

/** What came of a key: its first messages were handled; why the next one was not. */
export type KeyReplayed = Place & { handled: number; remaining: number; error: string };

/**
 * Gives parked messages to their consumers once more, key after key. One that fails is told with its error, and the
 * others go on.
 * @param newEdit checks and makes the edit of the only key's first letter. Not asked in a repeat, which takes the edit
 *   that was recorded: its letter may be gone.
 */
export async function* replay(
  acts: Acts,
  desk: Desk,
  asked: Asked,
  newEdit: () => Promise<Edit | undefined>,
): AsyncGenerator<Progress<KeyReplayed>> {
  const [requested] = await acts.record(asked);
  const edit = requested === undefined ? await newEdit() : recordedEdit(requested);
  const kind: ActKind<KeyReplayed> = {
    request: (actId) => ({
      type: 'RequestReplay',
      actId,
      selection: asked.selection,
      note: asked.note,
      edited: edit?.data ?? new Uint8Array(),
      editedSequence: BigInt(edit?.sequence ?? 0),
    }),
    carryOut: (taken) => replayKey(desk, taken, edit),
    note: (actId, outcome) => ({ type: 'NoteReplayed', actId, ...outcome }),
    recorded: (event) => {
      if (event.$typeName !== 'causeway.operations.v1.ParkedKeyReplayed') return undefined;
      const { handled, remaining, error, ...place } = event as ParkedKeyReplayed;
      return { ...placeOf(place), handled, remaining, error };
    },
    // It was tried: to try once more is another request.
    isDone: () => true,
  };
  yield* acts.carryOut(asked, kind);
}

async function replayKey(desk: Desk, { place, now, gone }: Taken, edit: Edit | undefined): Promise<KeyReplayed> {
  if (now === undefined) return { ...place, handled: gone, remaining: 0, error: '' };
  // Where an earlier call was at work on the key, the edited message is handled, and those behind it are as they were.
  const options = edit === undefined || gone > 0 ? {} : { edited: edit.data, first: edit.sequence };
  const done = await orWhyNot(
    () => desk.replay(place, options),
    { handled: 0, remaining: 0, error: '' },
    (error) => ({ handled: 0, remaining: now.count, error }),
  );
  return { ...place, handled: gone + done.handled, remaining: done.remaining, error: done.error };
}

function recordedEdit(requested: Message): Edit | undefined {
  if (requested.$typeName !== 'causeway.operations.v1.DeadLetterReplayRequested') return undefined;
  const { edited, editedSequence } = requested as DeadLetterReplayRequested;
  return editedSequence === 0n ? undefined : { sequence: Number(editedSequence), data: edited };
}
