import type { Broker } from './broker.ts';
import { type LetterGroup, letterGroups } from './dead-letter-groups.ts';
import {
  countLetters,
  DEAD_LETTERS,
  deadLetters,
  ensureDeadLetters,
  isRow,
  type Letter,
  letterFrom,
  messageOf,
  noteSubject,
  type Row,
  rowOf,
  rowSubject,
} from './dead-letters.ts';
import { CallError, UnavailableError } from './errors.ts';
import { Header } from './event.ts';
import type { Journal } from './journal.ts';
import { askOwner, type Replayed } from './owner-requests.ts';

export type { Letter, Row } from './dead-letters.ts';

/** Rows that a filter answers at most, and rows that are read at a time. */
const MAX_ROWS = 10_000;
const READ_AT_ONCE = 64;
const NO_CONTENT = new Uint8Array();

/** What is left out: any. Reason and type are those of a row's first letter. */
export type RowFilter = { consumer?: string; partition?: number; key?: string; reason?: string; eventType?: string };

/** Where an operator looks at dead letters, and has them handled once more or thrown away. */
export class DeadLetterDesk {
  readonly #broker: Broker;
  readonly #letters: Journal;

  constructor(broker: Broker) {
    this.#broker = broker;
    this.#letters = deadLetters(broker);
  }

  /**
   * Rows with how many letters each has and its first one, by consumer, partition and key; 10,000 at most. What the
   * first one's message says, and its aggregate's state, are left out: letter() has them.
   * @throws UnavailableError
   */
  async rows({
    consumer = '',
    partition,
    key = '',
    reason = '',
    eventType = '',
  }: RowFilter): Promise<(Row & { count: number; first: Letter })[]> {
    if (!isRow({ consumer: consumer || 'any', partition: partition ?? 0, key: key || 'any' })) return [];
    await this.#ensure();
    const filter = `dead.${consumer || '*'}.${partition ?? '*'}.${key || '*'}`;
    const [counts, notes] = await Promise.all([
      countLetters(this.#broker, filter),
      countLetters(this.#broker, `${filter}.tried`),
    ]);
    const candidates = [...counts].flatMap(([subject, count]) => {
      const row = rowOf(subject);
      return row === undefined ? [] : [{ ...row, count, isNoted: notes.has(noteSubject(row)) }];
    });
    candidates.sort(byPlace);
    const rows: (Row & { count: number; first: Letter })[] = [];
    for (let from = 0; from < candidates.length && rows.length < MAX_ROWS; from += READ_AT_ONCE) {
      const some = candidates.slice(from, from + READ_AT_ONCE);
      const firsts = await Promise.all(some.map((row) => this.#first(row, row.isNoted)));
      for (const [index, first] of firsts.entries()) {
        if (first === undefined || (reason !== '' && first.reason !== reason)) continue;
        if (eventType !== '' && first.message.headers.get(Header.type) !== eventType) continue;
        const { consumer: of, partition: where, key: its, count } = some[index] ?? { ...first, count: 1 };
        rows.push({ consumer: of, partition: where, key: its, count, first });
      }
    }
    return rows.slice(0, MAX_ROWS);
  }

  /** How much is parked, by consumer, and by reason and type of each key's first letter. @throws UnavailableError */
  async groups(): Promise<LetterGroup[]> {
    await this.#ensure();
    return letterGroups(this.#broker);
  }

  /**
   * One dead letter, with what its latest replay said; undefined where it is not there, or not any more.
   * @throws UnavailableError
   */
  async letter(sequence: number): Promise<Letter | undefined> {
    if (!Number.isSafeInteger(sequence) || sequence < 1) return undefined;
    await this.#ensure();
    const stored = await this.#letters.at(sequence);
    const row = stored === undefined ? undefined : rowOf(stored.subject);
    if (stored === undefined || row === undefined) return undefined;
    const letter = letterFrom(stored, await this.#letters.lastOnLeader(noteSubject(row)));
    if (letter === undefined) return undefined;
    return { ...letter, message: (await messageOf(this.#broker, letter)) ?? letter.message };
  }

  /**
   * Has the owner of the partition handle the key's letters once more, one attempt each, first to last, until one
   * fails: that one stays, with its new error, and those behind it. Letters that were handled are gone.
   * @param options.edited what the first letter's message is to say in this attempt. Its headers stay.
   * @param options.first sequence of the letter that is meant, where the row may have been changed meanwhile.
   * @param options.signal ends the replay after the letter at work.
   * @throws UnavailableError where nobody owns the partition, or the owner does not answer.
   * @throws CallError NOT_FOUND where nothing is parked, FAILED_PRECONDITION where another letter is the first,
   *   CANCELLED when the signal aborts before a letter was handled.
   */
  async replay(
    row: Row,
    { edited, first, signal }: { edited?: Uint8Array; first?: number; signal?: AbortSignal } = {},
  ): Promise<Replayed> {
    mustBeRow(row);
    let only = {
      ...(first === undefined ? {} : { first }),
      ...(edited === undefined ? {} : { edited: Buffer.from(edited).toString('base64') }),
    };
    let all: Replayed = { handled: 0, remaining: 0, error: '' };
    // The owner answers after a while, so that it can be told to go on, or not to.
    for (;;) {
      try {
        const request = { command: 'replay', key: row.key, ...only } as const;
        const { handled, remaining, error } = await askOwner<Replayed>(this.#broker, row, request, signal);
        all = { handled: all.handled + handled, remaining, error };
      } catch (error) {
        return afterTrouble(error, all);
      }
      if (all.remaining === 0 || all.error !== '') return all;
      only = {};
    }
  }

  /**
   * Has the owner of the partition throw letters away: the first of the key, or all. Answers how many. After the first
   * only, those behind it stay parked until they are replayed.
   * @throws UnavailableError, CallError as replay does.
   */
  async discard(row: Row, { firstOnly, first }: { firstOnly: boolean; first?: number }): Promise<number> {
    mustBeRow(row);
    const only = first === undefined ? {} : { first };
    const request = { command: 'discard', key: row.key, firstOnly, ...only } as const;
    return (await askOwner<{ discarded: number }>(this.#broker, row, request)).discarded;
  }

  async #first(row: Row, isNoted: boolean): Promise<Letter | undefined> {
    const [stored, note] = await Promise.all([
      this.#letters.firstFrom(rowSubject(row), 1),
      isNoted ? this.#letters.lastOnLeader(noteSubject(row)) : undefined,
    ]);
    const letter = stored === undefined ? undefined : letterFrom(stored, note);
    if (letter === undefined) return undefined;
    const message = (await messageOf(this.#broker, letter)) ?? letter.message;
    message.headers.delete(Header.state);
    return { ...letter, message: { ...message, data: NO_CONTENT } };
  }

  /** Before anything was parked there may be no stream. */
  async #ensure(): Promise<void> {
    try {
      await ensureDeadLetters(this.#broker);
    } catch (error) {
      throw error instanceof UnavailableError
        ? error
        : new UnavailableError(`${DEAD_LETTERS} is away`, { cause: error });
    }
  }
}

/** What was handled before is said all the same. */
function afterTrouble(error: unknown, before: Replayed): Replayed {
  if (before.handled === 0) throw error;
  // Nothing is left: another replay has handled the rest.
  if (error instanceof CallError && error.code === 'NOT_FOUND') return { ...before, remaining: 0, error: '' };
  return { ...before, error: error instanceof Error ? error.message : String(error) };
}

/** @throws CallError NOT_FOUND for what can't be a row. */
function mustBeRow(row: Row): void {
  if (!isRow(row)) throw new CallError('NOT_FOUND', 'nothing is parked there');
}

function byPlace(one: Row, other: Row): number {
  return compare(one.consumer, other.consumer) || one.partition - other.partition || compare(one.key, other.key);
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
