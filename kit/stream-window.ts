import type { MsgRequest, StoredMsg } from '@nats-io/jetstream';
import { createInbox } from '@nats-io/transport-node';
import { answered, type Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import type { StoredMessage } from './event.ts';
import { headersOr } from './journal.ts';
import { headersOfCore } from './message-headers.ts';

/** A message with when the broker stored it, in microseconds since 1970: in one stream that never goes back. */
export type TimedMessage = StoredMessage & { storedAtMicros: number };

/** Messages that are asked for at once, and how many bytes they may have together. */
const AT_ONCE = 500;
const BYTES_AT_ONCE = 4 * 1024 ** 2;
const ANSWER_MS = 1_500;
/** The broker's words for: that is all, and: there is none. */
const ENDED = new Set([204, 404]);

/**
 * A stream's messages between two sequences, both included, first to last, read from any replica. What that one has not
 * got yet, or can't be read there, is asked of the leader. No consumer is made for it.
 * @param range.subject only those that match it.
 * @throws UnavailableError where the broker does not answer.
 */
export async function* messagesBetween(
  broker: Broker,
  stream: string,
  { from, to, subject }: { from: number; to: number; subject?: string },
): AsyncGenerator<TimedMessage> {
  for (let next = from; next <= to; ) {
    const query = { seq: next, batch: Math.min(AT_ONCE, to - next + 1), next_by_subj: subject };
    const found = await answered(broker, () => oneBatch(broker, stream, query));
    if (found.length === 0) found.push(...(await nextOnLeader(broker, stream, next, subject)));
    const last = found.at(-1);
    if (last === undefined) return;
    for (const message of found) if (message.sequence <= to) yield message;
    next = last.sequence + 1;
  }
}

/** Sequence of the first message that was stored at this time or later; undefined: none was. */
export async function sequenceAt(broker: Broker, stream: string, time: Date): Promise<number | undefined> {
  const query = { start_time: time.toISOString(), batch: 1 };
  const [found] = await answered(broker, () => oneBatch(broker, stream, query));
  return found?.sequence;
}

type Query = { seq?: number; start_time?: string; batch: number; next_by_subj?: string | undefined };

/**
 * Asked without the library's help: it ends the connection over headers that it can't read, and waits for ever for an
 * answer that is cut off.
 */
async function oneBatch({ connection }: Broker, stream: string, query: Query): Promise<TimedMessage[]> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const messages: TimedMessage[] = [];
  const inbox = createInbox();
  let isEnded = false;
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) return reject(error);
      const headers = headersOfCore(message);
      // What can't be read is asked for by itself, and what comes behind it after that.
      isEnded ||= headers === undefined || ENDED.has(headers.code);
      if (isEnded || headers === undefined) return resolve();
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
  const timer = setTimeout(() => reject(new UnavailableError(`${stream} does not answer`)), ANSWER_MS);
  try {
    const request = JSON.stringify({ ...query, max_bytes: BYTES_AT_ONCE });
    connection.publish(`$JS.API.DIRECT.GET.${stream}`, request, { reply: inbox });
    await promise;
    return messages;
  } finally {
    clearTimeout(timer);
    if (!subscription.isClosed()) subscription.unsubscribe();
  }
}

/** The next message, as the stream's leader knows it; none where there is none. */
async function nextOnLeader(broker: Broker, stream: string, seq: number, subject = '>'): Promise<TimedMessage[]> {
  // The leader answers to "next by subject" too; the library's type leaves it out.
  const query = { seq, next_by_subj: subject } as unknown as MsgRequest;
  const found = await answered(broker, () => broker.manager.streams.getMessage(stream, query));
  return found === null ? [] : [onLeader(stream, found)];
}

function onLeader(stream: string, message: StoredMsg): TimedMessage {
  const { subject, seq: sequence, data, timestamp } = message;
  const headers = headersOr(() => message.header);
  return { subject, sequence, stream, data, headers, storedAtMicros: microsOf(timestamp) };
}

/** Dates end at milliseconds, in which a journal stores several messages. */
function microsOf(timestamp: string): number {
  const digits = /\.(\d+)/.exec(timestamp)?.[1] ?? '';
  return Date.parse(timestamp) * 1_000 + Number(digits.slice(3, 6).padEnd(3, '0'));
}
