import { useState } from 'react';
import { Empty } from '../../parts/answer.tsx';
import { Badge } from '../../parts/badge.tsx';
import { Failure } from '../../parts/failure.tsx';
import { counted } from '../../parts/words.ts';
import { EventTable } from './event-table.tsx';
import { useFollowed } from './followed.ts';
import type { LogFilter } from './log-filter.ts';

/** Events as they happen. */
export function FollowedEvents({ filter }: { filter: LogFilter }) {
  const [isPaused, setIsPaused] = useState(false);
  const { events, waiting, skipped, error } = useFollowed(filter, isPaused);
  return (
    <section aria-label="Events as they happen">
      {error !== undefined && <Failure error={error} />}
      <div className="following">
        <Badge tone={isPaused ? 'idle' : error === undefined ? 'good' : 'warning'}>
          {isPaused ? 'Paused' : error === undefined ? 'Following' : 'Interrupted'}
        </Badge>
        <button type="button" onClick={() => setIsPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </button>
        <span className="muted" role="status">
          {isPaused && `${counted(waiting, 'event')} came meanwhile. `}
          {skipped > 0 && `${counted(skipped, 'event')} came too fast to be shown: the search has them.`}
        </span>
      </div>
      {events.length === 0 ? (
        <Empty>Nothing has happened since you look.</Empty>
      ) : (
        <EventTable events={events} caption="Events as they happen, the newest first" />
      )}
    </section>
  );
}
