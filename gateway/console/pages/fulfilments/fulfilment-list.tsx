import { useInfiniteQuery } from '@connectrpc/connect-query';
import { Link } from 'wouter';
import {
  type Fulfilment,
  FulfilmentStatus,
  OperationsService,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Badge } from '../../parts/badge.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { shortType } from '../../parts/payload.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { words } from '../../parts/words.ts';
import { Deadline } from './deadline.tsx';
import { hasEnded, waitingFor } from './waiting.ts';

type FulfilmentFilter = { status: FulfilmentStatus; overdue: boolean };

const PAGE_SIZE = 20;
const REFRESH_MS = 3_000;
/** With more pages than that in view, the list stays as it is: it would be asked for page by page, again and again. */
const FRESH_PAGES = 5;

type Parts = {
  filter: FulfilmentFilter;
  onShow: (fulfilment: Fulfilment) => void;
  onResolve: (fulfilment: Fulfilment) => void;
};

/** What waits on what, since when and until when. */
export function FulfilmentList({ filter, onShow, onResolve }: Parts) {
  const query = useInfiniteQuery(
    OperationsService.method.listFulfilments,
    { ...filter, pageSize: PAGE_SIZE, pageToken: '' },
    {
      pageParamKey: 'pageToken',
      getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined,
      refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) <= FRESH_PAGES ? REFRESH_MS : false),
    },
  );
  const isFiltered = filter.overdue || filter.status !== FulfilmentStatus.UNSPECIFIED;
  return (
    <>
      <Answer
        query={query}
        isEmpty={({ pages }) => pages.every(({ fulfilments }) => fulfilments.length === 0)}
        empty={isFiltered ? 'There is none like that: change what is asked for.' : 'No order has been fulfilled yet.'}
      >
        {({ pages }) => (
          <Table
            caption="Fulfilments"
            columns={columns(onShow, onResolve)}
            rows={pages.flatMap(({ fulfilments }) => fulfilments)}
            keyOf={({ orderId }) => orderId}
          />
        )}
      </Answer>
      <More query={query} />
    </>
  );
}

function columns(onShow: Parts['onShow'], onResolve: Parts['onResolve']): readonly Column<Fulfilment>[] {
  return [
    {
      name: 'Order',
      cell: ({ orderId }) => (
        <Link href={`/orders/${orderId}`} className="mono breaks">
          {orderId}
        </Link>
      ),
    },
    {
      name: 'Stands',
      cell: ({ status, reason }) => (
        <span>
          <Badge tone={waitingFor(status).tone}>{waitingFor(status).text}</Badge>
          {reason !== '' && <span className="reason muted">{words(reason)}</span>}
        </span>
      ),
    },
    { name: 'Since', cell: ({ since }) => <Moment at={since} /> },
    {
      name: 'Deadline',
      cell: ({ deadline, status }) =>
        hasEnded(status) ? <span className="muted">–</span> : <Deadline at={deadline} />,
    },
    { name: 'Last step', cell: ({ steps }) => words(shortType(steps.at(-1)?.type ?? '')) },
    {
      name: 'Do',
      cell: (fulfilment) => (
        <span className="acts">
          <button type="button" onClick={() => onShow(fulfilment)}>
            Steps<span className="unseen"> of order {fulfilment.orderId}</span>
          </button>
          {fulfilment.status === FulfilmentStatus.NEEDS_ATTENTION && (
            <button type="button" className="main" onClick={() => onResolve(fulfilment)}>
              Settle<span className="unseen"> order {fulfilment.orderId}</span>
            </button>
          )}
        </span>
      ),
    },
  ];
}
