import { useQuery } from '@connectrpc/connect-query';
import { Link, useParams } from 'wouter';
import type { LoggedEvent } from '#gen/causeway/operations/v1/log_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Page } from '../../parts/page.tsx';
import { Payload, shortType } from '../../parts/payload.tsx';
import { TraceLink } from '../../parts/trace-link.tsx';
import { ordinal, words } from '../../parts/words.ts';
import { EventTime } from './event-time.tsx';
import { addressOf } from './log-filter.ts';
import { RawBytes } from './raw-bytes.tsx';
import { RelatedEvents } from './related-events.tsx';
import './events.css';

/** Aggregates that are kept under an order's id. */
const OF_AN_ORDER = new Set(['order', 'fulfilment', 'reservation', 'payment', 'shipment', 'email']);
const MAX_SEQUENCE = 19;

/** One event, as its journal holds it. */
export default function EventPage() {
  const { stream = '', sequence = '' } = useParams();
  const isPlace = /^[1-9]\d*$/.test(sequence) && sequence.length < MAX_SEQUENCE;
  const query = useQuery(
    OperationsService.method.getEvent,
    { stream, sequence: isPlace ? BigInt(sequence) : 0n },
    // An event never changes.
    { enabled: isPlace, staleTime: Number.POSITIVE_INFINITY },
  );
  const type = query.data?.event?.type;
  return (
    <Page
      title={type === undefined ? 'Event' : words(shortType(type)) || 'Event'}
      about={`${stream} ${sequence}`}
      actions={<Link href="/events">To the log</Link>}
    >
      {isPlace ? (
        <Answer query={query}>{({ event }) => event !== undefined && <OneEvent event={event} />}</Answer>
      ) : (
        <p className="state">{sequence} is not a place in a stream.</p>
      )}
    </Page>
  );
}

function OneEvent({ event }: { event: LoggedEvent }) {
  return (
    <div className="stack">
      <div className="grid">
        <section className="card" aria-label="About it">
          <Facts event={event} />
        </section>
        <section className="card" aria-label="What it says">
          <h2>What it says</h2>
          <Payload data={event.data} />
        </section>
      </div>
      <RelatedEvents event={event} />
      <section className="card" aria-label="Headers">
        <h2>Headers</h2>
        <dl className="facts wide-names">
          {Object.entries(event.headers).map(([name, value]) => (
            <Fact key={name} name={name}>
              <span className="mono">{value}</span>
            </Fact>
          ))}
        </dl>
        <RawBytes bytes={event.raw} />
      </section>
    </div>
  );
}

function Facts({ event }: { event: LoggedEvent }) {
  const { stream, sequence, partition, aggregate, key, version, id, type, time, actor, correlationId, attempts } =
    event;
  return (
    <>
      <dl className="facts">
        <Fact name="Type">
          <span className="mono">{type}</span>
        </Fact>
        <Fact name="Happened">
          <EventTime at={time} />, <Moment at={time} />
        </Fact>
        <Fact name="About">
          {aggregate} <span className="mono">{key}</span>, version {String(version)}
        </Fact>
        <Fact name="By">{actor}</Fact>
        {attempts > 1 && <Fact name="Attempts">the {ordinal(attempts)} has worked</Fact>}
        <Fact name="Stands">
          {stream} {String(sequence)}, partition {partition}
        </Fact>
        <Fact name="Event id">
          <span className="mono">{id}</span>
        </Fact>
        <Fact name="Cause">
          <span className="mono">{event.causationId}</span>
        </Fact>
        <Fact name="Correlation">
          <span className="mono">{correlationId}</span>
        </Fact>
      </dl>
      <div className="buttons links">
        {OF_AN_ORDER.has(aggregate) && <Link href={`/orders/${key}`}>Its order</Link>}
        {correlationId !== '' && (
          <Link href={`/events?${addressOf({ correlation: correlationId })}`}>All with this correlation</Link>
        )}
        <Link href={`/events?${addressOf({ key })}`}>All of this key</Link>
        <TraceLink traceId={event.traceId} />
      </div>
    </>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
