import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import type { StoredMessage } from './event.ts';
import { ConflictError, eventId, Journal } from './journal.ts';
import { allPartitions, parseSubject } from './partitions.ts';
import { ensureStream, type StreamDeclaration } from './streams.ts';

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

function deadLetterStream(replicas: number): StreamDeclaration {
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
    // An operator discards letters.
    deny_delete: false,
    deny_purge: false,
  };
}

/** Where a consumer parks messages, and what it has parked: a key is parked as long as its subject has a message. */
export class Parking {
  readonly #broker: Broker;
  readonly #consumer: string;
  readonly #parked: Map<string, number>;
  /** The last letter that is on its way, by subject. */
  readonly #storing = new Map<string, Promise<void>>();

  private constructor(broker: Broker, consumer: string, parked: Map<string, number>) {
    this.#broker = broker;
    this.#consumer = consumer;
    this.#parked = parked;
  }

  /**
   * Reads what the consumer has parked.
   * @param consumer its name without the partition, such as `orders-history_v1`.
   * @param partition left out: every partition.
   */
  static async open(broker: Broker, consumer: string, partition: number | '*' = '*'): Promise<Parking> {
    await ensureStream(broker.manager, deadLetterStream(broker.replicas));
    return new Parking(broker, consumer, await parkedSubjects(broker.manager, `dead.${consumer}.${partition}.>`));
  }

  /** Whether a message of this key is parked: its later messages have to wait behind it. */
  isParked(partition: number, key: string): boolean {
    return this.#parked.has(this.#subject(partition, key));
  }

  /** Keys that are parked now. */
  get size(): number {
    return this.#parked.size;
  }

  /**
   * Parks a message, as it was, with a note. Resolves once the broker has stored it: only then may the original be
   * acknowledged. The same message parked again, after a crash between the two, is one dead letter.
   */
  async park(message: StoredMessage, note: ParkingNote): Promise<void> {
    const { partition, key } = parkingPlace(message.subject);
    const subject = this.#subject(partition, key);
    // What is older than a key's last letter counts as parked: so they are stored in the order in which they come, and
    // where one can't be, neither are those behind it.
    const stored = (this.#storing.get(subject) ?? Promise.resolve()).then(async () => {
      this.#parked.set(subject, await this.#append(subject, message, note));
    });
    this.#storing.set(subject, stored);
    try {
      await stored;
    } finally {
      if (this.#storing.get(subject) === stored) this.#storing.delete(subject);
    }
  }

  async #append(subject: string, message: StoredMessage, note: ParkingNote): Promise<number> {
    const letters = new Journal({ service: 'dead', stream: DEAD_LETTERS, maxBytes: MAX_BYTES }, this.#broker);
    const id = eventId(subject, `${message.stream} ${message.sequence}`, 'parked');
    let letter = { data: message.data, headers: this.#headers(message, note) };
    for (;;) {
      const last = await letters.lastOnLeader(subject);
      const earlier = last === undefined ? undefined : await parkedBefore(letters, last, message);
      if (earlier !== undefined) return earlier;
      try {
        const expectedSequence = last?.sequence ?? 0;
        return (await letters.append({ subject, id, expectedSequence, ...letter })).sequence;
      } catch (error) {
        if (isTooLarge(error) && letter.data === message.data) letter = this.#withoutContent(message, note);
        else if (!(error instanceof ConflictError)) throw error;
      }
    }
  }

  /** What a message can be found again by, where there is no room for itself: its journal keeps it for ever. */
  #withoutContent(message: StoredMessage, note: ParkingNote): { data: Uint8Array; headers: MsgHdrs } {
    const head = this.#headers({ ...message, headers: headers() }, note);
    head.set(DeadLetterHeader.leftOut, 'true');
    return { data: new Uint8Array(), headers: head };
  }

  #headers(message: StoredMessage, { reason, error, attempts }: ParkingNote) {
    const head = headers();
    for (const name of message.headers.keys()) {
      // What steers the broker must not be said a second time.
      if (name.startsWith('Nats-')) continue;
      for (const value of message.headers.values(name)) head.append(name, value);
    }
    head.set(DeadLetterHeader.reason, reason);
    head.set(DeadLetterHeader.error, error.slice(0, MAX_ERROR_LENGTH).replaceAll(/[\r\n]+/g, ' '));
    head.set(DeadLetterHeader.attempts, String(attempts));
    head.set(DeadLetterHeader.consumer, this.#consumer);
    head.set(DeadLetterHeader.stream, message.stream);
    head.set(DeadLetterHeader.subject, message.subject);
    head.set(DeadLetterHeader.sequence, String(message.sequence));
    head.set(DeadLetterHeader.time, new Date().toISOString());
    return head;
  }

  #subject(partition: number, key: string): string {
    return `dead.${this.#consumer}.${partition}.${key}`;
  }
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

/** Where a message of this key stands that was parked already, before a crash or by another owner. */
async function parkedBefore(
  letters: Journal,
  last: StoredMessage,
  message: StoredMessage,
): Promise<number | undefined> {
  if (streamOf(last) === message.stream) {
    // A key's messages are parked in their order, so one that is not newer than the last is there already.
    return sequenceOf(last) >= message.sequence ? last.sequence : undefined;
  }
  // A projection over several journals parks what they say of a key in one row.
  const row = await letters.history(last.subject);
  return row.find((each) => streamOf(each) === message.stream && sequenceOf(each) >= message.sequence)?.sequence;
}

function streamOf(letter: StoredMessage): string {
  return letter.headers.get(DeadLetterHeader.stream);
}

function sequenceOf(letter: StoredMessage): number {
  return Number(letter.headers.get(DeadLetterHeader.sequence));
}

/** The client refuses what is larger than the server's max_payload, the server what is larger than a stream allows. */
function isTooLarge(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return TOO_LARGE.has(error.code);
  return error instanceof Error && error.name === 'InvalidArgumentError';
}

/** How many messages each consumer of a service has parked; those that have parked none are not in it. */
export async function parkedByConsumer({ manager }: Broker, service: string): Promise<Map<string, number>> {
  const { state } = await manager.streams.info(DEAD_LETTERS, { subjects_filter: 'dead.>' });
  const parked = new Map<string, number>();
  for (const [subject, count] of Object.entries(state.subjects ?? {})) {
    const consumer = subject.split('.')[1] ?? '';
    if (consumer.startsWith(`${service}-`)) parked.set(consumer, (parked.get(consumer) ?? 0) + count);
  }
  return parked;
}

/** The subjects that have messages, with the sequence of the last one where it is known. */
async function parkedSubjects(manager: JetStreamManager, filter: string): Promise<Map<string, number>> {
  const { state } = await manager.streams.info(DEAD_LETTERS, { subjects_filter: filter });
  return new Map(Object.keys(state.subjects ?? {}).map((subject) => [subject, 0]));
}
