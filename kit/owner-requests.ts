import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import { isRow, type Row } from './dead-letters.ts';
import { CallError, type Code, UnavailableError } from './errors.ts';
import { isOutage } from './outages.ts';

/** What the owner of a partition is asked to do with the letters of a key. */
export type OwnerRequest = { key: string /** Sequence that the first letter must have. */; first?: number } & (
  | { command: 'replay' /** Base64 of what the first letter's message is to say instead. */; edited?: string }
  | { command: 'discard'; firstOnly: boolean }
);

/** What became of a replay: `error` says why the first of those that remain could not be handled. */
export type Replayed = { handled: number; remaining: number; error: string };

export type OwnerAnswer = Replayed | { discarded: number };

type Reply = { isAtWork: true } | { answer: OwnerAnswer } | { refusal: { code: Code; message: string } };

/** How often who asked is told that there will be an answer. */
const SIGN_OF_LIFE_MS = 1_000;
const SILENCE_MS = 5_000;
/** Requests that one owner of one partition has at hand. */
const MAX_REQUESTS = 64;
/** The status of a message by which the broker says that nobody listens. */
const NO_RESPONDERS = 503;

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
  let atHand = 0;
  const respond = (message: Msg, reply: Reply) => {
    // Without a connection nobody would hear it, and who asked is told by the silence.
    if (broker.connected()) message.respond(JSON.stringify(reply));
  };
  const handle = async (message: Msg) => {
    if (atHand >= MAX_REQUESTS) {
      respond(message, { refusal: { code: 'UNAVAILABLE', message: 'the owner of the partition has too much to do' } });
      return;
    }
    atHand++;
    const isAtWork = () => respond(message, { isAtWork: true });
    isAtWork();
    const signs = setInterval(isAtWork, SIGN_OF_LIFE_MS);
    try {
      respond(message, { answer: await answer(requestFrom(message, of)) });
    } catch (error) {
      respond(message, { refusal: refusalOf(error) });
    } finally {
      clearInterval(signs);
      atHand--;
    }
  };
  const subscription: Subscription = broker.connection.subscribe(subjectFor(of), {
    queue: 'owner',
    callback: (error, message) => {
      if (error === null) void handle(message);
    },
  });
  return () => {
    if (!subscription.isClosed()) subscription.unsubscribe();
  };
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

function refusalOf(error: unknown): { code: Code; message: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof CallError) return { code: error.code, message };
  return { code: isOutage(error) ? 'UNAVAILABLE' : 'INTERNAL', message };
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
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(silence);
      signal?.removeEventListener('abort', cancelled);
      if (!subscription.isClosed()) subscription.unsubscribe();
      settle();
    };
    const cancelled = () => end(() => reject(new CallError('CANCELLED', 'it is not waited for any more')));
    const fail = (message: string) => end(() => reject(new UnavailableError(message)));
    const inbox = createInbox();
    const subscription = broker.connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) return fail(error.message);
        if (message.headers?.code === NO_RESPONDERS) return fail('nobody owns the partition now');
        silence.refresh();
        const reply = message.json<Reply>();
        if ('answer' in reply) end(() => resolve(reply.answer as Answer));
        if ('refusal' in reply) end(() => reject(errorOf(reply.refusal)));
      },
    });
    const silence = setTimeout(() => fail('the owner of the partition does not answer'), SILENCE_MS);
    signal?.addEventListener('abort', cancelled, { once: true });
    if (signal?.aborted) return cancelled();
    if (!broker.connected()) return fail('the broker is away');
    broker.connection.publish(subjectFor(of), JSON.stringify(request), { reply: inbox });
  });
}

function errorOf({ code, message }: { code: Code; message: string }): Error {
  return code === 'UNAVAILABLE' ? new UnavailableError(message) : new CallError(code, message);
}
