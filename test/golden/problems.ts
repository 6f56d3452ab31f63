import {
  type DescField,
  type DescMessage,
  fromJson,
  getOption,
  type JsonValue,
  type MessageShape,
} from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { EventKind, event as eventOption, sealed as sealedOption } from '#gen/causeway/events/v1/options_pb.js';
import { EventTypes } from '#kit/event.ts';
import type { GoldenExample, Reader } from './corpus.ts';

/**
 * The fields of an event type, and of the messages inside of it, that no example sets: a field that is new has no
 * example until one is added. What holds the sealed fields is left out; it is empty once they are opened.
 */
export function fieldsWithoutExample(type: DescMessage, says: readonly JsonValue[]): string[] {
  const set = new Set<string>();
  for (const each of says) collect(reflect(type, fromJson(type, each) as MessageShape<DescMessage>), set);
  return [...reachable(type, new Set())]
    .flatMap((message) => message.fields)
    .filter((field) => !getOption(field, sealedOption))
    .map(nameOf)
    .filter((name) => !set.has(name));
}

function collect(message: ReflectMessage, set: Set<string>): void {
  for (const field of message.fields.filter((each) => message.isSet(each))) {
    set.add(nameOf(field));
    if (field.fieldKind === 'message') collect(message.get(field), set);
    if (field.fieldKind === 'list' && field.listKind === 'message') {
      for (const each of message.get(field)) collect(each as ReflectMessage, set);
    }
    if (field.fieldKind === 'map' && field.mapKind === 'message') {
      for (const each of message.get(field).values()) collect(each as ReflectMessage, set);
    }
  }
}

function reachable(type: DescMessage, seen: Set<DescMessage>): Set<DescMessage> {
  if (!seen.has(type) && !type.typeName.startsWith('google.protobuf.')) {
    seen.add(type);
    for (const { message } of type.fields) if (message !== undefined) reachable(message, seen);
  }
  return seen;
}

function nameOf({ parent, name }: DescField): string {
  return `${parent.typeName}.${name}`;
}

/** What was an example once and is none now, or another one, by its note. New ones come behind those that are there. */
export function lostExamples(before: readonly GoldenExample[], now: readonly GoldenExample[]): string[] {
  return before.filter((example, index) => !isSame(example, now[index])).map(({ note }) => note);
}

function isSame(one: GoldenExample, other: GoldenExample | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The type that an aggregate makes of an event of this type; undefined for one that is not its own. */
export function readerOf(
  type: DescMessage,
  readers: readonly Reader[],
): { reader: Reader; types: EventTypes } | undefined {
  for (const reader of readers) {
    const types = new EventTypes(Object.values(reader.events), reader.upcasters);
    if (types.knows(type.typeName)) return { reader, types };
  }
  return undefined;
}

/** Domain events that stand in a journal, and that no aggregate can read any more: their history can't be replayed. */
export function unreadableTypes(types: readonly DescMessage[], readers: readonly Reader[]): string[] {
  return types
    .filter((type) => getOption(type, eventOption) === EventKind.DOMAIN && readerOf(type, readers) === undefined)
    .map(({ typeName }) => typeName);
}
