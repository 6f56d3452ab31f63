import { useMemo, useState } from 'react';
import { Loading } from '../../parts/answer.tsx';
import { Failure } from '../../parts/failure.tsx';
import { linksOf } from './causes.ts';
import type { History } from './order-history.ts';
import { TimeSlider } from './time-slider.tsx';
import { Timeline } from './timeline.tsx';

/** An order's events, and a slider through them; at its end it follows those that come. */
export function TimeTravel({ history, isOperator }: { history: History; isOperator: boolean }) {
  const { events, isLive, error } = history;
  // By id: an event that comes later may belong before it.
  const [chosenId, setChosenId] = useState<string>();
  const links = useMemo(() => linksOf(events), [events]);
  const found = events.findIndex(({ id }) => id === chosenId);
  const index = found === -1 ? events.length - 1 : found;
  const choose = (next: number | undefined) =>
    setChosenId(next === undefined || next >= events.length - 1 ? undefined : events[next]?.id);

  if (events.length === 0) return error === undefined ? <Loading /> : <Failure error={error} />;
  return (
    <section aria-label="What happened" className="time-travel">
      {error !== undefined && <Failure error={error} />}
      <TimeSlider events={events} index={index} follows={found === -1} isLive={isLive} onChoose={choose} />
      <Timeline events={events} links={links} index={index} onChoose={choose} isOperator={isOperator} />
    </section>
  );
}
