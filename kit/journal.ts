import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiError,
  type JsMsg,
  type PubAck,
  type StoredMsg,
} from '@nats-io/jetstream';
import { type MsgHdrs, NoRespondersError, RequestError, TimeoutError } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import type { StoredMessage } from './event.ts';
import { ensureStream, type JournalDeclaration, journalStream } from './streams.ts';
import { recordPublish } from './telemetry/metrics.ts';

/** The server's error codes (nats-server, errors.json) that say: somebody else was first, or this is a repeat. */
const LOST_THE_RACE = new Set([
  10071, // wrong last sequence
  10164, // wrong last sequence, not known which
  10158, // the same message id is being stored right now
]);

/** What is to be appended. */
export type Append = {
  subject: string;
  data: Uint8Array;
  headers: MsgHdrs;
  /** ce-id and Nats-Msg-Id. */
  id: string;
  /** Sequence of the subject's last message when the decision was made; 0: there was none. */
  expectedSequence: number;
};

/** Where the event stands; `earlier` is it, where it had stood there before the decision was made. */
export type Appended = { sequence: number; earlier?: StoredMessage };

/** The subject has moved on since the decision was made. Load again and decide again. */
export class ConflictError extends Error {
  override name = 'ConflictError';
}

/** How long a first and a repeated publish may take: both together stay under the 2 s in which a caller gets its answer. */
const PUBLISH_TIMEOUT_MS = 1_000;
const REPEAT_TIMEOUT_MS = 600;

/** A deterministic id: the same cause can make the same event once only. */
export function eventId(subject: string, causeId: string, type: string): string {
  return hash('sha256', `${subject}\n${causeId}\n${type}`, 'base64url').slice(0, 27);
}

/** The stream of one service: its events, in order, for ever. */
export class Journal {
  readonly declaration: JournalDeclaration;
  readonly #broker: Broker;

  constructor(declaration: JournalDeclaration, broker: Broker) {
    this.declaration = declaration;
    this.#broker = broker;
  }

  /** Creates the stream, or checks that it is as declared. @throws StreamDriftError */
  async ensure(): Promise<void> {
    await ensureStream(this.#broker.manager, journalStream(this.declaration, this.#broker.replicas));
  }

  /**
   * Publishes an event: this is the commit. Resolves with the event's sequence once the broker has stored it, also
   * where an earlier try of the same append had stored it already.
   * @throws ConflictError when the subject's last message is not the expected one.
   * @throws UnavailableError when the broker does not answer; the event may or may not have been stored.
   */
  async append(append: Append): Promise<Appended> {
    const started = performance.now();
    try {
      const appended = await this.#append(append);
      recordPublish(this.stream, 'done', performance.now() - started);
      return appended;
    } catch (error) {
      recordPublish(this.stream, error instanceof ConflictError ? 'conflict' : 'failed', performance.now() - started);
      throw error;
    }
  }

  async #append(append: Append): Promise<Appended> {
    try {
      return await this.#published(append, await this.#publish(append, PUBLISH_TIMEOUT_MS));
    } catch (error) {
      if (isLostRace(error)) return this.#ownOrConflict(append, error);
      if (!isNoAnswer(error)) throw error;
    }
    // It may have been stored although no answer came. The same id can't be stored twice.
    try {
      return await this.#published(append, await this.#publish(append, REPEAT_TIMEOUT_MS));
    } catch (error) {
      if (isLostRace(error)) return this.#ownOrConflict(append, error);
      throw unavailable(error);
    }
  }

  async #publish(append: Append, timeout: number): Promise<PubAck> {
    if (!this.#broker.connected()) throw new UnavailableError('the broker is away');
    return this.#broker.js.publish(append.subject, append.data, {
      headers: append.headers,
      msgID: append.id,
      timeout,
      retries: 0,
      expect: { lastSubjectSequence: append.expectedSequence },
    });
  }

  /** A duplicate counts only if what is stored there is ours: the server compares ids over all subjects. */
  async #published(append: Append, { seq, duplicate }: PubAck): Promise<Appended> {
    if (!duplicate) return { sequence: seq };
    const stored = await this.#leaderRead({ seq });
    if (stored !== undefined && isOurs(stored, append)) {
      return seq > append.expectedSequence ? { sequence: seq } : { sequence: seq, earlier: stored };
    }
    throw new ConflictError(`message id ${append.id} stands at ${seq} with another subject`);
  }

  async #ownOrConflict(append: Append, cause: unknown): Promise<Appended> {
    const last = await this.lastOnLeader(append.subject);
    if (last !== undefined && isOurs(last, append)) return { sequence: last.sequence };
    throw new ConflictError(`${append.subject} is not at ${append.expectedSequence} any more`, { cause });
  }

  /**
   * The subject's last message, from any replica: fast, and on a cluster possibly a little old. It may lead to an
   * append, whose expected sequence checks it, and to nothing else.
   */
  async last(subject: string): Promise<StoredMessage | undefined> {
    return this.#guarded(async () => {
      const message = await this.#broker.manager.direct.getMessage(this.stream, { last_by_subj: subject });
      return message === null ? undefined : this.#stored(message);
    });
  }

  /** The subject's last message as the stream's leader knows it. Refusals and "already done" are decided on this. */
  async lastOnLeader(subject: string): Promise<StoredMessage | undefined> {
    return this.#leaderRead({ last_by_subj: subject });
  }

  /** Sequence of the stream's last message, 0 for an empty one. */
  async lastSequence(): Promise<number> {
    return this.#guarded(async () => (await this.#broker.manager.streams.info(this.stream)).state.last_seq);
  }

  /** A subject's messages, first to last: costs time in proportion to the stream, so only for what can't do without. */
  async history(subject: string): Promise<StoredMessage[]> {
    const last = await this.lastOnLeader(subject);
    if (last === undefined) return [];
    const messages: StoredMessage[] = [];
    for await (const message of this.read(subject, 1)) {
      messages.push(message);
      if (message.sequence >= last.sequence) break;
    }
    return messages;
  }

  /** Messages whose subject matches, in the stream's order, from a sequence on, without end. Break out to stop. */
  async *read(subject: string, fromSequence: number): AsyncGenerator<StoredMessage> {
    const consumer = await this.#broker.js.consumers.get(this.stream, {
      filter_subjects: [subject],
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: fromSequence,
    });
    const messages: ConsumerMessages = await consumer.consume({ max_messages: 500 });
    try {
      for await (const message of messages) yield storedFromConsumer(message);
    } finally {
      await messages.close();
    }
  }

  get stream(): string {
    return this.declaration.stream;
  }

  async #leaderRead(query: { seq: number } | { last_by_subj: string }): Promise<StoredMessage | undefined> {
    return this.#guarded(async () => {
      const message = await this.#broker.manager.streams.getMessage(this.stream, query);
      return message === null ? undefined : this.#stored(message);
    });
  }

  #stored(message: StoredMsg): StoredMessage {
    return {
      subject: message.subject,
      sequence: message.seq,
      stream: this.stream,
      data: message.data,
      headers: message.header,
    };
  }

  async #guarded<Result>(request: () => Promise<Result>): Promise<Result> {
    if (!this.#broker.connected()) throw new UnavailableError('the broker is away');
    try {
      return await request();
    } catch (error) {
      if (isNoAnswer(error)) throw unavailable(error);
      throw error;
    }
  }
}

/** A message as a consumer delivers it. */
export function storedFromConsumer(message: JsMsg): StoredMessage {
  if (message.headers === undefined) throw new TypeError(`message ${message.seq} has no headers`);
  const { subject, seq: sequence, data, headers } = message;
  return { subject, sequence, stream: message.info.stream, data, headers };
}

/** Waits a little, longer with each attempt and never twice the same, so that those who lost a race part. */
export async function waitAfterConflict(attempt: number): Promise<void> {
  await delay(Math.random() * 2 ** attempt);
}

function isOurs(stored: StoredMessage, { id, subject }: Append): boolean {
  return stored.subject === subject && stored.headers.get('Nats-Msg-Id') === id;
}

function isLostRace(error: unknown): boolean {
  return error instanceof JetStreamApiError && LOST_THE_RACE.has(error.code);
}

/** Nobody answered: no server, no leader, or the connection went while waiting. */
function isNoAnswer(error: unknown): boolean {
  return (
    error instanceof TimeoutError ||
    error instanceof NoRespondersError ||
    error instanceof RequestError ||
    (error instanceof Error &&
      ['ClosedConnectionError', 'DrainingConnectionError', 'ConnectionError'].includes(error.name)) ||
    (error instanceof JetStreamApiError && error.status === 503)
  );
}

function unavailable(cause: unknown): UnavailableError {
  return cause instanceof UnavailableError ? cause : new UnavailableError('the broker does not answer', { cause });
}
