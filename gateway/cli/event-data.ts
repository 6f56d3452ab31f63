import { toJson } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import { eventFiles, eventRegistry } from '#gen/events.js';
import { eventsIn } from '#kit/event.ts';
import { shortType } from './printing.ts';

/** Whether an event is called so, in full or without its package, as far as this program knows. */
export function isKnownType(name: string): boolean {
  return eventFiles.flatMap(eventsIn).some(({ typeName }) => typeName === name || shortType(typeName) === name);
}

/** What a message says, with its type. What is personal in it is sealed, in one field. */
export function dataJson(data: Any): string {
  return JSON.stringify(toJson(AnySchema, data, { registry: eventRegistry }), undefined, 2);
}

/** What it says on one line, without its type. */
export function dataLine(data: Any): string {
  const { '@type': _, ...says } = toJson(AnySchema, data, { registry: eventRegistry }) as Record<string, unknown>;
  return JSON.stringify(says);
}
