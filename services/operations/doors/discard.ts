import type { ParkedKeyDiscarded } from '#gen/causeway/operations/v1/events_pb.js';
import { CallError } from '#kit/errors.ts';
import type { Place } from '../domain/act.ts';
import { type ActKind, type Acts, type Asked, type Desk, orWhyNot, placeOf, type Taken } from './acts.ts';

type KeyDiscarded = Place & { discarded: number; error: string };

/**
 * Throws parked messages away, key after key.
 * @param firstOnly only the first one of each key.
 * @throws CallError UNAVAILABLE where that was not possible for some keys: the same request goes on with them.
 */
export async function discard(
  acts: Acts,
  desk: Desk,
  asked: Asked,
  firstOnly: boolean,
): Promise<{ discarded: number; keys: number }> {
  const kind: ActKind<KeyDiscarded> = {
    request: (actId) => ({ type: 'RequestDiscard', actId, selection: asked.selection, firstOnly, note: asked.note }),
    carryOut: (taken) => discardKey(desk, taken, firstOnly),
    note: (actId, outcome) => ({ type: 'NoteDiscarded', actId, ...outcome }),
    recorded: (event) => {
      if (event.$typeName !== 'causeway.operations.v1.ParkedKeyDiscarded') return undefined;
      const { discarded, error, ...place } = event as ParkedKeyDiscarded;
      return { ...placeOf(place), discarded, error };
    },
    isDone: ({ error }) => error === '',
  };
  let [discarded, keys, failure] = [0, 0, ''];
  for await (const { outcome } of acts.carryOut(asked, kind)) {
    discarded += outcome.discarded;
    if (outcome.discarded > 0) keys++;
    if (outcome.error !== '') failure = `${outcome.consumer} ${outcome.key}: ${outcome.error}`;
  }
  if (failure === '') return { discarded, keys };
  throw new CallError('UNAVAILABLE', `${discarded} discarded, not all; the same request goes on. ${failure}`, {
    reason: 'NOT_ALL_DISCARDED',
    retryAfterMs: 1_000,
  });
}

async function discardKey(desk: Desk, { place, now, gone }: Taken, firstOnly: boolean): Promise<KeyDiscarded> {
  // An earlier call may have done it, and ended before it could say so.
  if (now === undefined || (firstOnly && gone > 0)) return { ...place, discarded: gone, error: '' };
  const options = firstOnly ? { firstOnly, first: now.first.sequence } : { firstOnly };
  const done = await orWhyNot(
    async () => ({ discarded: await desk.discard(place, options), error: '' }),
    { discarded: 0, error: '' },
    (error) => ({ discarded: 0, error }),
  );
  return { ...place, ...done };
}
