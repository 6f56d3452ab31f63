import type { MsgRequest, StoredMsg } from '@nats-io/jetstream';
import { answered, type Broker } from './broker.ts';
import { directBatch, microsOf, type TimedMessage } from './direct-batch.ts';
import { headersOr } from './journal.ts';

/** Messages that are asked for at once, and how many bytes they may have together. */
const AT_ONCE = 500;
const BYTES_AT_ONCE = 4 * 1024 ** 2;
/** The broker counts nanoseconds in 64 bits, and a later time is a very early one for it. */
const LAST_MS = Date.parse('2262-01-01');

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
    const query = {
      seq: next,
      batch: Math.min(AT_ONCE, to - next + 1),
      next_by_subj: subject,
      max_bytes: BYTES_AT_ONCE,
    };
    const found = await answered(broker, () => directBatch(broker, stream, query));
    if (found.length === 0) found.push(...(await nextOnLeader(broker, stream, next, subject)));
    const last = found.at(-1);
    if (last === undefined) return;
    for (const message of found) if (message.sequence <= to) yield message;
    next = last.sequence + 1;
  }
}

/** Sequence of the first message that was stored at this time or later; undefined: none was. */
export async function sequenceAt(broker: Broker, stream: string, time: Date): Promise<number | undefined> {
  const within = new Date(Math.min(Math.max(time.getTime(), 0), LAST_MS));
  const query = { start_time: within.toISOString(), batch: 1 };
  const [found] = await answered(broker, () => directBatch(broker, stream, query));
  return found?.sequence;
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
