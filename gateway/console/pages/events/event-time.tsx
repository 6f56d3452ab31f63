import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { Clock } from '../../parts/moment.tsx';

/** When an event happened: the time, and the day where it was not today. */
export function EventTime({ at }: { at: Timestamp | undefined }) {
  if (at === undefined) return null;
  const date = timestampDate(at);
  const isToday = date.toDateString() === new Date().toDateString();
  return (
    <span className="event-moment">
      {!isToday && <span className="muted">{date.toLocaleDateString()} </span>}
      <Clock at={at} />
    </span>
  );
}
