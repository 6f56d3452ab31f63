import { durationMs } from '@bufbuild/protobuf/wkt';
import { type ReactNode, useEffect, useRef } from 'react';
import { Link } from 'wouter';
import type { Retrying, ServiceInstance } from '#gen/causeway/operations/v1/flow_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { Moment, spanText } from '../../parts/moment.tsx';
import { shortType } from '../../parts/payload.tsx';
import { counted, ordinal } from '../../parts/words.ts';
import { rateText } from './figures.ts';
import type { ConsumerNode, FlowGraph, JournalNode, ServiceNode } from './flow-graph.ts';
import { consumerSign, serviceWord } from './flow-words.ts';
import { OwnedPartitions, RebalanceHistory } from './partitions.tsx';

type Parts = { graph: FlowGraph; id: string; onSelect: (id: string | undefined) => void };

/** A difference of clocks below this is no more than what the answer took. */
const CLOCK_MS = 500;

/** Details that begin as far down the window are not seen by who has asked for them. */
const MOSTLY = 0.8;

/** What is known of a node of the map. */
export function NodeDetails({ graph, id, onSelect }: Parts) {
  const service = graph.services.find((each) => each.id === id);
  const journal = graph.journals.find((each) => each.id === id);
  const consumer = graph.consumers.find((each) => each.id === id);
  const panel = useRef<HTMLElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another node's details may stand elsewhere.
  useEffect(() => {
    const isOutOfSight = (panel.current?.getBoundingClientRect().top ?? 0) > window.innerHeight * MOSTLY;
    if (isOutOfSight) panel.current?.scrollIntoView({ block: 'start' });
  }, [id]);
  return (
    <section ref={panel} className="card details" aria-label="Details" aria-live="polite">
      {service && <ServiceDetails service={service} onSelect={onSelect} />}
      {journal && <JournalDetails journal={journal} graph={graph} onSelect={onSelect} />}
      {consumer && <ConsumerDetails consumer={consumer} onSelect={onSelect} />}
      {!service && !journal && !consumer && <Title name={id.split('/')[1] ?? id} onSelect={onSelect} kind="Gone" />}
    </section>
  );
}

type Chooser = { onSelect: (id: string | undefined) => void };

function Title({ kind, name, onSelect }: { kind: string; name: ReactNode } & Chooser) {
  return (
    <div className="head">
      <h2>
        <span className="kind muted">{kind}</span>
        {name}
      </h2>
      <button type="button" className="quiet" aria-label="Close the details" onClick={() => onSelect(undefined)}>
        ✕
      </button>
    </div>
  );
}

function ServiceDetails({ service, onSelect }: { service: ServiceNode } & Chooser) {
  return (
    <>
      <Title kind="Service" name={service.name} onSelect={onSelect} />
      <ServiceFacts service={service} onSelect={onSelect} />
    </>
  );
}

/** How a service is, what it says and what it listens to. */
export function ServiceFacts({ service, onSelect }: { service: ServiceNode; onSelect?: (id: string) => void }) {
  const { state, journals, consumers } = service;
  const word = serviceWord(state);
  const tone = word === 'up' ? 'good' : word === 'not known' ? 'idle' : 'bad';
  const unowned = state?.unownedPartitions ?? [];
  return (
    <>
      <p>
        <Badge tone={tone}>{word}</Badge>
      </p>
      {state?.reasons.map((reason) => (
        <p key={reason} className="wrong">
          {reason}
        </p>
      ))}
      {unowned.length > 0 && (
        <p className="wrong">
          Owned by no instance: {counted(unowned.length, 'partition')} ({unowned.join(', ')})
        </p>
      )}
      {journals.length > 0 && <h3>Says</h3>}
      <ul className="plain">
        {journals.map(({ id, stream, rate, flow }) => (
          <li key={id}>
            <Chosen id={id} onSelect={onSelect}>
              {stream}
            </Chosen>
            <span className="number">{rateText(rate)}</span>
            <span className="muted below">{counted(flow?.events ?? 0n, 'event')}</span>
          </li>
        ))}
      </ul>
      {consumers.length > 0 && <h3>Listens</h3>}
      <ConsumerList consumers={consumers} nameOf={({ label }) => label} onSelect={onSelect} />
      <Instances instances={state?.instances ?? []} />
      {consumers.length > 0 && <RebalanceHistory service={service.name} />}
    </>
  );
}

function Chosen({
  id,
  onSelect,
  children,
}: {
  id: string;
  onSelect: ((id: string) => void) | undefined;
  children: ReactNode;
}) {
  if (onSelect === undefined) return <span className="what">{children}</span>;
  return (
    <button type="button" className="link what" onClick={() => onSelect(id)}>
      {children}
    </button>
  );
}

type ConsumerListParts = {
  consumers: readonly ConsumerNode[];
  nameOf: (consumer: ConsumerNode) => string;
  onSelect: ((id: string) => void) | undefined;
};

function ConsumerList({ consumers, nameOf, onSelect }: ConsumerListParts) {
  return (
    <ul className="plain">
      {consumers.map((consumer) => (
        <li key={consumer.id} className={consumer.standing}>
          <Chosen id={consumer.id} onSelect={onSelect}>
            {nameOf(consumer)}
          </Chosen>
          <span className="number">{rateText(consumer.rate)}</span>
          <span className="muted below">
            {consumer.isView ? 'view' : 'reaction'}, {consumerSign(consumer) || 'no lag'}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Instances({ instances }: { instances: readonly ServiceInstance[] }) {
  if (instances.length === 0) return null;
  return (
    <>
      <h3>{counted(instances.length, 'instance')}</h3>
      <ul className="plain">
        {instances.map((instance) => (
          <li key={instance.id}>
            <span className="what mono">{instance.id}</span>
            <Badge tone={instance.ready ? 'good' : 'bad'}>{instance.ready ? 'ready' : 'not ready'}</Badge>
            <span className="muted below">
              on {instance.host}, started <Moment at={instance.startedAt} />
              <OwnedPartitions {...instance} />
              {clockText(instance)}
            </span>
            {instance.reasons.map((reason) => (
              <span key={reason} className="wrong below">
                {reason}
              </span>
            ))}
          </li>
        ))}
      </ul>
      <Retried retrying={instances.flatMap(({ retrying }) => retrying)} />
    </>
  );
}

function clockText({ clockAhead }: ServiceInstance): string {
  const ms = clockAhead === undefined ? 0 : durationMs(clockAhead);
  if (Math.abs(ms) < CLOCK_MS) return '';
  return `, its clock ${spanText(Math.abs(ms))} ${ms > 0 ? 'ahead' : 'behind'}`;
}

/** Messages that are tried again now. */
function Retried({ retrying }: { retrying: readonly Retrying[] }) {
  if (retrying.length === 0) return null;
  return (
    <>
      <h3>Tried again now</h3>
      <ul className="plain">
        {retrying.map((each) => (
          <li key={`${each.consumer} ${each.eventId}`}>
            <span className="what">
              {shortType(each.eventType)} of <span className="mono breaks">{each.key}</span>
            </span>
            <span className="muted below">
              {each.consumer}: {ordinal(each.attempts)} attempt failed, next one <Moment at={each.nextAttemptAt} />
            </span>
            <span className="wrong below breaks">{each.error}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function JournalDetails({ journal, graph, onSelect }: { journal: JournalNode; graph: FlowGraph } & Chooser) {
  const { stream, service, rate, flow } = journal;
  const readers = graph.consumers
    .filter(({ inflows }) => inflows.some((inflow) => inflow.stream === stream))
    .map((consumer) => ({ ...consumer, ...consumer.inflows.find((inflow) => inflow.stream === stream) }))
    .toSorted((one, other) => other.lag - one.lag);
  return (
    <>
      <Title kind="Journal" name={stream} onSelect={onSelect} />
      <dl className="facts">
        <dt>Events</dt>
        <dd>{(flow?.events ?? 0n).toLocaleString()}</dd>
        <dt>Now</dt>
        <dd>{rateText(rate)}</dd>
        {flow !== undefined && flow.fullness > 0 && (
          <>
            <dt>Full to</dt>
            <dd className={journal.standing === 'troubled' ? 'wrong' : undefined}>
              {(flow.fullness * 100).toFixed(1)} %
            </dd>
          </>
        )}
        {service !== '' && (
          <>
            <dt>Published by</dt>
            <dd>
              <Chosen id={`service/${service}`} onSelect={onSelect}>
                {service}
              </Chosen>
            </dd>
          </>
        )}
      </dl>
      <h3>{counted(readers.length, 'consumer')}, the slowest first</h3>
      <ConsumerList
        consumers={readers}
        nameOf={({ service: owner, label }) => `${owner}: ${label}`}
        onSelect={onSelect}
      />
      <p>
        <Link href={`/events?stream=${encodeURIComponent(stream)}`}>Its latest events</Link>
      </p>
    </>
  );
}

function ConsumerDetails({ consumer, onSelect }: { consumer: ConsumerNode } & Chooser) {
  const { name, service, isView, inflows, parked, trouble, retrying } = consumer;
  return (
    <>
      <Title kind={isView ? 'View' : 'Reaction'} name={consumer.label} onSelect={onSelect} />
      <p className="mono breaks">{name}</p>
      {trouble !== '' && <p className="wrong">{trouble}</p>}
      <dl className="facts">
        <dt>Service</dt>
        <dd>
          <Chosen id={`service/${service}`} onSelect={onSelect}>
            {service}
          </Chosen>
        </dd>
        <dt>Now</dt>
        <dd>{rateText(consumer.rate)}</dd>
        <dt>Lag</dt>
        <dd>{counted(consumer.lag, 'message')}</dd>
        <dt>Given again</dt>
        <dd>{rateText(consumer.redelivered)}</dd>
        <dt>Parked</dt>
        <dd className={parked > 0 ? 'wrong' : undefined}>{counted(parked, 'message')}</dd>
      </dl>
      {parked > 0 && (
        <p>
          <Link href={`/dead-letters?consumer=${encodeURIComponent(name)}`}>To its dead letters</Link>
        </p>
      )}
      <h3>From</h3>
      <ul className="plain">
        {inflows.map(({ stream, rate, lag }) => (
          <li key={stream}>
            <Chosen id={`journal/${stream}`} onSelect={onSelect}>
              {stream}
            </Chosen>
            <span className="number">{rateText(rate)}</span>
            <span className="muted below">lag {lag.toLocaleString()}</span>
          </li>
        ))}
      </ul>
      <Retried retrying={retrying} />
      {isView && (
        <p>
          <Link href="/projections">To the projections</Link>
        </p>
      )}
    </>
  );
}
