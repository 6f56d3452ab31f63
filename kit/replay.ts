import type { Broker } from './broker.ts';
import { type Letter, messageOf, type ParkingNote } from './dead-letters.ts';
import { CallError } from './errors.ts';
import type { StoredMessage } from './event.ts';
import type { OwnerAnswer, OwnerRequest, Replayed } from './owner-requests.ts';
import type { ParkedRow } from './parked-row.ts';

/** What became of one attempt to handle a letter's message. Where something is away, no attempt is counted. */
export type Attempted = 'handled' | { failed: ParkingNote } | { unavailable: string };

/** @param attempt counts from 1, those before the message was parked included. */
type Attempt = (message: StoredMessage, attempt: number) => Promise<Attempted>;

/** After this long a replay answers how far it has come, and goes on when it is asked again. */
const REPLAY_MS = 1_000;

export type ReplayParts = {
  broker: Broker;
  row: ParkedRow;
  attempt: Attempt;
  /** Aborts when the partition is not owned any more. */
  ended: AbortSignal;
};

/**
 * Does with a key's letters what its partition's owner was asked to. Nothing else of the key may be at work here.
 * @throws CallError NOT_FOUND where nothing is parked; FAILED_PRECONDITION where another letter is the first.
 * @throws UnavailableError
 */
export async function answerRequest(request: OwnerRequest, parts: ReplayParts): Promise<OwnerAnswer> {
  const first = await parts.row.first();
  if (first === undefined) throw new CallError('NOT_FOUND', 'nothing is parked there');
  if (request.first !== undefined && request.first !== first.sequence) {
    throw new CallError('FAILED_PRECONDITION', `the key's first dead letter is ${first.sequence}`, {
      reason: 'ANOTHER_LETTER_IS_FIRST',
    });
  }
  if (request.command === 'replay') return replay(first, request.edited, parts);
  if (!request.firstOnly) return { discarded: await parts.row.removeAll() };
  await parts.row.remove(first);
  return { discarded: 1 };
}

/** Handles letters first to last, each removed before the next is looked at, until one fails or enough time has passed. */
async function replay(first: Letter, edited: string | undefined, parts: ReplayParts): Promise<Replayed> {
  const { row, ended } = parts;
  const began = performance.now();
  let handled = 0;
  let error = '';
  for (let letter: Letter | undefined = first; letter !== undefined; letter = await row.next(letter)) {
    if (handled > 0 && (ended.aborted || performance.now() - began > REPLAY_MS)) break;
    error = await tryOnce(letter, handled === 0 ? edited : undefined, parts);
    if (error !== '') break;
    await row.remove(letter);
    handled++;
  }
  return { handled, remaining: await row.count(), error };
}

/** Answers why it failed, where it did. */
async function tryOnce(
  letter: Letter,
  edited: string | undefined,
  { broker, row, attempt }: ReplayParts,
): Promise<string> {
  const attempts = letter.attempts + 1;
  const message = await messageOf(broker, letter);
  const attempted: Attempted =
    message === undefined
      ? { failed: { reason: 'CANNOT_DECODE', error: `${letter.stream} does not have it any more`, attempts } }
      : await attempt(edited === undefined ? message : { ...message, data: Buffer.from(edited, 'base64') }, attempts);
  if (attempted === 'handled') return '';
  if ('unavailable' in attempted) return attempted.unavailable || 'something that it needs is away';
  await row.note(letter, attempted.failed);
  return attempted.failed.error || attempted.failed.reason;
}
