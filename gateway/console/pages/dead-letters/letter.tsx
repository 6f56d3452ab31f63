import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { Link } from 'wouter';
import {
  type DeadLetter,
  type GetDeadLetterResponse,
  OperationsService,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { eventRegistry } from '#gen/events.js';
import { Answer } from '../../parts/answer.tsx';
import { Badge } from '../../parts/badge.tsx';
import { Moment } from '../../parts/moment.tsx';
import { shortType } from '../../parts/payload.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { counted, words } from '../../parts/words.ts';
import { DiscardDialog } from './discard-dialog.tsx';
import { LetterEditor } from './letter-editor.tsx';
import { ReplayDialog } from './replay-dialog.tsx';
import type { Selection } from './selection.ts';

/** One parked message: why, what it says, what waits behind it, and what can be done. */
export function LetterView({ sequence }: { sequence: string }) {
  const isSequence = /^[1-9]\d{0,17}$/.test(sequence);
  const query = useQuery(
    OperationsService.method.getDeadLetter,
    { sequence: isSequence ? BigInt(sequence) : 0n },
    { enabled: isSequence },
  );
  if (!isSequence) return <p className="state">{sequence} is not a dead letter.</p>;
  return (
    <>
      <p>
        <Link href="/dead-letters">All that is parked</Link>
      </p>
      <Answer query={query}>
        {(answer) => answer.letter !== undefined && <Letter letter={answer.letter} answer={answer} />}
      </Answer>
    </>
  );
}

function Letter({ letter, answer }: { letter: DeadLetter; answer: GetDeadLetterResponse }) {
  const [doing, setDoing] = useState<'replay' | 'discard'>();
  const { consumer, key } = letter;
  const selection: Selection = {
    filter: { consumer, key },
    text: `${counted(answer.parked, 'message')} of key ${key}`,
  };
  const type = eventRegistry.getMessage(letter.eventType);
  const close = () => setDoing(undefined);
  return (
    <div className="stack">
      <section className="card" aria-label="Why it is parked">
        <div className="letter-head">
          <Badge tone="bad">{words(letter.reason)}</Badge>
          <strong>{words(shortType(letter.eventType)) || 'Unknown event'}</strong>
          <span className="actions">
            <button type="button" className="main" onClick={() => setDoing('replay')}>
              Replay
            </button>
            <button type="button" className="danger" onClick={() => setDoing('discard')}>
              Discard
            </button>
          </span>
        </div>
        <pre className="error-text">{letter.error}</pre>
        <LetterFacts letter={letter} />
      </section>
      {type === undefined ? (
        <p className="notice">
          This page does not know {letter.eventType || 'its type'}: it can be replayed or discarded as it is.
        </p>
      ) : (
        <LetterEditor letter={letter} type={type} />
      )}
      <section aria-label="Behind it">
        <h2>Behind it</h2>
        {answer.behind.length === 0 ? (
          <p className="muted">No other message of this key waits.</p>
        ) : (
          <Table
            caption="Messages of the key that wait behind it"
            columns={behindColumns}
            rows={answer.behind}
            keyOf={({ sequence }) => String(sequence)}
          />
        )}
      </section>
      <section className="card" aria-label="Headers">
        <h2>Headers</h2>
        <dl className="facts wide-names">
          {Object.entries(letter.headers).map(([name, value]) => (
            <div key={name} className="fact">
              <dt>{name}</dt>
              <dd className="mono">{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      {doing === 'replay' && <ReplayDialog selection={selection} onClose={close} />}
      {doing === 'discard' && <DiscardDialog selection={selection} onClose={close} />}
    </div>
  );
}

function LetterFacts({ letter }: { letter: DeadLetter }) {
  const { consumer, partition, key, attempts, parkedAt, stream, streamSequence, eventTime, correlationId } = letter;
  return (
    <dl className="facts">
      <dt>Consumer</dt>
      <dd>
        {consumer}, partition {partition}
      </dd>
      <dt>Key</dt>
      <dd>
        <Link href={`/events?key=${encodeURIComponent(key)}`} className="mono">
          {key}
        </Link>
      </dd>
      <dt>Attempts</dt>
      <dd>{attempts}</dd>
      <dt>Parked</dt>
      <dd>
        <Moment at={parkedAt} />
      </dd>
      <dt>Stands</dt>
      <dd>
        <Link href={`/events/${stream}/${streamSequence}`}>
          {stream} {String(streamSequence)}
        </Link>
        {eventTime !== undefined && (
          <>
            , <Moment at={eventTime} />
          </>
        )}
      </dd>
      <dt>Correlation</dt>
      <dd>
        <Link href={`/events?correlation=${encodeURIComponent(correlationId)}`} className="mono">
          {correlationId}
        </Link>
      </dd>
    </dl>
  );
}

const behindColumns: readonly Column<DeadLetter>[] = [
  {
    name: 'Letter',
    cell: ({ sequence }) => <Link href={`/dead-letters?letter=${sequence}`}>{String(sequence)}</Link>,
  },
  { name: 'Event', cell: ({ eventType }) => words(shortType(eventType)) || 'Unknown' },
  {
    name: 'Stands',
    cell: ({ stream, streamSequence }) => (
      <Link href={`/events/${stream}/${streamSequence}`}>
        {stream} {String(streamSequence)}
      </Link>
    ),
  },
  { name: 'Parked', cell: ({ parkedAt }) => <Moment at={parkedAt} /> },
];
