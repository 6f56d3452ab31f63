import { DiscardPolicy, type JetStreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import type { StoredMessage } from './event.ts';
import { ConflictError, eventId, Journal } from './journal.ts';
import { parseSubject } from './partitions.ts';
import { ensureStream, type StreamDeclaration } from './streams.ts';

const STREAM = 'DEAD_LETTERS';
const MAX_BYTES = 1024 ** 3;
const MAX_ERROR_LENGTH = 500;

export const DeadLetterHeader = {
  reason: 'Causeway-Dead-Reason',
  error: 'Causeway-Dead-Error',
  attempts: 'Causeway-Dead-Attempts',
  consumer: 'Causeway-Dead-Consumer',
  stream: 'Causeway-Dead-Stream',
  subject: 'Causeway-Dead-Subject',
  sequence: 'Causeway-Dead-Sequence',
  time: 'Causeway-Dead-Time',
} as const;

/** Why a consumer gave a message up. */
export type ParkingReason = 'CANNOT_DECODE' | 'REFUSED' | 'FAILED' | 'ATTEMPTS_EXHAUSTED' | 'BEHIND_A_PARKED_MESSAGE';

export type ParkingNote = { reason: ParkingReason; error: string; attempts: number };

function deadLetterStream(replicas: number): StreamDeclaration {
  return {
    name: STREAM,
    subjects: ['dead.>'],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_bytes: MAX_BYTES,
    num_replicas: replicas,
    allow_direct: true,
    allow_rollup_hdrs: false,
  };
}

/** Where a consumer parks messages, and what it has parked: a key is parked as long as its subject has a message. */
export class Parking {
  readonly #broker: Broker;
  readonly #consumer: string;
  readonly #parked: Map<string, number>;

  private constructor(broker: Broker, consumer: string, parked: Map<string, number>) {
    this.#broker = broker;
    this.#consumer = consumer;
    this.#parked = parked;
  }

  /**
   * Reads what the consumer has parked, in every partition.
   * @param consumer its name without the partition, such as `orders-history_v1`.
   */
  static async open(broker: Broker, consumer: string): Promise<Parking> {
    await ensureStream(broker.manager, deadLetterStream(broker.replicas));
    return new Parking(broker, consumer, await parkedSubjects(broker.manager, `dead.${consumer}.>`));
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
    const { partition, key } = parseSubject(message.subject) ?? { partition: 0, key: 'unknown' };
    const subject = this.#subject(partition, key);
    const sequence = await this.#append(subject, message, note);
    this.#parked.set(subject, sequence);
  }

  async #append(subject: string, message: StoredMessage, note: ParkingNote): Promise<number> {
    const parking = new Journal({ service: 'dead', stream: STREAM, maxBytes: MAX_BYTES }, this.#broker);
    const id = eventId(subject, `${message.stream} ${message.sequence}`, 'parked');
    for (;;) {
      const last = await parking.lastOnLeader(subject);
      // Messages of a key are parked in their order, so one that is not newer than the last is there already.
      if (last !== undefined && isAtLeast(last, message)) return last.sequence;
      try {
        const head = this.#headers(message, note);
        return (
          await parking.append({
            subject,
            data: message.data,
            headers: head,
            id,
            expectedSequence: last?.sequence ?? 0,
          })
        ).sequence;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
    }
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

function isAtLeast(parked: StoredMessage, { stream, sequence }: StoredMessage): boolean {
  const { headers: head } = parked;
  return head.get(DeadLetterHeader.stream) === stream && Number(head.get(DeadLetterHeader.sequence)) >= sequence;
}

/** The subjects that have messages, with the sequence of the last one where it is known. */
async function parkedSubjects(manager: JetStreamManager, filter: string): Promise<Map<string, number>> {
  const { state } = await manager.streams.info(STREAM, { subjects_filter: filter });
  return new Map(Object.keys(state.subjects ?? {}).map((subject) => [subject, 0]));
}
