import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { JetStreamApiError, type JsMsg, type MsgRequest, type PubAck, type StoredMsg } from '@nats-io/jetstream';
import { InvalidArgumentError, type MsgHdrs } from '@nats-io/transport-node';
import { answered, type Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import { Header, type StoredMessage, versionOf } from './event.ts';
import { headersOf, MessageHeaders } from './message-headers.ts';
import { untilAnswered } from './outages.ts';
import {
  ensureStream,
  isFollowed,
  isStreamFull,
  type JournalDeclaration,
  journalStream,
  requireRoom,
  StreamFullError,
} from './streams.ts';
import { countEvent, recordPublish } from './telemetry/metrics.ts';

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

/**
 * Where the event stands. `found` is what stands there where it was not stored just now: an earlier try of the same
 * append, which may have been decided on an earlier or a later state than this one.
 */
export type Appended = { sequence: number; found?: StoredMessage };

/** The subject has moved on since the decision was made. Load again and decide again. */
export class ConflictError extends Error {
  override name = 'ConflictError';
}

/** How long a first and a repeated publish may take: both together stay under the 2 s in which a caller gets its answer. */
const PUBLISH_TIMEOUT_MS = 1_000;
const REPEAT_TIMEOUT_MS = 600;
const REFUSAL_COUNTS_MS = 3_000;
/** A caller gets its answer within 2 s. */
const CERTAIN_WITHIN_MS = 1_000;
const CERTAIN_AGAIN_MS = 25;

/** A deterministic id: the same cause can make the same event once only. */
export function eventId(subject: string, causeId: string, type: string): string {
  return hash('sha256', `${subject}\n${causeId}\n${type}`, 'base64url').slice(0, 27);
}

/** The stream of one service: its events, in order, for ever. */
export class Journal {
  readonly declaration: JournalDeclaration;
  readonly #broker: Broker;
  /** The latest append found the stream full. */
  #refusal: { error: StreamFullError; at: number } | undefined;

  constructor(declaration: JournalDeclaration, broker: Broker) {
    this.declaration = declaration;
    this.#broker = broker;
  }

  /** Creates the stream, or checks that it is as declared: part of a start. @throws StreamDriftError */
  async ensure(): Promise<void> {
    await untilAnswered(() => ensureStream(this.#broker.manager, journalStream(this.declaration, this.#broker)));
  }

  /**
   * Publishes an event: this is the commit. Resolves with the event's sequence once the broker has stored it, also
   * where an earlier try of the same append had stored it already.
   * @throws ConflictError when the subject's last message is not the expected one.
   * @throws UnavailableError when the broker does not answer; the event may or may not have been stored. Also when
   *   the stream is full; then it has not.
   */
  async append(append: Append): Promise<Appended> {
    const started = performance.now();
    try {
      const appended = await this.#append(append);
      this.#refusal = undefined;
      recordPublish(this.stream, 'done', performance.now() - started);
      if (appended.found === undefined) countEvent(this.stream, append.headers.get(Header.type));
      return appended;
    } catch (error) {
      if (error instanceof StreamFullError) this.#refusal = { error, at: performance.now() };
      recordPublish(this.stream, error instanceof ConflictError ? 'conflict' : 'failed', performance.now() - started);
      throw error;
    }
  }

  async #append(append: Append): Promise<Appended> {
    try {
      return await this.#appended(append, PUBLISH_TIMEOUT_MS);
    } catch (error) {
      // Without a cause there was no connection, and nothing was sent.
      const isUnknown = error instanceof UnavailableError && error.cause !== undefined;
      if (!isUnknown || error instanceof StreamFullError) throw error;
    }
    // It may have been stored although no answer came. The same id can't be stored twice.
    return this.#appended(append, REPEAT_TIMEOUT_MS);
  }

  async #appended(append: Append, timeout: number): Promise<Appended> {
    try {
      return await this.#published(append, await answered(this.#broker, () => this.#publish(append, timeout)));
    } catch (error) {
      const { code } = apiErrorOf(error) ?? {};
      if (code !== undefined && LOST_THE_RACE.has(code)) return this.#ownOrConflict(append, error);
      if (isStreamFull(error)) throw new StreamFullError(`stream ${this.stream} is full`, { cause: error });
      throw error;
    }
  }

  async #publish(append: Append, timeout: number): Promise<PubAck> {
    await endOfTurn();
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
    const found = await this.#leaderRead({ seq });
    if (found !== undefined && isOurs(found, append)) return { sequence: seq, found };
    throw new ConflictError(`message id ${append.id} stands at ${seq} with another subject`);
  }

  async #ownOrConflict(append: Append, cause: unknown): Promise<Appended> {
    const found = await this.lastOnLeader(append.subject);
    if (found !== undefined && isOurs(found, append)) return { sequence: found.sequence, found };
    throw new ConflictError(`${append.subject} is not at ${append.expectedSequence} any more`, { cause });
  }

  /**
   * The subject's last message, from any replica: fast, and on a cluster possibly a little old. It may lead to an
   * append, whose expected sequence checks it, and to nothing else.
   */
  async last(subject: string): Promise<StoredMessage | undefined> {
    try {
      const message = await answered(this.#broker, () =>
        this.#broker.manager.direct.getMessage(this.stream, { last_by_subj: subject }),
      );
      return message === null ? undefined : this.#stored(message);
    } catch (error) {
      // The client can't read the message's headers, and with them neither where it stands.
      if (error instanceof InvalidArgumentError) return this.lastOnLeader(subject);
      throw error;
    }
  }

  /** The subject's last message as the stream's leader knows it. Refusals and "already done" are decided on this. */
  async lastOnLeader(subject: string): Promise<StoredMessage | undefined> {
    return this.#leaderRead({ last_by_subj: subject });
  }

  /**
   * The subject's last message, or a later one than any that somebody was told of before this was called: what is decided
   * without an append is decided on this. On a cluster a leader that slept while another was elected answers for a moment
   * with what it knew then; so how many messages the subject has is asked too, of one that most of the others still follow.
   * @throws UnavailableError where there is no such leader, as in an election.
   */
  async lastForCertain(subject: string): Promise<StoredMessage | undefined> {
    if (this.#broker.replicas === 1) return this.lastOnLeader(subject);
    const latest = performance.now() + CERTAIN_WITHIN_MS;
    for (;;) {
      const [last, stored] = await Promise.all([this.lastOnLeader(subject), this.#countOnLeader(subject)]);
      // Nothing in a journal is ever removed: an aggregate's version is how many messages its subject has.
      if (stored !== undefined && (last === undefined ? 0 : versionOf(last)) >= stored) return last;
      if (performance.now() > latest) throw new UnavailableError(`${this.stream} has no leader that the others follow`);
      await delay(CERTAIN_AGAIN_MS);
    }
  }

  /** How many messages the subject has; undefined where who answers is not followed any more, or does not lead. */
  async #countOnLeader(subject: string): Promise<number | undefined> {
    const { cluster, state } = await answered(this.#broker, () =>
      this.#broker.manager.streams.info(this.stream, { subjects_filter: subject }),
    );
    return isFollowed(cluster) ? (state.subjects?.[subject] ?? 0) : undefined;
  }

  /** The message of this sequence, as the stream's leader knows it. */
  async at(sequence: number): Promise<StoredMessage | undefined> {
    return this.#leaderRead({ seq: sequence });
  }

  /** A subject's first message of this sequence or a later one, as the stream's leader knows it. */
  async firstFrom(subject: string, sequence: number): Promise<StoredMessage | undefined> {
    return this.#leaderRead({ seq: sequence, next_by_subj: subject });
  }

  /** Sequence of the stream's last message, 0 for an empty one. */
  async lastSequence(): Promise<number> {
    const { state } = await answered(this.#broker, () => this.#broker.manager.streams.info(this.stream));
    return state.last_seq;
  }

  /**
   * Whether an append can be expected to work.
   * @throws StreamFullError where there is no room; UnavailableError where the broker does not answer.
   */
  async requireRoom(): Promise<void> {
    await requireRoom(this.#broker, this.stream);
    // The server has other reasons too, such as a full disk. Only another append can tell whether they still hold, so
    // they count for a while: who is told to wait for ever makes none.
    if (this.#refusal !== undefined && performance.now() - this.#refusal.at < REFUSAL_COUNTS_MS)
      throw this.#refusal.error;
  }

  /**
   * A subject's messages, first to last, up to a sequence. Costs a request for each and time in proportion to the
   * stream, so only for what can't do without.
   */
  async history(subject: string, upTo: number = Number.MAX_SAFE_INTEGER): Promise<StoredMessage[]> {
    const messages: StoredMessage[] = [];
    for (let from = 1; from <= upTo; ) {
      const next = await this.firstFrom(subject, from);
      if (next === undefined || next.sequence > upTo) break;
      messages.push(next);
      from = next.sequence + 1;
    }
    return messages;
  }

  get stream(): string {
    return this.declaration.stream;
  }

  async #leaderRead(query: MsgRequest | { seq: number; next_by_subj: string }): Promise<StoredMessage | undefined> {
    const message = await answered(this.#broker, () =>
      // The leader answers to "next by subject" too; the library's type leaves it out.
      this.#broker.manager.streams.getMessage(this.stream, query as MsgRequest),
    );
    return message === null ? undefined : this.#stored(message);
  }

  #stored(message: StoredMsg): StoredMessage {
    return {
      subject: message.subject,
      sequence: message.seq,
      stream: this.stream,
      data: message.data,
      headers: headersOr(() => message.header),
    };
  }
}

/** Creates journals that others own, or checks them: who starts first finds what it follows. @throws StreamDriftError */
export async function ensureJournals(broker: Broker, declarations: readonly JournalDeclaration[]): Promise<void> {
  for (const declaration of declarations) await new Journal(declaration, broker).ensure();
}

/** A message as a consumer delivers it. */
export function storedFromConsumer(message: JsMsg): StoredMessage {
  const { subject, seq: sequence, data } = message;
  return { subject, sequence, stream: message.info.stream, data, headers: headersOr(() => headersOf(message)) };
}

/**
 * Anybody may publish on a journal's subjects, without headers or with such as can't be read. To a reader that is a
 * message which says nothing of itself, and no event.
 */
export function headersOr(read: () => MsgHdrs | undefined): MsgHdrs {
  try {
    return read() ?? new MessageHeaders();
  } catch {
    return new MessageHeaders();
  }
}

let turn: Promise<void> | undefined;

/**
 * Until the event loop has handed out what has come in. What is appended in one turn then goes to the broker in one
 * write; each by itself would cost a system call here and a read there.
 */
function endOfTurn(): Promise<void> {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined;
      resolve();
    });
  });
  return turn;
}

/** Waits a little, longer with each attempt and never twice the same, so that those who lost a race part. */
export async function waitAfterConflict(attempt: number): Promise<void> {
  await delay(Math.random() * 2 ** attempt);
}

function isOurs(stored: StoredMessage, { id, subject }: Append): boolean {
  return stored.subject === subject && stored.headers.get('Nats-Msg-Id') === id;
}

/** The server's own word, also where it came wrapped. */
function apiErrorOf(error: unknown): JetStreamApiError | undefined {
  if (error instanceof JetStreamApiError) return error;
  return error instanceof Error && error.cause instanceof JetStreamApiError ? error.cause : undefined;
}
