import { create, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { type Any, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type DeadLetter,
  type DeadLetterGroup,
  DeadLetterGroupSchema,
  DeadLetterSchema,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { eventRegistry } from '#gen/events.js';
import type { Letter } from '#kit/dead-letter-desk.ts';
import type { LetterGroup } from '#kit/dead-letter-groups.ts';
import { CallError, invalid } from '#kit/errors.ts';
import { correlationOf, Header } from '#kit/event.ts';
import { personalFieldsOf } from '#kit/personal-data.ts';
import type { Parked } from '../domain/act.ts';
import { knownData, saidAt, shownHeaders } from './known-events.ts';

/** No event is larger, and in base64 it has to fit into one message to the partition's owner. */
const MAX_EDITED_BYTES = 64 * 1024;

/** A dead letter as lists show it. */
export function deadLetterMessage(letter: Letter): DeadLetter {
  const { sequence, consumer, partition, key, reason, error, attempts, parkedAt, stream, streamSequence, message } =
    letter;
  const eventTime = saidAt(message);
  return create(DeadLetterSchema, {
    sequence: BigInt(sequence),
    consumer,
    partition,
    key,
    reason,
    error,
    attempts,
    parkedAt: timestampFromDate(parkedAt),
    stream,
    streamSequence: BigInt(streamSequence),
    eventId: message.headers.get(Header.id),
    eventType: eventTypeOf(letter),
    correlationId: correlationOf(message),
    ...(eventTime === undefined ? {} : { eventTime }),
  });
}

/** A group of dead letters as the API shows it. */
export function deadLetterGroupMessage({ messages, oldestParkedAt, ...group }: LetterGroup): DeadLetterGroup {
  return create(DeadLetterGroupSchema, {
    ...group,
    messages: BigInt(messages),
    ...(oldestParkedAt === undefined ? {} : { oldestParkedAt: timestampFromDate(oldestParkedAt) }),
  });
}

/** The same with what the message says, as far as its contract can read it. Nothing that is sealed is opened. */
export function wholeDeadLetterMessage(letter: Letter): DeadLetter {
  const whole = deadLetterMessage(letter);
  const data = knownData(letter.message);
  if (data !== undefined) whole.data = data;
  whole.raw = letter.message.data;
  whole.headers = shownHeaders(letter.message);
  return whole;
}

/** A dead letter as the record of an act names it. */
export function parkedMessage(letter: Letter): Parked {
  return {
    sequence: BigInt(letter.sequence),
    stream: letter.stream,
    streamSequence: BigInt(letter.streamSequence),
    eventId: letter.message.headers.get(Header.id),
    eventType: eventTypeOf(letter),
  };
}

function eventTypeOf({ message }: Letter): string {
  return message.headers.get(Header.type);
}

/**
 * What a letter is handled as, encoded: what an operator wrote, with what is personal in it sealed as it was.
 * @throws CallError INVALID_ARGUMENT for another type, for what is personal, and for too much; FAILED_PRECONDITION
 *   where the letter's own personal data can't be kept, because the letter can't be read.
 */
export function editedData(letter: Letter, edited: Any): Uint8Array {
  const name = eventTypeOf(letter);
  const type = eventRegistry.getMessage(name);
  if (edited.typeUrl.split('/').at(-1) !== name)
    throw invalid('edited', `the message is a ${name}, and has to stay one`);
  if (type === undefined) throw invalid('edited', `${name} is not known here, and can't be edited`);
  if (edited.value.length > MAX_EDITED_BYTES) throw invalid('edited', `has more than ${MAX_EDITED_BYTES} bytes`);
  const message = parsed(() => fromBinary(type, edited.value));
  if (message === undefined) throw invalid('edited', `is no ${name}`);
  const { personal, sealed } = personalFieldsOf(type);
  const reflected = reflect(type, message);
  const set = personal.find((field) => reflected.isSet(field));
  if (set !== undefined) throw invalid(`edited.${set.name}`, 'is personal and can not be changed: leave it out');
  if (sealed === undefined) return toBinary(type, message);
  const original = parsed(() => fromBinary(type, letter.message.data));
  if (original === undefined) {
    throw new CallError('FAILED_PRECONDITION', 'the message can not be read: its personal data would be lost', {
      reason: 'PERSONAL_DATA_UNREADABLE',
    });
  }
  const slot = sealed.localName as keyof MessageShape<typeof type>;
  const [now, before] = [message[slot], original[slot]] as unknown as [Uint8Array, Uint8Array];
  if (now.length > 0 && Buffer.compare(now, before) !== 0) {
    throw invalid(`edited.${sealed.name}`, 'is sealed and can not be changed: leave it out');
  }
  return toBinary(type, { ...message, [slot]: before });
}

function parsed<Parsed>(parse: () => Parsed): Parsed | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
