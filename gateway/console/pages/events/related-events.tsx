import { useQuery } from '@connectrpc/connect-query';
import type { LoggedEvent } from '#gen/causeway/operations/v1/log_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { EventTable } from './event-table.tsx';

const MAX_EVENTS = 100;

/** What an event follows from and leads to, as far as that has the same key: most do, and a key is found at once. */
export function RelatedEvents({ event }: { event: LoggedEvent }) {
  const { key, correlationId, id, causationId } = event;
  const query = useQuery(
    OperationsService.method.searchEvents,
    { filter: { key, correlationId }, pageSize: MAX_EVENTS },
    { enabled: key !== '' },
  );
  if (key === '') return null;
  return (
    <>
      <section className="card" aria-label="Its cause">
        <h2>Its cause</h2>
        <Answer
          query={query}
          isEmpty={({ events }) => !events.some((other) => other.id === causationId)}
          empty={`A request of ${event.actor}, or an event with another key.`}
        >
          {({ events }) => (
            <EventTable caption="Its cause" events={events.filter((other) => other.id === causationId)} />
          )}
        </Answer>
      </section>
      <section className="card" aria-label="What follows from it">
        <h2>What follows from it</h2>
        <Answer
          query={query}
          isEmpty={({ events }) => !events.some((other) => other.causationId === id)}
          empty="Nothing with the same key."
        >
          {({ events }) => (
            <EventTable
              caption="What follows from it"
              events={events.filter((other) => other.causationId === id).toReversed()}
            />
          )}
        </Answer>
      </section>
    </>
  );
}
