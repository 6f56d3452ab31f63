import { useQuery } from '@connectrpc/connect-query';
import { Link, useSearchParams } from 'wouter';
import type { EventContract } from '#gen/causeway/operations/v1/log_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer, Empty } from '../../parts/answer.tsx';
import { Badge } from '../../parts/badge.tsx';
import { Field } from '../../parts/field.tsx';
import { shortType } from '../../parts/payload.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { counted, words } from '../../parts/words.ts';
import { type CatalogueFilter, found, kindName, kinds, servicesOf } from './catalogue-filter.ts';
import { OneContract } from './one-contract.tsx';

/** Contracts change with a release. */
const FRESH_MS = 60_000;
const CATALOGUE = '/events?show=catalogue';

/** The events that there can be: who says them, who listens, and what they say. */
export default function Catalogue() {
  const [address] = useSearchParams();
  const query = useQuery(OperationsService.method.getEventCatalogue, {}, { staleTime: FRESH_MS });
  const type = address.get('event');
  return (
    <Answer query={query} isEmpty={({ events }) => events.length === 0} empty="There is no contract of an event.">
      {({ events }) => (type === null ? <Contracts events={events} /> : <Chosen events={events} type={type} />)}
    </Answer>
  );
}

function Chosen({ events, type }: { events: readonly EventContract[]; type: string }) {
  const contract = events.find((event) => event.type === type);
  return (
    <div className="stack">
      <Link href={CATALOGUE}>To all events</Link>
      {contract === undefined ? <Empty>There is no event {type}.</Empty> : <OneContract contract={contract} />}
    </div>
  );
}

function Contracts({ events }: { events: readonly EventContract[] }) {
  const [address, setAddress] = useSearchParams();
  const said = (name: keyof CatalogueFilter) => address.get(name) ?? '';
  const filter = { text: said('text'), kind: said('kind'), service: said('service') };
  const choose = (name: keyof CatalogueFilter, value: string) =>
    setAddress(
      (before) => {
        const next = new URLSearchParams(before);
        if (value === '') next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  const shown = found(events, filter);
  return (
    <section aria-label="Catalogue">
      <search className="filters">
        <Field label="Text" isWide>
          {(control) => (
            <input
              {...control}
              type="search"
              value={filter.text}
              placeholder="In a name, a description or a field"
              onChange={({ target }) => choose('text', target.value)}
            />
          )}
        </Field>
        <Choice label="Kind" value={filter.kind} of={Object.keys(kinds)} onChoose={(kind) => choose('kind', kind)} />
        <Choice
          label="Service"
          value={filter.service}
          of={servicesOf(events)}
          onChoose={(service) => choose('service', service)}
        />
        <a className="button" href="/asyncapi.json">
          AsyncAPI
        </a>
      </search>
      <p className="muted" role="status">
        {counted(shown.length, 'event')} of {events.length}
      </p>
      {shown.length === 0 ? (
        <Empty>No event fits.</Empty>
      ) : (
        <Table caption="Events that there can be" columns={columns} rows={shown} keyOf={({ type }) => type} />
      )}
    </section>
  );
}

type ChoiceParts = { label: string; value: string; of: readonly string[]; onChoose: (value: string) => void };

function Choice({ label, value, of, onChoose }: ChoiceParts) {
  return (
    <Field label={label}>
      {(control) => (
        <select {...control} value={value} onChange={({ target }) => onChoose(target.value)}>
          <option value="">Any</option>
          {of.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

const columns: readonly Column<EventContract>[] = [
  {
    name: 'Event',
    cell: ({ type, version }) => (
      <>
        <Link href={`${CATALOGUE}&event=${encodeURIComponent(type)}`} title={type}>
          {words(shortType(type))}
        </Link>{' '}
        <span className="muted">{version}</span>
      </>
    ),
  },
  { name: 'Meaning', cell: ({ description }) => description },
  { name: 'Kind', cell: ({ kind }) => <Badge tone="idle">{kindName(kind)}</Badge> },
  { name: 'Said by', cell: ({ publisher }) => publisher || <span className="muted">nobody yet</span> },
  {
    name: 'Heard by',
    cell: ({ consumers }) => {
      const services = [...new Set(consumers.map(({ service }) => service))];
      return services.length === 0 ? <span className="muted">nobody</span> : services.join(', ');
    },
  },
];
