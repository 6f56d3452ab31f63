import { randomUUID } from 'node:crypto';
import type { Broker } from './broker.ts';
import {
  BEHIND,
  countLetters,
  DeadLetterHeader,
  deadLetters,
  ensureDeadLetters,
  isTooLarge,
  isUnparked,
  leftOutHeaders,
  letterHeaders,
  type ParkingNote,
  parkingPlace,
  type Row,
  rowOf,
  rowSubject,
} from './dead-letters.ts';
import type { StoredMessage } from './event.ts';
import { ConflictError, type Journal } from './journal.ts';
import { ParkedRow } from './parked-row.ts';

/** A message was to wait behind a parked one of its key, and the key is not parked any more. */
export class UnparkedError extends Error {
  override name = 'UnparkedError';
}

/** Where a consumer parks messages, and what it has parked: a key is parked as long as its subject has a letter. */
export class Parking {
  readonly #broker: Broker;
  readonly #consumer: string;
  readonly #letters: Journal;
  /** Subjects of the rows. */
  readonly #parked: Set<string>;
  /** The last of what is under way, by subject. */
  readonly #underWay = new Map<string, Promise<void>>();

  private constructor(broker: Broker, consumer: string, parked: Iterable<string>) {
    this.#broker = broker;
    this.#consumer = consumer;
    this.#letters = deadLetters(broker);
    this.#parked = new Set(parked);
  }

  /**
   * Reads what the consumer has parked.
   * @param consumer its name without the partition, such as `orders-history_v1`.
   * @param partition left out: every partition.
   */
  static async open(broker: Broker, consumer: string, partition: number | '*' = '*'): Promise<Parking> {
    await ensureDeadLetters(broker);
    const rows = await countLetters(broker, `dead.${consumer}.${partition}.*`);
    const parking = new Parking(broker, consumer, rows.keys());
    // What can't be finished now is by whoever opens it next.
    void parking.#finish().catch(() => {});
    return parking;
  }

  /** Whether a message of this key is parked: its later messages have to wait behind it. */
  isParked(partition: number, key: string): boolean {
    return this.#parked.has(rowSubject({ consumer: this.#consumer, partition, key }));
  }

  /** Keys that are parked now. */
  get size(): number {
    return this.#parked.size;
  }

  /** What is parked of a key. Nothing of the key may be parked here while it is worked on. */
  row(partition: number, key: string): ParkedRow {
    const row = { consumer: this.#consumer, partition, key };
    return new ParkedRow(this.#broker, row, () => this.#parked.delete(rowSubject(row)));
  }

  /**
   * Parks a message, as it was, with a note. Resolves once the broker has stored it: only then may the original be
   * acknowledged. The same message parked again, after a crash between the two, is one dead letter.
   * @throws UnparkedError where it was to wait behind another and the key is not parked any more: somebody else has
   *   handled what was there.
   */
  async park(message: StoredMessage, note: ParkingNote): Promise<void> {
    const row = { consumer: this.#consumer, ...parkingPlace(message.subject) };
    // What is older than a key's last letter counts as parked: so they are stored in the order in which they come, and
    // where one can't be, neither are those behind it.
    await this.#afterOthers(rowSubject(row), () => this.#append(row, message, note));
  }

  /** Finishes what a crash has left of rows that had ended. Until then their keys count as parked. */
  async #finish(): Promise<void> {
    for (const subject of [...this.#parked]) {
      const row = rowOf(subject);
      if (row === undefined) continue;
      await this.#afterOthers(subject, async () => {
        await this.row(row.partition, row.key).isEmpty();
      });
    }
  }

  async #afterOthers(subject: string, task: () => Promise<void>): Promise<void> {
    const done = (this.#underWay.get(subject) ?? Promise.resolve()).then(task);
    this.#underWay.set(subject, done);
    try {
      await done;
    } finally {
      if (this.#underWay.get(subject) === done) this.#underWay.delete(subject);
    }
  }

  async #append(row: Row, message: StoredMessage, note: ParkingNote): Promise<void> {
    const subject = rowSubject(row);
    // Not made from the message: it may be parked again after it was replayed, which is no duplicate of the first time.
    const id = randomUUID();
    let letter = { data: message.data, headers: letterHeaders(this.#consumer, message, note) };
    for (;;) {
      const last = await this.#lastOf(row);
      if (last === undefined && note.reason === BEHIND.reason) throw new UnparkedError(`${subject} has ended`);
      if (last !== undefined && (await this.#isParkedAlready(last, message))) {
        // By another owner, or by an append whose answer never came: this one has not heard of it before.
        this.#parked.add(subject);
        return;
      }
      try {
        await this.#letters.append({ subject, id, expectedSequence: last?.sequence ?? 0, ...letter });
        this.#parked.add(subject);
        return;
      } catch (error) {
        if (isTooLarge(error) && letter.data === message.data) {
          letter = { data: new Uint8Array(), headers: leftOutHeaders(this.#consumer, message, note) };
        } else if (!(error instanceof ConflictError)) throw error;
      }
    }
  }

  /** The row's last letter; undefined where there is none, or none any more. */
  async #lastOf(row: Row): Promise<StoredMessage | undefined> {
    const last = await this.#letters.lastOnLeader(rowSubject(row));
    if (last !== undefined && !isUnparked(last)) return last;
    // What ended the row is taken away before another one begins, so that it is always the last.
    await this.row(row.partition, row.key).isEmpty();
    return undefined;
  }

  /** Whether a message of this key was parked before, before a crash or by another owner. */
  async #isParkedAlready(last: StoredMessage, message: StoredMessage): Promise<boolean> {
    // A key's messages are parked in their order, so one that is not newer than the last is there already.
    if (streamOf(last) === message.stream) return sequenceOf(last) >= message.sequence;
    // A projection over several journals parks what they say of a key in one row.
    const row = await this.#letters.history(last.subject);
    return row.some((each) => streamOf(each) === message.stream && sequenceOf(each) >= message.sequence);
  }
}

function streamOf(letter: StoredMessage): string {
  return letter.headers.get(DeadLetterHeader.stream);
}

function sequenceOf(letter: StoredMessage): number {
  return Number(letter.headers.get(DeadLetterHeader.sequence));
}
