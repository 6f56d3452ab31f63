import { useInfiniteQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { OperationsService, type ParkedKey } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Badge } from '../../parts/badge.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { shortType } from '../../parts/payload.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { counted, words } from '../../parts/words.ts';
import { DiscardDialog } from './discard-dialog.tsx';
import { ReplayDialog } from './replay-dialog.tsx';
import type { Selection } from './selection.ts';

const PAGE_SIZE = 50;
const REFRESH_MS = 4_000;
/** Pages that are kept fresh while somebody looks. */
const FRESH_PAGES = 2;

type Doing = { what: 'replay' | 'discard'; selection: Selection };
type GroupFilter = { consumer: string; reason: string; eventType: string };

/** The keys of a group, and what can be done about them. */
export function ParkedKeys({ filter }: { filter: GroupFilter }) {
  const [doing, setDoing] = useState<Doing>();
  const query = useInfiniteQuery(
    OperationsService.method.listDeadLetters,
    { filter, pageSize: PAGE_SIZE, pageToken: '' },
    {
      pageParamKey: 'pageToken',
      getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined,
      refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) <= FRESH_PAGES ? REFRESH_MS : false),
    },
  );
  const all = (total: number): Selection => ({ filter, text: `${counted(total, 'key')} of ${filter.consumer}` });
  return (
    <>
      <p>
        <Link href="/dead-letters">All that is parked</Link>
      </p>
      <Answer
        query={query}
        isEmpty={({ pages }) => pages.every(({ keys }) => keys.length === 0)}
        empty="Nothing is parked here any more."
      >
        {({ pages }) => {
          const total = pages.at(-1)?.total ?? 0;
          return (
            <>
              <div className="actions above">
                <p>{counted(total, 'key')}</p>
                <button type="button" onClick={() => setDoing({ what: 'replay', selection: all(total) })}>
                  Replay all of these
                </button>
                <button
                  type="button"
                  className="danger"
                  onClick={() => setDoing({ what: 'discard', selection: all(total) })}
                >
                  Discard all of these
                </button>
              </div>
              <Table
                caption="Keys with parked messages"
                columns={columnsOf((selection) => setDoing({ what: 'replay', selection }))}
                rows={pages.flatMap(({ keys }) => keys)}
                keyOf={({ consumer, partition, key }) => `${consumer} ${partition} ${key}`}
              />
              <More query={query} />
            </>
          );
        }}
      </Answer>
      {doing?.what === 'replay' && <ReplayDialog selection={doing.selection} onClose={() => setDoing(undefined)} />}
      {doing?.what === 'discard' && <DiscardDialog selection={doing.selection} onClose={() => setDoing(undefined)} />}
    </>
  );
}

const columnsOf = (onReplay: (selection: Selection) => void): readonly Column<ParkedKey>[] => [
  {
    name: 'Key',
    cell: ({ key, first }) => (
      <Link href={`/dead-letters?letter=${first?.sequence ?? 0}`} className="mono breaks">
        {key}
      </Link>
    ),
  },
  { name: 'Event', cell: ({ first }) => words(shortType(first?.eventType ?? '')) || 'Unknown' },
  { name: 'Messages', cell: ({ messages }) => messages.toLocaleString(), isNumber: true },
  { name: 'Attempts', cell: ({ first }) => first?.attempts, isNumber: true },
  { name: 'Parked', cell: ({ first }) => <Moment at={first?.parkedAt} /> },
  {
    name: 'Why',
    cell: ({ first }) => (
      <>
        <Badge tone="bad">{words(first?.reason ?? '')}</Badge>{' '}
        <span className="breaks muted clipped">{first?.error}</span>
      </>
    ),
  },
  {
    name: 'Do',
    cell: ({ consumer, key, messages }) => (
      <button
        type="button"
        aria-label={`Replay ${key}`}
        onClick={() => onReplay({ filter: { consumer, key }, text: `${counted(messages, 'message')} of key ${key}` })}
      >
        Replay
      </button>
    ),
  },
];
