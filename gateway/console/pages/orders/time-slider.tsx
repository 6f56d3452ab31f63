import { timestampMs } from '@bufbuild/protobuf/wkt';
import { useEffect, useMemo, useState } from 'react';
import type { HistoryEvent } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { spanText } from '../../parts/moment.tsx';
import { moneyText } from '../../parts/money.ts';
import { shortType } from '../../parts/payload.tsx';
import { counted, words } from '../../parts/words.ts';
import { momentAfter } from './moments.ts';
import { StatusBadge } from './order-status.tsx';

/** One event after the other is shown for so long while it plays. */
const STEP_MS = 700;

/** Goes through an order's events, and shows how everything stood after each. */
export function TimeSlider({ events, index, follows, isLive, onChoose }: Parts) {
  const [plays, setPlays] = useState(false);
  const last = events.length - 1;
  useEffect(() => {
    if (!plays) return;
    const timer = setTimeout(() => {
      if (index + 1 >= last) setPlays(false);
      onChoose(index + 1);
    }, STEP_MS);
    return () => clearTimeout(timer);
  }, [plays, index, last, onChoose]);
  const choose = (next: number | undefined) => {
    setPlays(false);
    onChoose(next);
  };
  const play = () => {
    setPlays(!plays);
    if (!plays && index === last) onChoose(0);
  };
  const event = events[index];
  if (event === undefined) return null;
  const name = words(shortType(event.type));
  return (
    <div className="card slider">
      <div className="slider-top">
        <div className="slider-line">
          <button
            type="button"
            aria-label={plays ? 'Pause' : 'Play from the start'}
            onClick={play}
            disabled={last === 0}
          >
            {plays ? '❚❚' : '▶'}
          </button>
          <input
            type="range"
            aria-label="Moment in the order's history"
            aria-valuetext={`${index + 1} of ${events.length}: ${name}`}
            min={0}
            max={last}
            value={index}
            onChange={(change) => choose(change.target.valueAsNumber)}
          />
          <button
            type="button"
            className={follows ? 'live-button is-live' : 'live-button'}
            aria-pressed={follows}
            onClick={() => choose(undefined)}
          >
            <span aria-hidden="true">●</span> {follows && !isLive ? 'Interrupted' : 'Live'}
          </button>
        </div>
        <p className="slider-where">
          <strong>{name}</strong>{' '}
          <span className="muted">
            event {index + 1} of {events.length}, {sincePlaced(events, event)}
          </span>
        </p>
      </div>
      <MomentCard events={events} index={index} />
    </div>
  );
}

type Parts = {
  events: readonly HistoryEvent[];
  index: number;
  /** Whether the latest event is shown, whichever that is. */
  follows: boolean;
  isLive: boolean;
  onChoose: (index: number | undefined) => void;
};

function sincePlaced(events: readonly HistoryEvent[], { time }: HistoryEvent): string {
  const first = events[0]?.time;
  if (first === undefined || time === undefined) return '';
  const ms = timestampMs(time) - timestampMs(first);
  return ms <= 0 ? 'the first moment' : `${spanText(ms)} after it was placed`;
}

/** The order, and the aggregates of all services, as they stood after an event. */
function MomentCard({ events, index }: { events: readonly HistoryEvent[]; index: number }) {
  const { order, standings } = useMemo(() => momentAfter(events, index), [events, index]);
  return (
    <div className="moment">
      {order !== undefined && (
        <span className="moment-order">
          <StatusBadge status={order.status} /> {moneyText(order.total)}{' '}
          <span className="muted">{counted(order.lines.length, 'line')}</span>
        </span>
      )}
      <ul aria-label="Where each service stands">
        {standings.map(({ service, aggregate, type, version, isLatest }) => (
          <li key={`${service} ${aggregate}`} className={isLatest ? `lane-${service} is-latest` : `lane-${service}`}>
            <span className="dot" aria-hidden="true" />
            <span className="muted">{service}</span> {words(type)} <span className="muted">v{version}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
