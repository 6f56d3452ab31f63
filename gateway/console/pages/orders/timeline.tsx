import { memo, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { HistoryEvent } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { Clock, spanText } from '../../parts/moment.tsx';
import { Payload, shortType } from '../../parts/payload.tsx';
import { TraceLink } from '../../parts/trace-link.tsx';
import { ordinal, words } from '../../parts/words.ts';
import { CausalGraph } from './causal-graph.tsx';
import { type Link as CausalLink, causesOf } from './causes.ts';
import { serviceOf } from './moments.ts';

/** Every event of an order in causal order; what the one that is looked at follows from and leads to is marked. */
export function Timeline({ events, links, index, onChoose, isOperator }: Parts) {
  const list = useRef<HTMLOListElement>(null);
  const [pointed, setPointed] = useState<number>();
  const looked = pointed ?? index;
  const causes = causesOf(links, looked);
  const services = [...new Set(events.map(serviceOf))];
  const markOf = (place: number): Mark => {
    if (place === looked) return 'looked';
    if (links[looked]?.cause === place) return 'cause';
    if (links[place]?.cause === looked) return 'effect';
    return causes.has(place) ? 'earlier cause' : undefined;
  };
  return (
    <div className="timeline">
      <CausalGraph list={list} events={events} links={links} services={services} looked={looked} last={index} />
      <ol ref={list} aria-label="Events in causal order" onPointerLeave={() => setPointed(undefined)}>
        {events.map((event, place) => (
          <Row
            key={event.id}
            event={event}
            link={links[place]}
            causeType={events[links[place]?.cause ?? -1]?.type}
            place={place}
            mark={markOf(place)}
            isChosen={place === index}
            isAhead={place > index}
            onChoose={onChoose}
            onPoint={setPointed}
            isOperator={isOperator}
          />
        ))}
      </ol>
    </div>
  );
}

type Parts = {
  events: readonly HistoryEvent[];
  links: readonly CausalLink[];
  /** Up to which the slider has come. */
  index: number;
  onChoose: (index: number) => void;
  isOperator: boolean;
};

type Mark = 'looked' | 'cause' | 'earlier cause' | 'effect' | undefined;

const markTexts = {
  looked: undefined,
  cause: 'its cause',
  'earlier cause': undefined,
  effect: 'follows from it',
} as const;

const Row = memo(function Row(parts: RowParts) {
  const { event, link, causeType, place, mark, isChosen, isAhead, onChoose, onPoint } = parts;
  const [isOpen, setIsOpen] = useState(false);
  const text = mark === undefined ? undefined : markTexts[mark];
  return (
    <li
      className={['event', mark && `is-${mark.replace(' ', '-')}`, isChosen && 'is-chosen', isAhead && 'is-ahead']
        .filter(Boolean)
        .join(' ')}
      aria-current={isChosen ? 'step' : undefined}
      onPointerEnter={() => onPoint(place)}
    >
      <div className="event-line">
        <button type="button" className="event-name" onClick={() => onChoose(place)} onFocus={() => onPoint(undefined)}>
          {words(shortType(event.type))}
        </button>
        {text !== undefined && <Badge tone="busy">{text}</Badge>}
        {event.attempts > 1 && <Badge tone="warning">{ordinal(event.attempts)} attempt</Badge>}
        <span className="event-time">
          <Clock at={event.time} />
        </span>
      </div>
      <div className="event-line muted">
        <span className={`service lane-${serviceOf(event)}`}>
          {serviceOf(event)}
          {event.aggregate !== '' && ` · ${event.aggregate} v${event.version}`}
        </span>
        <span>{gapText(link, causeType)}</span>
        <button type="button" className="link event-more" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          {isOpen ? 'Less' : 'What it says'}
        </button>
      </div>
      {isOpen && <Details {...parts} />}
    </li>
  );
});

type RowParts = {
  event: HistoryEvent;
  link: CausalLink | undefined;
  causeType: string | undefined;
  place: number;
  mark: Mark;
  isChosen: boolean;
  isAhead: boolean;
  onChoose: (index: number) => void;
  onPoint: (index: number | undefined) => void;
  isOperator: boolean;
};

function gapText(link: CausalLink | undefined, causeType: string | undefined): string {
  if (causeType === undefined || link?.gapMs === undefined) return 'asked for by a caller';
  return `${link.gapMs < 0 ? '−' : '+'}${spanText(Math.abs(link.gapMs))} after ${words(shortType(causeType)).toLowerCase()}`;
}

function Details({ event, isOperator }: RowParts) {
  const { position } = event;
  return (
    <div className="event-details">
      <Payload data={event.data} />
      <dl className="facts">
        <dt>By</dt>
        <dd>{event.actor}</dd>
        <dt>Event</dt>
        <dd className="mono">{event.id}</dd>
        <dt>Cause</dt>
        <dd className="mono">{event.causationId}</dd>
        <dt>Correlation</dt>
        <dd className="mono">{event.correlationId}</dd>
      </dl>
      <div className="buttons">
        {isOperator && position !== undefined && (
          <Link href={`/events/${position.stream}/${position.sequence}`}>
            {position.stream} {String(position.sequence)}
          </Link>
        )}
        {isOperator && event.correlationId !== '' && (
          <Link href={`/events?correlation=${encodeURIComponent(event.correlationId)}`}>All with this correlation</Link>
        )}
        <TraceLink traceId={event.traceId} />
      </div>
    </div>
  );
}
