import type { Msg, Subscription } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import { CallError, type CallErrorDetails, type Code, UnavailableError } from './errors.ts';
import { isOutage } from './outages.ts';

type Refusal = Pick<CallErrorDetails, 'reason' | 'metadata' | 'violations'> & { code: Code; message: string };

type Reply = { isAtWork: true } | { progress: unknown } | { answer: unknown } | { refusal: Refusal };

/** How often who asked is told that there will be an answer. */
const SIGN_OF_LIFE_MS = 1_000;
const SILENCE_MS = 5_000;
/** The status of a message by which the broker says that nobody listens. */
const NO_RESPONDERS = 503;

export type Answering<Request, Answer> = {
  /** Of those that listen to one subject under one name, one gets a request. */
  queue: string;
  /** Requests at hand at once; others are refused with `busy`. */
  most: number;
  busy: string;
  /** What a message asks for. Anybody may send anything to a subject. @throws CallError INVALID_ARGUMENT */
  read(message: Msg): Request;
  /**
   * May throw UnavailableError and CallError.
   * @param told says how far it is.
   * @param left aborts when nobody waits any more.
   */
  answer(request: Request, told: (progress: unknown) => void, left: AbortSignal): Promise<Answer>;
};

/** Answers requests on a subject, with signs of life while it is at work, until the returned function is called. */
export function answerRequests<Request, Answer>(
  broker: Broker,
  subject: string,
  { queue, most, busy, read, answer }: Answering<Request, Answer>,
): () => void {
  let atHand = 0;
  const respond = (message: Msg, reply: Reply) => {
    // Without a connection nobody would hear it, and who asked is told by the silence.
    if (broker.connected()) message.respond(JSON.stringify(reply));
  };
  const handle = async (message: Msg) => {
    // What the broker sends here has no such place for an answer: who may ask streams may not ask others by their answers.
    if (message.subject !== subject || message.reply?.startsWith('_INBOX.') !== true) return;
    if (atHand >= most) return respond(message, { refusal: { code: 'UNAVAILABLE', message: busy } });
    atHand++;
    const isAtWork = () => respond(message, { isAtWork: true });
    isAtWork();
    const signs = setInterval(isAtWork, SIGN_OF_LIFE_MS);
    const leaving = new AbortController();
    const leavings = subscribed(broker, endOf(message.reply), () => leaving.abort());
    try {
      const told = (progress: unknown) => respond(message, { progress });
      respond(message, { answer: await answer(read(message), told, leaving.signal) });
    } catch (error) {
      respond(message, { refusal: refusalOf(error) });
    } finally {
      leavings();
      clearInterval(signs);
      atHand--;
    }
  };
  return subscribed(broker, subject, (message) => void handle(message), queue);
}

/** Where it is said that an answer is not waited for any more: not in the inbox, which is read by its owner alone. */
function endOf(inbox: string): string {
  return inbox.replace('_INBOX', 'ended');
}

function subscribed(broker: Broker, subject: string, heard: (message: Msg) => void, queue?: string) {
  const subscription: Subscription = broker.connection.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback: (error, message) => {
      if (error === null) heard(message);
    },
  });
  return () => {
    if (!subscription.isClosed()) subscription.unsubscribe();
  };
}

function refusalOf(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof CallError)) return { code: isOutage(error) ? 'UNAVAILABLE' : 'INTERNAL', message };
  const { reason, metadata, violations } = error.details;
  return {
    code: error.code,
    message,
    ...(reason && { reason }),
    ...(metadata && { metadata }),
    ...(violations && { violations }),
  };
}

export type Asking<Progress> = {
  signal?: AbortSignal | undefined;
  /** Without a sign of life for so long, it is not waited for any longer. */
  silenceMs?: number;
  /** What is said where nobody listens, and where nobody answers. */
  nobody: string;
  silent: string;
  onProgress?(progress: Progress): void;
};

/**
 * Asks whoever listens to a subject, and waits for the answer as long as there are signs of life.
 * @throws UnavailableError where nobody listens, or nobody answers.
 * @throws CallError as it was refused; CANCELLED when the signal aborts: what was begun may go on.
 */
export function askFor<Answer, Progress = never>(
  broker: Broker,
  subject: string,
  request: unknown,
  { signal, silenceMs = SILENCE_MS, nobody, silent, onProgress }: Asking<Progress>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(silence);
      forget();
      signal?.removeEventListener('abort', cancelled);
      if (!subscription.isClosed()) subscription.unsubscribe();
      settle();
    };
    const cancelled = () => {
      if (broker.connected()) broker.connection.publish(endOf(inbox));
      end(() => reject(new CallError('CANCELLED', 'it is not waited for any more')));
    };
    const fail = (message: string) => end(() => reject(new UnavailableError(message)));
    const inbox = broker.inbox();
    const subscription = broker.connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) return fail(error.message);
        if (message.headers?.code === NO_RESPONDERS) return fail(nobody);
        silence.refresh();
        const reply = message.json<Reply>();
        if ('progress' in reply) onProgress?.(reply.progress as Progress);
        if ('answer' in reply) end(() => resolve(reply.answer as Answer));
        if ('refusal' in reply) end(() => reject(errorOf(reply.refusal)));
      },
    });
    const silence = setTimeout(() => fail(silent), silenceMs);
    const forget = broker.onRefusal((refusal) => {
      if (refusal.subject === subject) fail(refusal.message);
    });
    signal?.addEventListener('abort', cancelled, { once: true });
    if (signal?.aborted) return cancelled();
    if (!broker.connected()) return fail('the broker is away');
    broker.connection.publish(subject, JSON.stringify(request), { reply: inbox });
  });
}

function errorOf({ code, message, ...details }: Refusal): Error {
  return code === 'UNAVAILABLE' ? new UnavailableError(message) : new CallError(code, message, details);
}
