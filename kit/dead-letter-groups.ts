import { answered, type Broker } from './broker.ts';
import {
  countLetters,
  DEAD_LETTERS,
  deadLetters,
  type Letter,
  letterFrom,
  messageOf,
  noteSubject,
  rowOf,
  rowSubject,
} from './dead-letters.ts';
import { Header, type StoredMessage } from './event.ts';
import { messagesBetween } from './stream-window.ts';

/** Keys of one consumer whose first letters have the same reason and type. */
export type LetterGroup = {
  consumer: string;
  /** With the type empty where there was no time to look at the first letters of these keys: there are very many. */
  reason: string;
  eventType: string;
  keys: number;
  messages: number;
  /** When the oldest of the first letters was parked. */
  oldestParkedAt: Date | undefined;
  /** Of one of them. */
  error: string;
};

/** How long it may take to look at first letters. */
const LOOK_MS = 1_200;
const NOTES_AT_ONCE = 64;

/**
 * How much is parked, the group with most keys first. Keys and messages are counted by their subjects; the stream is read
 * once, and only until the first letter of each key was seen.
 * @throws UnavailableError
 */
export async function letterGroups(broker: Broker, { lookMs = LOOK_MS } = {}): Promise<LetterGroup[]> {
  const [counts, notes] = await Promise.all([
    countLetters(broker, 'dead.*.*.*'),
    countLetters(broker, 'dead.*.*.*.tried'),
  ]);
  const unseen = new Map(counts);
  const firsts = await firstLetters(broker, unseen, performance.now() + lookMs);
  const groups = new Map<string, LetterGroup>();
  for (let from = 0; from < firsts.length; from += NOTES_AT_ONCE) {
    const some = firsts.slice(from, from + NOTES_AT_ONCE);
    for (const letter of await Promise.all(some.map((stored) => noted(broker, stored, notes)))) {
      // A row that is done with has a last message, and no letter.
      if (letter !== undefined) count(groups, groupOf(letter), counts.get(rowSubject(letter)) ?? 1);
    }
  }
  for (const [subject, messages] of unseen) {
    const consumer = rowOf(subject)?.consumer;
    const unknown = { reason: '', eventType: '', oldestParkedAt: undefined, error: '' };
    if (consumer !== undefined) count(groups, { consumer, ...unknown }, messages);
  }
  return [...groups.values()].sort((one, other) => other.keys - one.keys || other.messages - one.messages);
}

/** The first message of each of these subjects, which are removed as they are seen; also those that are gone by now. */
async function firstLetters(broker: Broker, unseen: Map<string, number>, until: number): Promise<StoredMessage[]> {
  if (unseen.size === 0) return [];
  const { state } = await answered(broker, () => broker.manager.streams.info(DEAD_LETTERS));
  const range = { from: state.first_seq, to: state.last_seq, subject: 'dead.*.*.*' };
  const firsts: StoredMessage[] = [];
  for await (const stored of messagesBetween(broker, DEAD_LETTERS, range)) {
    if (unseen.delete(stored.subject)) firsts.push(stored);
    if (unseen.size === 0 || performance.now() > until) return firsts;
  }
  unseen.clear();
  return firsts;
}

/** The letter with what its latest replay said. */
async function noted(
  broker: Broker,
  stored: StoredMessage,
  notes: ReadonlyMap<string, number>,
): Promise<Letter | undefined> {
  const row = rowOf(stored.subject);
  const note = row === undefined ? '' : noteSubject(row);
  const letter = letterFrom(stored, notes.has(note) ? await deadLetters(broker).lastOnLeader(note) : undefined);
  if (letter?.isLeftOut !== true) return letter;
  return { ...letter, message: (await messageOf(broker, letter)) ?? letter.message };
}

type Group = Omit<LetterGroup, 'keys' | 'messages'>;

function groupOf({ consumer, reason, error, parkedAt, message }: Letter): Group {
  return { consumer, reason, eventType: message.headers.get(Header.type), oldestParkedAt: parkedAt, error };
}

function count(groups: Map<string, LetterGroup>, found: Group, messages: number): void {
  const name = `${found.consumer} ${found.reason} ${found.eventType}`;
  const group = groups.get(name);
  if (group === undefined) {
    groups.set(name, { ...found, keys: 1, messages });
    return;
  }
  group.keys++;
  group.messages += messages;
  const { oldestParkedAt: parkedAt } = found;
  if (parkedAt !== undefined && (group.oldestParkedAt === undefined || parkedAt < group.oldestParkedAt)) {
    group.oldestParkedAt = parkedAt;
  }
}
