import type { Broker } from '#kit/broker.ts';
import { deadLetters, type Letter, letterFrom, messageOf, type Row, rowSubject } from '#kit/dead-letters.ts';

/** The letters of a row from a sequence on, first to last, at most so many. */
export async function parkedLetters(broker: Broker, row: Row, from: number, limit: number): Promise<Letter[]> {
  const journal = deadLetters(broker);
  const letters: Letter[] = [];
  for (let next = from; letters.length < limit; ) {
    const stored = await journal.firstFrom(rowSubject(row), next);
    const letter = stored === undefined ? undefined : letterFrom(stored);
    if (letter === undefined) break;
    letters.push({ ...letter, message: (await messageOf(broker, letter)) ?? letter.message });
    next = letter.sequence + 1;
  }
  return letters;
}
