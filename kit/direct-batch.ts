import type { Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import type { StoredMessage } from './event.ts';
import { headersOfCore } from './message-headers.ts';

/** A message with when the broker stored it, in microseconds since 1970: in one stream that never goes back. */
export type TimedMessage = StoredMessage & { storedAtMicros: number };

/** What is asked for, in the broker's words. */
type BatchQuery = {
  seq?: number;
  start_time?: string;
  batch?: number;
  max_bytes?: number;
  next_by_subj?: string | undefined;
  multi_last?: string[];
};

export type BatchOptions = {
  /** How long the whole answer may take. */
  answerMs?: number;
  /** Whether the answer ends before a message whose headers nobody can read, or goes on behind it. */
  unreadable?: 'ends' | 'is left out';
};

/** There is no such stream, or none of its replicas can answer now. */
export class NobodyAnswersError extends UnavailableError {
  override name = 'NobodyAnswersError';
}

const ANSWER_MS = 1_500;
const NOBODY_ANSWERS = 503;
/** The broker's words for: that is all, and: there is none. */
const ENDED = new Set([204, 404]);

/**
 * Messages that one request is answered with, by any replica. Asked without the library's help: it ends the connection
 * over headers that it can't read, waits for ever for an answer that is cut off, and keeps a subscription for each request.
 * @throws UnavailableError where there is no answer, or no whole one; NobodyAnswersError.
 */
export async function directBatch(
  broker: Broker,
  stream: string,
  query: BatchQuery,
  { answerMs = ANSWER_MS, unreadable = 'ends' }: BatchOptions = {},
): Promise<TimedMessage[]> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const messages: TimedMessage[] = [];
  const subject = `$JS.API.DIRECT.GET.${stream}`;
  const inbox = broker.inbox();
  let isEnded = false;
  const subscription = broker.connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) return reject(error);
      const headers = headersOfCore(message);
      if (headers === undefined && unreadable === 'is left out') return;
      isEnded ||= headers === undefined || ENDED.has(headers.code);
      if (isEnded || headers === undefined) return resolve();
      if (headers.code === NOBODY_ANSWERS) return reject(new NobodyAnswersError(`nobody answers for ${stream}`));
      if (headers.code !== 0) return reject(new UnavailableError(`${stream} answers ${headers.code}`));
      messages.push({
        subject: headers.last('Nats-Subject'),
        sequence: Number(headers.last('Nats-Sequence')),
        stream,
        data: message.data,
        headers,
        storedAtMicros: microsOf(headers.last('Nats-Time-Stamp')),
      });
    },
  });
  const timer = setTimeout(() => reject(new UnavailableError(`${stream} does not answer`)), answerMs);
  const forget = broker.onRefusal((refusal) => {
    if (refusal.subject === subject) reject(new UnavailableError(refusal.message, { cause: refusal }));
  });
  try {
    broker.connection.publish(subject, JSON.stringify(query), { reply: inbox });
    await promise;
    return messages;
  } finally {
    clearTimeout(timer);
    forget();
    if (!subscription.isClosed()) subscription.unsubscribe();
  }
}

/** Dates end at milliseconds, in which a journal stores several messages. */
export function microsOf(timestamp: string): number {
  const digits = /\.(\d+)/.exec(timestamp)?.[1] ?? '';
  return Date.parse(timestamp) * 1_000 + Number(digits.slice(3, 6).padEnd(3, '0'));
}
