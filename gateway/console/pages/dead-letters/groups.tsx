import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { type DeadLetterGroup, OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Badge } from '../../parts/badge.tsx';
import { Moment } from '../../parts/moment.tsx';
import { shortType } from '../../parts/payload.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { counted, words } from '../../parts/words.ts';
import { ReplayDialog } from './replay-dialog.tsx';
import type { Selection } from './selection.ts';

const REFRESH_MS = 3_000;

/** What is parked, by consumer, reason and event type. */
export function Groups() {
  const query = useQuery(OperationsService.method.listDeadLetterGroups, {}, { refetchInterval: REFRESH_MS });
  const [chosen, setChosen] = useState<Selection>();
  return (
    <>
      <Answer query={query} isEmpty={({ groups }) => groups.length === 0} empty="Nothing is parked: all is well.">
        {({ groups }) => (
          <>
            <div className="actions above">
              <p>{totalText(groups)}</p>
              <button type="button" onClick={() => setChosen({ all: true, text: totalText(groups) })}>
                Replay all
              </button>
            </div>
            <Table
              caption="Parked messages by consumer, reason and event"
              columns={columnsOf(setChosen)}
              rows={groups}
              keyOf={({ consumer, reason, eventType }) => `${consumer} ${reason} ${eventType}`}
            />
          </>
        )}
      </Answer>
      {chosen !== undefined && <ReplayDialog selection={chosen} onClose={() => setChosen(undefined)} />}
    </>
  );
}

function totalText(groups: readonly DeadLetterGroup[]): string {
  const keys = groups.reduce((sum, group) => sum + group.keys, 0);
  const messages = groups.reduce((sum, group) => sum + group.messages, 0n);
  return `${counted(keys, 'key')} with ${counted(messages, 'parked message')}`;
}

const columnsOf = (onReplay: (selection: Selection) => void): readonly Column<DeadLetterGroup>[] => [
  {
    name: 'Consumer',
    cell: ({ consumer, reason, eventType }) => (
      <Link href={`/dead-letters?${new URLSearchParams({ consumer, reason, type: eventType })}`} className="breaks">
        {consumer}
      </Link>
    ),
  },
  { name: 'Reason', cell: ({ reason }) => <Badge tone="bad">{words(reason)}</Badge> },
  { name: 'Event', cell: ({ eventType }) => words(shortType(eventType)) || 'Unknown' },
  { name: 'Keys', cell: ({ keys }) => keys.toLocaleString(), isNumber: true },
  { name: 'Messages', cell: ({ messages }) => messages.toLocaleString(), isNumber: true },
  { name: 'Oldest', cell: ({ oldestParkedAt }) => <Moment at={oldestParkedAt} /> },
  { name: 'Such as', cell: ({ error }) => <span className="breaks muted clipped">{error}</span> },
  {
    name: 'Do',
    cell: (group) => (
      <button
        type="button"
        onClick={() => onReplay(selectionOf(group))}
        aria-label={`Replay ${selectionOf(group).text}`}
      >
        Replay
      </button>
    ),
  },
];

function selectionOf({ consumer, reason, eventType, keys }: DeadLetterGroup): Selection {
  return { filter: { consumer, reason, eventType }, text: `${counted(keys, 'key')} of ${consumer}` };
}
