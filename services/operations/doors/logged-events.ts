import { create } from '@bufbuild/protobuf';
import { type LoggedEvent, LoggedEventSchema } from '#gen/causeway/operations/v1/log_pb.js';
import { attemptsOf, causeOf, correlationOf, Header, type StoredMessage } from '#kit/event.ts';
import { knownData, saidAt, shownHeaders } from './known-events.ts';

/** A message of a journal as lists show it, also one that is no event: as far as it says something of itself. */
export function loggedEvent(message: StoredMessage): LoggedEvent {
  const { subject, stream, sequence, headers } = message;
  const [, , partition, aggregate = '', key = ''] = subject.split('.');
  const time = saidAt(message);
  const data = knownData(message);
  return create(LoggedEventSchema, {
    stream,
    sequence: BigInt(sequence),
    partition: smallNumber(partition),
    aggregate,
    key,
    id: headers.get(Header.id),
    type: headers.get(Header.type),
    version: BigInt(smallNumber(headers.get(Header.version))),
    correlationId: correlationOf(message),
    ...causeOf(message),
    traceId: headers.get(Header.traceparent).split('-')[1] ?? '',
    attempts: attemptsOf(message),
    ...(time === undefined ? {} : { time }),
    ...(data === undefined ? {} : { data }),
  });
}

/** The same with all of its headers, and as it is stored. */
export function wholeLoggedEvent(message: StoredMessage): LoggedEvent {
  return create(LoggedEventSchema, {
    ...loggedEvent(message),
    headers: shownHeaders(message),
    raw: message.data,
  });
}

/** Anybody may publish on a journal's subjects: what is no such number counts as none. */
function smallNumber(text = ''): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}
