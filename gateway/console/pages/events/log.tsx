import { useInfiniteQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { useSearchParams } from 'wouter';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { EventTable } from './event-table.tsx';
import { FollowedEvents } from './followed-events.tsx';
import { addressOf, filterOf, type LogFilter, requestOf } from './log-filter.ts';
import { LogSearch } from './log-search.tsx';
import './events.css';

const PAGE_SIZE = 50;

/** The log of all events: looked through, or followed. */
export function Log() {
  const [address, setAddress] = useSearchParams();
  const [follows, setFollows] = useState(false);
  const filter = filterOf(address);
  const asked = addressOf(filter).toString();
  return (
    <>
      <LogSearch
        key={asked}
        filter={filter}
        onSearch={(next) => setAddress(addressOf(next))}
        follows={follows}
        onFollow={setFollows}
      />
      {follows ? <FollowedEvents key={`followed ${asked}`} filter={filter} /> : <FoundEvents filter={filter} />}
    </>
  );
}

function FoundEvents({ filter }: { filter: LogFilter }) {
  const query = useInfiniteQuery(
    OperationsService.method.searchEvents,
    { filter: requestOf(filter), pageSize: PAGE_SIZE, pageToken: '' },
    // What was found stays as it is: a search is no list that changes while it is read.
    {
      pageParamKey: 'pageToken',
      getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined,
      refetchOnWindowFocus: false,
    },
  );
  return (
    <Answer query={query}>
      {({ pages }) => {
        const events = pages.flatMap((page) => page.events);
        const looked = pages.reduce((sum, { scanned }) => sum + scanned, 0n);
        const backTo = pages.at(-1)?.searchedBackTo;
        return (
          <>
            {events.length > 0 && <EventTable events={events} caption="Events, the newest first" />}
            <p className="muted searched" role="status">
              {events.length === 0 && 'Nothing was found. '}
              {looked.toLocaleString()} messages looked at
              {query.hasNextPage ? (
                <>
                  , back to <Moment at={backTo} />.
                </>
              ) : (
                '; that is all there are.'
              )}
            </p>
            <More query={query}>Search further back</More>
          </>
        );
      }}
    </Answer>
  );
}
