import type { Msg } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import { isRow, type Row } from './dead-letters.ts';
import { CallError } from './errors.ts';
import { answerRequests, askFor } from './requests.ts';

/** What the owner of a partition is asked to do with the letters of a key. */
export type OwnerRequest = { key: string /** Sequence that the first letter must have. */; first?: number } & (
  | { command: 'replay' /** Base64 of what the first letter's message is to say instead. */; edited?: string }
  | { command: 'discard'; firstOnly: boolean }
);

/** What became of a replay: `error` says why the first of those that remain could not be handled. */
export type Replayed = { handled: number; remaining: number; error: string };

export type OwnerAnswer = Replayed | { discarded: number };

/** Requests that one owner of one partition has at hand. */
const MAX_REQUESTS = 64;

function subjectFor({ consumer, partition }: Pick<Row, 'consumer' | 'partition'>): string {
  return `owner.${consumer}.${partition}`;
}

/**
 * Answers requests to the owner of a partition of a consumer, until the returned function is called. Where two believe
 * to be the owner, one of them gets a request.
 * @param answer may throw UnavailableError and CallError.
 */
export function answerAsOwner(
  broker: Broker,
  of: Pick<Row, 'consumer' | 'partition'>,
  answer: (request: OwnerRequest) => Promise<OwnerAnswer>,
): () => void {
  return answerRequests(broker, subjectFor(of), {
    queue: 'owner',
    most: MAX_REQUESTS,
    busy: 'the owner of the partition has too much to do',
    read: (message) => requestFrom(message, of),
    answer,
  });
}

/** @throws CallError INVALID_ARGUMENT: anybody may send anything to a subject. */
function requestFrom(message: Msg, of: Pick<Row, 'consumer' | 'partition'>): OwnerRequest {
  let request: Partial<OwnerRequest> = {};
  try {
    request = message.json<Partial<OwnerRequest>>();
  } catch {
    // Then it has no key either.
  }
  const { key = '', command } = request;
  if (isRow({ ...of, key }) && (command === 'replay' || command === 'discard')) return request as OwnerRequest;
  throw new CallError('INVALID_ARGUMENT', 'no request to the owner of a partition');
}

/**
 * Asks the owner of a partition, and waits for the answer as long as the owner gives signs of life.
 * @throws UnavailableError where nobody owns the partition, or the owner does not answer.
 * @throws CallError as the owner says; CANCELLED when the signal aborts: what was begun goes on.
 */
export function askOwner<Answer extends OwnerAnswer>(
  broker: Broker,
  of: Pick<Row, 'consumer' | 'partition'>,
  request: OwnerRequest,
  signal?: AbortSignal,
): Promise<Answer> {
  return askFor<Answer>(broker, subjectFor(of), request, {
    signal,
    nobody: 'nobody owns the partition now',
    silent: 'the owner of the partition does not answer',
  });
}
