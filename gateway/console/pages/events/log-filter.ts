import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { EventFilterSchema } from '#gen/causeway/operations/v1/log_pb.js';

/** What is looked for in the log; what is empty leaves any. Stands in the page's address, so that a search can be sent to somebody. */
export type LogFilter = Readonly<Record<(typeof names)[number], string>>;

/** As the address has them. Times are ISO 8601 in UTC: who gets the address may live elsewhere. */
const names = ['type', 'stream', 'aggregate', 'key', 'correlation', 'from', 'until'] as const;

export function filterOf(address: URLSearchParams): LogFilter {
  return Object.fromEntries(names.map((name) => [name, address.get(name) ?? ''])) as LogFilter;
}

export function addressOf(filter: Partial<LogFilter>): URLSearchParams {
  return new URLSearchParams(names.flatMap((name) => (filter[name] ? [[name, filter[name]]] : [])));
}

/** The filter as the log takes it; what is no time is left out. */
export function requestOf(filter: LogFilter): MessageInitShape<typeof EventFilterSchema> {
  const { type, stream, aggregate, key, correlation } = filter;
  const [from, until] = [dateOf(filter.from), dateOf(filter.until)];
  return {
    streams: stream === '' ? [] : [stream],
    type,
    aggregate,
    key,
    correlationId: correlation,
    ...(from === undefined ? {} : { from: timestampFromDate(from) }),
    ...(until === undefined ? {} : { until: timestampFromDate(until) }),
  };
}

/** A moment as a field for date and time has it: in the reader's own time. */
export function fieldTime(iso: string): string {
  const date = dateOf(iso);
  if (date === undefined) return '';
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

export function isoTime(field: string): string {
  return dateOf(field)?.toISOString() ?? '';
}

function dateOf(text: string): Date | undefined {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
