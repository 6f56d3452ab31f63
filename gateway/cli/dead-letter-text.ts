import type {
  DeadLetter,
  GetDeadLetterResponse,
  ParkedKey,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { dataJson } from './event-data.ts';
import { properties, shortType, table, time } from './printing.ts';

export function parkedTable(keys: readonly ParkedKey[]): string {
  return table(
    ['SEQUENCE', 'CONSUMER', 'KEY', 'MESSAGES', 'TYPE', 'REASON', 'PARKED', 'ERROR'],
    keys.map(({ consumer, key, messages, first }) => [
      String(first?.sequence ?? ''),
      consumer,
      key,
      String(messages),
      shortType(first?.eventType),
      first?.reason ?? '',
      time(first?.parkedAt),
      first?.error ?? '',
    ]),
  );
}

/** A dead letter for people: what is known of it, what it says, and what waits behind it. */
export function letterText({ letter, behind, parked }: GetDeadLetterResponse): string {
  if (letter === undefined) return '';
  const says = letter.data === undefined ? `can not be decoded: ${letter.raw.length} bytes` : dataJson(letter.data);
  const parts = [aboutLetter(letter), says];
  if (behind.length > 0) {
    const rows = behind.map((each) => [
      String(each.sequence),
      shortType(each.eventType),
      time(each.eventTime),
      place(each),
    ]);
    const head = `behind it, in this order; ${parked} messages of the key are parked:`;
    parts.push(`${head}\n${table(['SEQUENCE', 'TYPE', 'SAID', 'FROM'], rows)}`);
  }
  return parts.join('\n\n');
}

function aboutLetter(letter: DeadLetter): string {
  return properties([
    ['sequence', String(letter.sequence)],
    ['consumer', `${letter.consumer}, partition ${letter.partition}`],
    ['key', letter.key],
    ['reason', letter.reason],
    ['error', letter.error],
    ['attempts', String(letter.attempts)],
    ['parked', time(letter.parkedAt)],
    ['type', letter.eventType],
    ['event', letter.eventId],
    ['said', time(letter.eventTime)],
    ['from', place(letter)],
    ['correlation', letter.correlationId],
  ]);
}

function place({ stream, streamSequence }: DeadLetter): string {
  return `${stream} ${streamSequence}`;
}
