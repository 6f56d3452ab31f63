import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { useNow } from '../../parts/moment.tsx';
import { deadlineText } from './waiting.ts';

/** A deadline that counts down, or has passed. */
export function Deadline({ at }: { at: Timestamp | undefined }) {
  const now = useNow();
  if (at === undefined) return <span className="muted">none</span>;
  const date = timestampDate(at);
  const { text, hasPassed } = deadlineText(date.getTime(), now);
  return (
    <time
      className={hasPassed ? 'deadline wrong' : 'deadline'}
      dateTime={date.toISOString()}
      title={date.toLocaleString()}
    >
      {hasPassed ? `! ${text}` : text}
    </time>
  );
}
