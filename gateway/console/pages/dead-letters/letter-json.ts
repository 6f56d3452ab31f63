import {
  create,
  type DescField,
  type DescMessage,
  fromJson,
  getOption,
  type JsonValue,
  type Message,
  toJson,
} from '@bufbuild/protobuf';
import { personal, sealed } from '#gen/causeway/events/v1/options_pb.js';
import { eventRegistry } from '#gen/events.js';
import { type JsonEntry, JsonError, type JsonNode, positionedJson } from './positioned-json.ts';

/** What is wrong with a text, and which characters of it. */
export type Problem = { text: string; from: number; to: number; line: number; column: number };
export type Checked = { message: Message; problem?: undefined } | { message?: undefined; problem: Problem };

/**
 * What an operator may change of a message: all but what is personal, which stays sealed.
 * @param message undefined where it can not be read.
 * @param key of its aggregate, most often the order's id.
 */
export function editableJson(type: DescMessage, message: Message | undefined, key: string): string {
  const json = toJson(type, message ?? create(type), {
    registry: eventRegistry,
    // Where nothing can be read, all fields are there to be filled.
    alwaysEmitImplicit: message === undefined,
  }) as Record<string, JsonValue>;
  for (const field of type.fields) if (isKept(field)) delete json[field.jsonName];
  if (message === undefined && 'orderId' in json) json.orderId = key;
  return JSON.stringify(json, undefined, 2);
}

/** Whether a field stays as it was, whatever the operator writes. */
export function isKept(field: DescField): boolean {
  return getOption(field, personal) || getOption(field, sealed);
}

/** Reads a text as a message of the type, as JSON; or says what is wrong, and where. */
export function checkedJson(type: DescMessage, text: string): Checked {
  try {
    const node = positionedJson(text);
    const found = firstProblem(type, node);
    if (found !== undefined) return { problem: located(text, found) };
    return { message: fromJson(type, node.value as JsonValue, { registry: eventRegistry }) };
  } catch (error) {
    const at = error instanceof JsonError ? error.at : 0;
    return { problem: located(text, { text: reasonOf(error), from: at, to: Math.min(at + 1, text.length) }) };
  }
}

type Found = Omit<Problem, 'line' | 'column'>;

function located(text: string, { text: why, from, to }: Found): Problem {
  const before = text.slice(0, from).split('\n');
  return { text: why, from, to, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** The first field that does not fit: it is looked for field by field, because a whole message only says that one does not. */
function firstProblem(type: DescMessage, node: JsonNode): Found | undefined {
  const shortName = type.typeName.split('.').at(-1);
  if (node.entries === undefined) return { text: `${shortName} is an object in braces`, from: node.from, to: node.to };
  for (const entry of node.entries) {
    const field = type.fields.find(({ jsonName, name }) => entry.name === jsonName || entry.name === name);
    const problem =
      field === undefined
        ? { text: `${shortName} has no field ${entry.name}`, from: entry.from, to: entry.to }
        : problemOfField(type, field, entry);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemOfField(type: DescMessage, field: DescField, entry: JsonEntry): Found | undefined {
  const { name, node } = entry;
  if (isKept(field)) return { text: `${name} is personal: it stays sealed as it was`, from: entry.from, to: entry.to };
  const inner = field.message;
  // What Google's own types look like is known to the library alone.
  const isPlain = inner !== undefined && field.fieldKind !== 'map' && !inner.typeName.startsWith('google.protobuf.');
  if (isPlain && field.fieldKind === 'list' && node.items !== undefined) {
    return node.items.map((item) => firstProblem(inner, item)).find((problem) => problem !== undefined);
  }
  if (isPlain && field.fieldKind === 'message' && node.value !== null) return firstProblem(inner, node);
  if (field.fieldKind === 'list' && node.items !== undefined) {
    const fits = (item: JsonNode) => whyNot(type, { [name]: [item.value] }) === undefined;
    const item = node.items.find((each) => !fits(each));
    if (item !== undefined) return { text: whyNot(type, { [name]: [item.value] }) ?? '', from: item.from, to: item.to };
  }
  const why = whyNot(type, { [name]: node.value });
  return why === undefined ? undefined : { text: why, from: node.from, to: node.to };
}

function whyNot(type: DescMessage, json: Record<string, unknown>): string | undefined {
  try {
    fromJson(type, json as JsonValue, { registry: eventRegistry });
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** Without what the library says before it: the place is shown anyhow. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^cannot decode .* from JSON: /, '');
}
