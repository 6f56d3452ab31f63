import { answered, type Broker } from './broker.ts';
import {
  countLetters,
  DEAD_LETTERS,
  deadLetters,
  isUnparked,
  type Letter,
  letterFrom,
  noteHeaders,
  noteSubject,
  type ParkingNote,
  type Row,
  rowSubject,
  unparkedHeaders,
} from './dead-letters.ts';
import { ConflictError, eventId, type Journal } from './journal.ts';
import { isStreamFull, StreamFullError } from './streams.ts';

/** How often a row that others add to is tried to be removed. */
const MAX_ROUNDS = 5;

/**
 * What is parked of one key, for its partition's owner to take away from, first to last.
 *
 * A row ends by an append that expects the row's last letter: whoever parks another behind it at the same moment, or
 * believes that the key is still parked, and the one who ends the row can't both succeed. What ends it is then removed
 * together with what stands before.
 */
export class ParkedRow {
  readonly #broker: Broker;
  readonly #row: Row;
  readonly #letters: Journal;
  readonly #onEmpty: () => void;
  #last = 0;

  /** @param onEmpty called when the row is seen to have ended. */
  constructor(broker: Broker, row: Row, onEmpty: () => void = () => {}) {
    this.#broker = broker;
    this.#row = row;
    this.#letters = deadLetters(broker);
    this.#onEmpty = onEmpty;
  }

  /** Whether nothing is parked. Finishes what a crash has left of a row that had ended. */
  async isEmpty(): Promise<boolean> {
    const last = await this.#letters.lastOnLeader(rowSubject(this.#row));
    this.#last = last?.sequence ?? 0;
    if (last !== undefined && !isUnparked(last)) return false;
    this.#onEmpty();
    if (last !== undefined) await this.#settle(last.sequence);
    return true;
  }

  /** The first letter, with what its latest replay said. */
  async first(): Promise<Letter | undefined> {
    if (await this.isEmpty()) return undefined;
    const [first, note] = await Promise.all([
      this.#letters.firstFrom(rowSubject(this.#row), 1),
      this.#letters.lastOnLeader(noteSubject(this.#row)),
    ]);
    return first === undefined ? undefined : letterFrom(first, note);
  }

  /** The letter behind this one. */
  async next({ sequence }: Letter): Promise<Letter | undefined> {
    const next = await this.#letters.firstFrom(rowSubject(this.#row), sequence + 1);
    return next === undefined ? undefined : letterFrom(next);
  }

  /** How many letters there are. */
  async count(): Promise<number> {
    const subject = rowSubject(this.#row);
    return (await countLetters(this.#broker, subject)).get(subject) ?? 0;
  }

  /** Removes the first letter. Where it was the last too, the key is not parked any more. */
  async remove({ sequence }: Letter): Promise<void> {
    if (sequence >= this.#last && (await this.#end(sequence))) return;
    await this.#purge(rowSubject(this.#row), sequence);
  }

  /** Removes all letters, and answers how many they were. */
  async removeAll(): Promise<number> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (await this.isEmpty()) return 0;
      const letters = await this.count();
      if (await this.#end(this.#last)) return letters;
    }
    throw new ConflictError(`${rowSubject(this.#row)} grows while it is to be removed`);
  }

  /** Notes that the first letter was replayed and failed again; nothing, where the stream is full. */
  async note(letter: Letter, note: ParkingNote): Promise<void> {
    const subject = noteSubject(this.#row);
    const options = { headers: noteHeaders(letter, note) };
    try {
      const { seq } = await answered(this.#broker, () => this.#broker.js.publish(subject, new Uint8Array(), options));
      await this.#purge(subject, seq - 1);
    } catch (error) {
      if (!isStreamFull(error)) throw error;
    }
  }

  /** Ends the row after its last letter; answers whether it has ended, and not been given another one. */
  async #end(sequence: number): Promise<boolean> {
    const subject = rowSubject(this.#row);
    try {
      const ended = await this.#letters.append({
        subject,
        id: eventId(subject, String(sequence), 'unparked'),
        expectedSequence: sequence,
        data: new Uint8Array(),
        headers: unparkedHeaders(),
      });
      this.#onEmpty();
      await this.#settle(ended.sequence);
      return true;
    } catch (error) {
      // Where there is no room for what ends a row, nobody can park another letter either.
      if (error instanceof StreamFullError) await this.#purge(subject, sequence);
      else if (!(error instanceof ConflictError)) throw error;
    }
    return this.isEmpty();
  }

  /** The row has ended at this sequence: what is left of it is not needed. */
  async #settle(sequence: number): Promise<void> {
    await this.#purge(noteSubject(this.#row), sequence);
    await this.#purge(rowSubject(this.#row), sequence);
  }

  /** Removes a subject's messages up to a sequence. */
  async #purge(filter: string, upTo: number): Promise<void> {
    await answered(this.#broker, () => this.#broker.manager.streams.purge(DEAD_LETTERS, { filter, seq: upTo + 1 }));
  }
}
