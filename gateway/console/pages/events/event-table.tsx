import { Link } from 'wouter';
import type { LoggedEvent } from '#gen/causeway/operations/v1/log_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { shortType } from '../../parts/payload.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { ordinal, words } from '../../parts/words.ts';
import { EventTime } from './event-time.tsx';
import { addressOf } from './log-filter.ts';

const columns: readonly Column<LoggedEvent>[] = [
  { name: 'Time', cell: ({ time }) => <EventTime at={time} /> },
  {
    name: 'Event',
    cell: ({ stream, sequence, type, attempts }) => (
      <>
        <Link href={`/events/${stream}/${sequence}`} title={type}>
          {words(shortType(type)) || 'Unknown'}
        </Link>{' '}
        {attempts > 1 && <Badge tone="warning">{ordinal(attempts)} attempt</Badge>}
      </>
    ),
  },
  {
    name: 'Stream',
    cell: ({ stream, sequence }) => (
      <>
        {stream} <span className="muted">{String(sequence)}</span>
      </>
    ),
  },
  {
    name: 'About',
    cell: ({ aggregate, key, version }) => (
      <>
        {aggregate}{' '}
        <Link href={`/events?${addressOf({ key })}`} className="mono breaks" title="All of this key">
          {key}
        </Link>{' '}
        <span className="muted">v{String(version)}</span>
      </>
    ),
  },
  { name: 'By', cell: ({ actor }) => <span className="actor">{actor}</span> },
  {
    name: 'Correlation',
    cell: ({ correlationId }) => (
      <Link
        href={`/events?${addressOf({ correlation: correlationId })}`}
        className="mono breaks"
        title={`All with the correlation id ${correlationId}`}
      >
        {shortId(correlationId)}
      </Link>
    ),
  },
];

export function EventTable({ events, caption }: { events: readonly LoggedEvent[]; caption: string }) {
  return (
    <Table
      caption={caption}
      columns={columns}
      rows={events}
      keyOf={({ stream, sequence }) => `${stream} ${sequence}`}
    />
  );
}

/** The beginning of a long id: enough to see which are the same. */
function shortId(id: string): string {
  return id.length > 13 ? `${id.slice(0, 8)}…` : id;
}
