import type { Broker } from './broker.ts';
import { DeadLetterHeader, deadLetters, isUnparked, type ParkingNote, parkingPlace } from './dead-letters.ts';
import type { StoredMessage } from './event.ts';
import type { Journal } from './journal.ts';
import type { ParkedRow } from './parked-row.ts';
import { Parking } from './parking.ts';

/** A row of dead letters is read again after this: an operator may have taken it away. */
const ROW_MS = 2_000;

/** Where the row of a key begins, by stream, and when its first letter was parked. */
type Row = { starts: ReadonlyMap<string, number>; parkedAt: Date; readAt: number };

/**
 * What a projection has parked. Unlike a consumer it may see all messages of a key again, in a rebuild: those from
 * before the parked one belong into the view, as they did the first time.
 */
export class ParkedKeys {
  readonly #consumer: string;
  readonly #parking: Parking;
  readonly #letters: Journal;
  readonly #rows = new Map<string, Row>();

  private constructor(consumer: string, parking: Parking, letters: Journal) {
    this.#consumer = consumer;
    this.#parking = parking;
    this.#letters = letters;
  }

  /** Reads what is parked of one partition. */
  static async open(broker: Broker, consumer: string, partition: number): Promise<ParkedKeys> {
    return new ParkedKeys(consumer, await Parking.open(broker, consumer, partition), deadLetters(broker));
  }

  /** Whether nothing is parked, as nearly always: then no message has to be looked at. */
  get isEmpty(): boolean {
    return this.#parking.size === 0;
  }

  /**
   * Whether the message comes after a parked one of its key.
   * @param time when its event was decided; undefined where it can't be read.
   */
  async isBehind(message: StoredMessage, time: Date | undefined): Promise<boolean> {
    const { key, partition } = parkingPlace(message.subject);
    if (!this.#parking.isParked(partition, key)) return false;
    const row = await this.#row(`dead.${this.#consumer}.${partition}.${key}`);
    if (row === undefined) return false;
    const start = row.starts.get(message.stream);
    // Two journals have no common order: what was decided before the key was parked is taken to come before.
    return start === undefined ? time === undefined || time >= row.parkedAt : message.sequence >= start;
  }

  /** Parks a message. Resolves once the broker has stored it. */
  park(message: StoredMessage, note: ParkingNote): Promise<void> {
    return this.#parking.park(message, note);
  }

  /** What is parked of a key. Nothing of the partition may be at work while it is worked on. */
  row(partition: number, key: string): ParkedRow {
    return this.#parking.row(partition, key);
  }

  async #row(subject: string): Promise<Row | undefined> {
    const known = this.#rows.get(subject);
    if (known !== undefined && performance.now() - known.readAt < ROW_MS) return known;
    this.#rows.delete(subject);
    const letters = await this.#letters.history(subject);
    const [first] = letters;
    if (first === undefined || letters.some(isUnparked)) return undefined;
    const starts = new Map<string, number>();
    for (const { headers } of letters) {
      const stream = headers.get(DeadLetterHeader.stream);
      if (!starts.has(stream)) starts.set(stream, Number(headers.get(DeadLetterHeader.sequence)));
    }
    const row = { starts, parkedAt: new Date(first.headers.get(DeadLetterHeader.time)), readAt: performance.now() };
    this.#rows.set(subject, row);
    return row;
  }
}
