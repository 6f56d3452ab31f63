import { DiscardPolicy, JetStreamApiError, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { answered, type Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import type { StoredMessage } from './event.ts';
import { Journal } from './journal.ts';
import { allPartitions, parseSubject } from './partitions.ts';
import { ensureStream, isFollowed, type StreamDeclaration } from './streams.ts';

/** The stream of dead letters, of all services. When it is full, every partition that has to park a message waits. */
export const DEAD_LETTERS = 'DEAD_LETTERS';
const MAX_BYTES = 1024 ** 3;
const MAX_ERROR_LENGTH = 500;
/** Stands for the key of what has none; no key can be the same. */
const NO_KEY = '~';
/** The server's error codes (nats-server, errors.json) for a message, or its headers, that a stream can't hold. */
const TOO_LARGE = new Set([10054, 10097]);

export const DeadLetterHeader = {
  reason: 'Causeway-Dead-Reason',
  error: 'Causeway-Dead-Error',
  attempts: 'Causeway-Dead-Attempts',
  consumer: 'Causeway-Dead-Consumer',
  stream: 'Causeway-Dead-Stream',
  subject: 'Causeway-Dead-Subject',
  sequence: 'Causeway-Dead-Sequence',
  time: 'Causeway-Dead-Time',
  /** Set where message and note together are larger than the broker allows: only its place is kept, not what it says. */
  leftOut: 'Causeway-Dead-Left-Out',
  /** Of a note on a letter that was replayed and failed again: the letter's own sequence. */
  letter: 'Causeway-Dead-Letter',
  /** Ends a row: what stands before it is done with. */
  unparked: 'Causeway-Dead-Unparked',
} as const;

/** Why a consumer gave a message up. */
type ParkingReason =
  | 'CANNOT_DECODE'
  | 'REFUSED'
  | 'FAILED'
  | 'ATTEMPTS_EXHAUSTED'
  | 'KILLED_THE_PROCESS'
  | 'BEHIND_A_PARKED_MESSAGE';

export type ParkingNote = { reason: ParkingReason; error: string; attempts: number };

/** What waits behind a parked message of its key. */
export const BEHIND: ParkingNote = { reason: 'BEHIND_A_PARKED_MESSAGE', error: '', attempts: 0 };

/** Where a consumer parks the messages of one key, in their order. */
export type Row = {
  /** Its name without the partition, such as `orders-history_v1`. */
  consumer: string;
  partition: number;
  /** `~` for what has none. */
  key: string;
};

const CONSUMER = /^[A-Za-z0-9_-]{1,128}$/;
const KEY = /^([A-Za-z0-9_-]{1,64}|~)$/;

/** Whether there can be such a row. Where it can not, a subject made of it could mean others. */
export function isRow({ consumer, partition, key }: Row): boolean {
  return CONSUMER.test(consumer) && allPartitions.includes(partition) && KEY.test(key);
}

/** A parked message. */
export type Letter = Row & {
  /** Its place among the dead letters. */
  sequence: number;
  reason: string;
  error: string;
  attempts: number;
  parkedAt: Date;
  /** Where the message stands in its journal. */
  stream: string;
  streamSequence: number;
  /** There was no room for the message beside its note: its journal has it. */
  isLeftOut: boolean;
  /** As it was, but for what steered the broker. */
  message: StoredMessage;
};

/** Creates the stream, or checks that it is as declared. @throws StreamDriftError */
export async function ensureDeadLetters({ manager, replicas }: Broker): Promise<void> {
  await ensureStream(manager, deadLetterStream(replicas));
}

/** The stream as it is declared. */
export function deadLetterStream(replicas: number): StreamDeclaration {
  return {
    name: DEAD_LETTERS,
    subjects: ['dead.>'],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_bytes: MAX_BYTES,
    num_replicas: replicas,
    allow_direct: true,
    allow_rollup_hdrs: false,
    // What was handled after all, or discarded by an operator, is removed.
    deny_delete: false,
    deny_purge: false,
  };
}

/** The stream of dead letters, to read and to append to. */
export function deadLetters(broker: Broker): Journal {
  return new Journal({ service: 'dead', stream: DEAD_LETTERS, maxBytes: MAX_BYTES }, broker);
}

export function rowSubject({ consumer, partition, key }: Row): string {
  return `dead.${consumer}.${partition}.${key}`;
}

/** Where it is noted what became of the latest replay of the row's first letter. */
export function noteSubject(row: Row): string {
  return `${rowSubject(row)}.tried`;
}

/** The row of a subject, undefined for what is none. */
export function rowOf(subject: string): Row | undefined {
  const [dead, consumer = '', partition = '', key = '', ...rest] = subject.split('.');
  if (dead !== 'dead' || key === '' || rest.length > 0) return undefined;
  return { consumer, partition: Number(partition), key };
}

/**
 * The partition and key under which a message is parked. What is no event's subject has a key of its own in the
 * partition that it was found in, so that there, too, messages are parked in their order.
 */
export function parkingPlace(subject: string): { partition: number; key: string } {
  const parts = parseSubject(subject);
  if (parts !== undefined) return { partition: parts.partition, key: parts.key };
  const partition = Number(subject.split('.')[2]);
  return { partition: allPartitions.includes(partition) ? partition : 0, key: NO_KEY };
}

/** A message to be parked, as it was, with a note. */
export function letterHeaders(consumer: string, message: StoredMessage, note: ParkingNote): MsgHdrs {
  const head = headers();
  copyHeaders(message.headers, head);
  writeNote(head, note);
  head.set(DeadLetterHeader.consumer, consumer);
  head.set(DeadLetterHeader.stream, message.stream);
  head.set(DeadLetterHeader.subject, message.subject);
  head.set(DeadLetterHeader.sequence, String(message.sequence));
  return head;
}

/** What a message can be found again by, where there is no room for itself: its journal keeps it for ever. */
export function leftOutHeaders(consumer: string, message: StoredMessage, note: ParkingNote): MsgHdrs {
  const head = letterHeaders(consumer, { ...message, headers: headers() }, note);
  head.set(DeadLetterHeader.leftOut, 'true');
  return head;
}

/** What is noted of a letter that was replayed and failed again. */
export function noteHeaders(letter: Letter, note: ParkingNote): MsgHdrs {
  const head = headers();
  writeNote(head, note);
  head.set(DeadLetterHeader.letter, String(letter.sequence));
  return head;
}

/** What ends a row. */
export function unparkedHeaders(): MsgHdrs {
  const head = headers();
  head.set(DeadLetterHeader.unparked, 'true');
  return head;
}

function writeNote(head: MsgHdrs, { reason, error, attempts }: ParkingNote): void {
  head.set(DeadLetterHeader.reason, reason);
  head.set(DeadLetterHeader.error, error.slice(0, MAX_ERROR_LENGTH).replaceAll(/[\r\n]+/g, ' '));
  head.set(DeadLetterHeader.attempts, String(attempts));
  head.set(DeadLetterHeader.time, new Date().toISOString());
}

/** What steers the broker must not be said a second time. */
function copyHeaders(from: MsgHdrs, to: MsgHdrs): void {
  for (const name of from.keys()) {
    if (name.startsWith('Nats-') || name.startsWith('Causeway-Dead-')) continue;
    for (const value of from.values(name)) to.append(name, value);
  }
}

/** Whether this message ends a row: then it is its last, and the key is not parked any more. */
export function isUnparked({ headers: head }: StoredMessage): boolean {
  return head.has(DeadLetterHeader.unparked);
}

/**
 * The letter that a message of the stream is; undefined for what is none.
 * @param note what became of the latest replay of the row's first letter.
 */
export function letterFrom(stored: StoredMessage, note?: StoredMessage): Letter | undefined {
  const row = rowOf(stored.subject);
  if (row === undefined || isUnparked(stored)) return undefined;
  const header = (name: string) => stored.headers.get(name);
  const isNoted = note !== undefined && Number(note.headers.get(DeadLetterHeader.letter)) === stored.sequence;
  const noted = isNoted ? note.headers : stored.headers;
  const original = headers();
  copyHeaders(stored.headers, original);
  const stream = header(DeadLetterHeader.stream);
  const streamSequence = Number(header(DeadLetterHeader.sequence));
  return {
    ...row,
    sequence: stored.sequence,
    reason: noted.get(DeadLetterHeader.reason),
    error: noted.get(DeadLetterHeader.error),
    attempts: Number(noted.get(DeadLetterHeader.attempts)),
    parkedAt: new Date(header(DeadLetterHeader.time)),
    stream,
    streamSequence,
    isLeftOut: header(DeadLetterHeader.leftOut) !== '',
    message: {
      subject: header(DeadLetterHeader.subject),
      sequence: streamSequence,
      stream,
      data: stored.data,
      headers: original,
    },
  };
}

/** The message of a letter as it was, read from its journal where it was left out; undefined: that has it no more. */
export async function messageOf(broker: Broker, { isLeftOut, message }: Letter): Promise<StoredMessage | undefined> {
  if (!isLeftOut) return message;
  const journal = new Journal({ service: '', stream: message.stream }, broker);
  return journal.at(message.sequence);
}

/** The client refuses what is larger than the server's max_payload, the server what is larger than a stream allows. */
export function isTooLarge(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return TOO_LARGE.has(error.code);
  return error instanceof Error && error.name === 'InvalidArgumentError';
}

/** How many messages each row of a filter of subjects has, such as `dead.*.3.*`. */
export async function countLetters(broker: Broker, filter: string): Promise<Map<string, number>> {
  const { state, cluster } = await answered(broker, () =>
    broker.manager.streams.info(DEAD_LETTERS, { subjects_filter: filter }),
  );
  // Not to know of a parked key would let its later messages overtake.
  if (broker.replicas > 1 && !isFollowed(cluster)) throw new UnavailableError(`${DEAD_LETTERS} has no leader now`);
  return new Map(Object.entries(state.subjects ?? {}));
}

/** How many messages each consumer of a service has parked; those that have parked none are not in it. */
export async function parkedByConsumer(broker: Broker, service: string): Promise<Map<string, number>> {
  const parked = new Map<string, number>();
  for (const [subject, count] of await countLetters(broker, 'dead.*.*.*')) {
    const consumer = rowOf(subject)?.consumer ?? '';
    if (consumer.startsWith(`${service}-`)) parked.set(consumer, (parked.get(consumer) ?? 0) + count);
  }
  return parked;
}
