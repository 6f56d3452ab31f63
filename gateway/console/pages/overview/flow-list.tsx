import { Badge } from '../../parts/badge.tsx';
import { rateText, shortCount } from './figures.ts';
import type { FlowGraph, ServiceNode } from './flow-graph.ts';
import { consumerSign, serviceWord } from './flow-words.ts';
import { ServiceFacts } from './node-details.tsx';

/** What the map shows, for a page that is too narrow for it. */
export function FlowList({ graph, selected }: { graph: FlowGraph; selected: string | undefined }) {
  return (
    <ul className="plain flow-list" aria-label="Services">
      {graph.services.map((service) => (
        <li key={service.id} className="card">
          <details
            key={selected}
            open={isWithin(service, selected)}
            ref={isWithin(service, selected) ? showIt : undefined}
          >
            <summary>
              <Summary service={service} />
            </summary>
            <ServiceFacts service={service} />
          </details>
        </li>
      ))}
    </ul>
  );
}

function isWithin({ id, journals, consumers }: ServiceNode, selected: string | undefined): boolean {
  return [{ id }, ...journals, ...consumers].some((node) => node.id === selected);
}

function showIt(element: HTMLElement | null): void {
  element?.scrollIntoView({ block: 'center' });
}

function Summary({ service: { name, state, standing, journals, consumers } }: { service: ServiceNode }) {
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const word = serviceWord(state);
  const troubled = consumers.filter((each) => each.standing === 'troubled' || each.standing === 'retrying');
  return (
    <>
      <strong>{name}</strong> {word !== 'up' && <Badge tone={standing === 'fine' ? 'idle' : 'bad'}>{word}</Badge>}
      <span className="flows">
        <span>in {rateText(sum(consumers.map(({ rate }) => rate)))}</span>
        <span>out {rateText(sum(journals.map(({ rate }) => rate)))}</span>
        <span>lag {shortCount(sum(consumers.map(({ lag }) => lag)))}</span>
      </span>
      {troubled.map((consumer) => (
        <span key={consumer.id} className="wrong trouble">
          {consumer.label}: {consumerSign(consumer)}
        </span>
      ))}
    </>
  );
}
