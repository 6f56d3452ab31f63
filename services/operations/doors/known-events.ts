import { create, fromBinary, toJson } from '@bufbuild/protobuf';
import { type Any, AnySchema, type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { eventRegistry } from '#gen/events.js';
import { Header, type StoredMessage } from '#kit/event.ts';

/**
 * What a message says, where its contract is known and fits, also as JSON: what has none, such as a time after the year
 * 9999, would keep the whole answer from who reads JSON. Nothing that is sealed is opened.
 */
export function knownData({ headers, data: value }: StoredMessage): Any | undefined {
  const type = eventRegistry.getMessage(headers.get(Header.type));
  if (type === undefined) return undefined;
  try {
    toJson(type, fromBinary(type, value), { registry: eventRegistry });
  } catch {
    return undefined;
  }
  return create(AnySchema, { typeUrl: `type.googleapis.com/${type.typeName}`, value });
}

/** What may be said of times. */
const FIRST_MS = Date.parse('0001-01-01');
const LAST_MS = Date.parse('9999-12-31');

/** When a message was said, by itself; undefined where it does not say, or says no such time. */
export function saidAt({ headers }: StoredMessage): Timestamp | undefined {
  const time = new Date(headers.get(Header.time));
  return time.getTime() >= FIRST_MS && time.getTime() <= LAST_MS ? timestampFromDate(time) : undefined;
}

/** A message's headers, but for the state of its aggregate, which is nobody else's business. */
export function shownHeaders({ headers }: StoredMessage): Record<string, string> {
  const names = headers.keys().filter((name) => name !== Header.state);
  return Object.fromEntries(names.map((name) => [name, headers.values(name).join(', ')]));
}
