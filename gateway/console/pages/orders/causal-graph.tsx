import { type RefObject, useEffect, useLayoutEffect, useState } from 'react';
import type { HistoryEvent } from '#gen/causeway/orders/v1/orders_service_pb.js';
import type { Link } from './causes.ts';
import { serviceOf } from './moments.ts';

/** In pixels: from the top of a row to its dot, and a dot's radius. */
const DOT_TOP = 21;
const DOT_RADIUS = 5;

/** Beside the list of events: a column for each service, a dot for each event, and a line from each cause to its effects. */
export function CausalGraph({ list, events, links, services, looked, last }: Parts) {
  const { tops, height, laneWidth } = usePlaces(list, events);
  const x = (place: number) => {
    const event = events[place];
    return event === undefined ? 0 : (services.indexOf(serviceOf(event)) + 0.5) * laneWidth;
  };
  const y = (place: number) => (tops[place] ?? 0) + DOT_TOP;
  const isLooked = (place: number) =>
    place === looked || links[place]?.cause === looked || links[looked]?.cause === place;
  return (
    // What it shows is said by each event's "after".
    <svg className="graph" width={services.length * laneWidth} height={height} aria-hidden="true">
      {links.map(({ cause }, place) =>
        cause === undefined ? null : (
          <path
            key={events[place]?.id}
            className={['edge', (place === looked || cause === looked) && 'is-looked', place > last && 'is-ahead']
              .filter(Boolean)
              .join(' ')}
            d={curve(x(cause), y(cause), x(place), y(place))}
          />
        ),
      )}
      {events.map((event, place) => (
        <circle
          key={event.id}
          className={[`lane-${serviceOf(event)}`, isLooked(place) && 'is-looked', place > last && 'is-ahead']
            .filter(Boolean)
            .join(' ')}
          cx={x(place)}
          cy={y(place)}
          r={place === looked ? DOT_RADIUS + 2 : DOT_RADIUS}
        />
      ))}
    </svg>
  );
}

type Parts = {
  list: RefObject<HTMLOListElement | null>;
  events: readonly HistoryEvent[];
  links: readonly Link[];
  services: readonly string[];
  looked: number;
  /** Events behind this one are ahead of the moment that is shown. */
  last: number;
};

/** Down from the cause, over to the effect's column, down to the effect. */
function curve(x1: number, y1: number, x2: number, y2: number): string {
  const bend = Math.min(26, Math.abs(y2 - y1) / 2);
  if (x1 === x2) return `M${x1},${y1} V${y2}`;
  return `M${x1},${y1} C${x1},${y1 + bend} ${x2},${y1 + bend / 2} ${x2},${y1 + 2 * bend} V${y2}`;
}

type Places = { tops: number[]; height: number; laneWidth: number };

/** Where the rows are: they grow when an event is opened, and when the page gets narrower. */
function usePlaces(list: RefObject<HTMLOListElement | null>, events: readonly HistoryEvent[]): Places {
  const [places, setPlaces] = useState<Places>({ tops: [], height: 0, laneWidth: 0 });
  const measure = () => {
    const element = list.current;
    if (element === null) return;
    const tops = [...element.children].map((row) => (row as HTMLElement).offsetTop);
    const laneWidth = Number.parseFloat(getComputedStyle(element).getPropertyValue('--lane-width')) || 16;
    setPlaces((before) => {
      const isSame =
        before.height === element.offsetHeight &&
        before.laneWidth === laneWidth &&
        before.tops.length === tops.length &&
        before.tops.every((top, row) => top === tops[row]);
      return isSame ? before : { tops, height: element.offsetHeight, laneWidth };
    });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: more events are more rows.
  useLayoutEffect(measure, [events]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is measured is the same list as long as it is there.
  useEffect(() => {
    if (list.current === null) return;
    const observer = new ResizeObserver(measure);
    observer.observe(list.current);
    return () => observer.disconnect();
  }, []);
  return places;
}
