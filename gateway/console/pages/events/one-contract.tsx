import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { EventConsumer, EventContract, EventField } from '#gen/causeway/operations/v1/log_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { shortType } from '../../parts/payload.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { words } from '../../parts/words.ts';
import { kindName } from './catalogue-filter.ts';
import { addressOf } from './log-filter.ts';

/** What is known of an event type. */
export function OneContract({ contract }: { contract: EventContract }) {
  const { type, description, consumers, fields, example } = contract;
  return (
    <article className="stack" aria-label={type}>
      <section className="card">
        <h2>{words(shortType(type))}</h2>
        <p>{description}</p>
        <Facts contract={contract} />
        <div className="buttons links">
          <Link href={`/events?${addressOf({ type })}`}>Those that there were</Link>
          <a href="/asyncapi.json">AsyncAPI</a>
        </div>
      </section>
      <section>
        <h2>Fields</h2>
        <Table caption={`Fields of ${type}`} columns={fieldColumns} rows={fields} keyOf={({ name }) => name} />
      </section>
      <div className="grid">
        <section className="card">
          <h2>Who listens</h2>
          {consumers.length === 0 ? <p className="muted">Nobody.</p> : <Consumers consumers={consumers} />}
        </section>
        <section className="card">
          <h2>An example</h2>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
          <pre className="payload" tabIndex={0}>
            {example}
          </pre>
        </section>
      </div>
    </article>
  );
}

function Facts({ contract: { type, version, kind, publisher, stream, subject } }: { contract: EventContract }) {
  return (
    <dl className="facts">
      <Fact name="Type">
        <span className="mono">{type}</span>
      </Fact>
      <Fact name="Kind">
        <Badge tone="idle">{kindName(kind)}</Badge> {version}
      </Fact>
      <Fact name="Said by">{publisher || 'nobody yet: its service has not run here'}</Fact>
      {stream !== '' && <Fact name="Stream">{stream}</Fact>}
      {subject !== '' && (
        <Fact name="Subject">
          <span className="mono">{subject}</span> <span className="muted">partition and key for the stars</span>
        </Fact>
      )}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Consumers({ consumers }: { consumers: readonly EventConsumer[] }) {
  return (
    <ul className="plain">
      {consumers.map(({ service, name, isProjection }) => (
        <li key={name} className="breaks">
          <span className="mono">{name}</span>{' '}
          <span className="muted">
            of {service}, {isProjection ? 'a projection' : 'a reaction'}
          </span>
        </li>
      ))}
    </ul>
  );
}

const fieldColumns: readonly Column<EventField>[] = [
  {
    name: 'Field',
    cell: ({ name, personal }) => (
      <>
        <span className="mono">{name}</span> {personal && <Badge tone="warning">personal</Badge>}
      </>
    ),
  },
  {
    name: 'Type',
    cell: ({ type, repeated }) => (
      <span className="mono breaks">
        {repeated && 'repeated '}
        {type}
      </span>
    ),
  },
  { name: 'Meaning', cell: ({ description }) => description },
];
