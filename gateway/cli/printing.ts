import { type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf';
import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { eventRegistry } from '#gen/events.js';

/** A message as JSON, with every field, so that a script finds it. @param indent 0: on one line. */
export function asJson<Desc extends DescMessage>(type: Desc, message: MessageShape<Desc>, indent = 0): string {
  return JSON.stringify(
    toJson(type, message, { registry: eventRegistry, alwaysEmitImplicit: true }),
    undefined,
    indent,
  );
}

/** Writes to stdout: what was asked for. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes to stderr: what people want to know beside it. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** How many there are, in words. @param noun one of them; an `s` makes it many. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Rows under a head, in columns. @param atLeast widths of the first columns, so that one table can go on where another ends. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  atLeast: readonly number[] = [],
): string {
  const all = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => Math.max(atLeast[column] ?? 0, ...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return all.map((row) => line(row).trimEnd()).join('\n');
}

/** Names and what they are, in two columns; what is empty is left out. */
export function properties(pairs: readonly (readonly [string, string])[]): string {
  const said = pairs.filter(([, value]) => value !== '');
  const width = Math.max(...said.map(([name]) => name.length));
  return said.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`).join('\n');
}

/** A time, to the second; empty where there is none. */
export function time(timestamp: Timestamp | undefined): string {
  return timestamp === undefined ? '' : `${timestampDate(timestamp).toISOString().slice(0, 19)}Z`;
}

/** Last part of a full name. */
export function shortType(type = ''): string {
  return type.split('.').at(-1) ?? '';
}

/** An error's words come from anywhere: nothing in them may break a line, or steer a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(/\p{Cc}/gu, '?');
}
