import { type KeyboardEvent, type ReactNode, useMemo, useRef, useState } from 'react';
import { lineWidth, paceOf, rateText } from './figures.ts';
import { type ConsumerNode, type FlowGraph, type JournalNode, neighbours, type ServiceNode } from './flow-graph.ts';
import { consumerSign, serviceWord } from './flow-words.ts';
import {
  type Box,
  type Direction,
  type Edge,
  HEAD,
  layoutMap,
  type MapLayout,
  nextNode,
  structureOf,
} from './map-layout.ts';

type Parts = {
  graph: FlowGraph;
  width: number;
  selected: string | undefined;
  onSelect: (id: string | undefined) => void;
};

const ARROWS: Record<string, Direction> = {
  ArrowUp: 'up',
  ArrowDown: 'down',
  ArrowLeft: 'left',
  ArrowRight: 'right',
};

/** Services on both sides of the journals: what they say flows into the middle, what they listen to flows out of it. */
export function FlowMap({ graph, width, selected, onSelect }: Parts) {
  const structure = structureOf(graph);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the layout is made from the structure alone.
  const layout = useMemo(() => layoutMap(graph, width), [structure, width]);
  const [pointed, setPointed] = useState<string>();
  const [current, setCurrent] = useState<string>();
  const map = useRef<HTMLFieldSetElement>(null);
  const lit = useMemo(() => (selected === undefined ? undefined : neighbours(graph, selected)), [graph, selected]);
  const stop = layout.boxes.has(current ?? '') ? current : graph.services[0]?.id;

  const onKeyDown = (event: KeyboardEvent<HTMLFieldSetElement>) => {
    const direction = ARROWS[event.key];
    const id = event.target instanceof HTMLElement ? event.target.dataset.node : undefined;
    const next = direction && id ? nextNode(layout, id, direction) : undefined;
    if (event.key === 'Escape' && selected !== undefined) onSelect(undefined);
    if (next === undefined) return;
    event.preventDefault();
    map.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(next)}"]`)?.focus();
  };

  const node = (id: string, tone: string, box: Box, content: ReactNode) => (
    <button
      key={id}
      type="button"
      data-node={id}
      className={`node ${id.split('/')[0]} ${tone} ${lit !== undefined && !lit.has(id) ? 'dim' : ''}`}
      style={{ left: box.x, top: box.y, width: box.width, height: box.height }}
      tabIndex={id === stop ? 0 : -1}
      aria-pressed={selected === id}
      onClick={() => onSelect(selected === id ? undefined : id)}
      onFocus={() => setCurrent(id)}
      onPointerEnter={() => setPointed(id)}
      onPointerLeave={() => setPointed(undefined)}
    >
      {content}
    </button>
  );

  return (
    <fieldset
      ref={map}
      className="flow-map"
      style={{ height: layout.height }}
      aria-label="Map of the flow of events. Arrow keys move in it, Enter shows a node's details"
      onKeyDown={onKeyDown}
    >
      <Edges graph={graph} layout={layout} lit={lit} centre={selected} pointed={pointed} />
      {graph.services.map((service) => {
        const box = layout.boxes.get(service.id);
        if (box === undefined) return null;
        const tone = lit !== undefined && !lit.has(service.id) ? 'dim' : service.standing;
        return (
          <div
            key={service.id}
            className={`ground ${tone}`}
            style={{ left: box.x, top: box.y, width: box.width, height: box.height }}
          />
        );
      })}
      {graph.services.map((service) => {
        const box = layout.boxes.get(service.id);
        return box && node(service.id, service.standing, { ...box, height: HEAD }, <Service of={service} />);
      })}
      {graph.consumers.map((consumer) => {
        const box = layout.boxes.get(consumer.id);
        return box && node(consumer.id, consumer.standing, box, <Consumer of={consumer} />);
      })}
      {graph.journals.map((journal) => {
        const box = layout.boxes.get(journal.id);
        return box && node(journal.id, journal.standing, box, <Journal of={journal} />);
      })}
    </fieldset>
  );
}

/** Said, and not shown: what eyes see from where it stands. */
function Unseen({ children }: { children: ReactNode }) {
  return <span className="unseen">{children}</span>;
}

function Service({ of: service }: { of: ServiceNode }) {
  const said = service.journals.reduce((sum, { rate }) => sum + rate, 0);
  const word = serviceWord(service.state);
  return (
    <>
      <span className="mark" aria-hidden="true" />
      <Unseen>Service </Unseen>
      <span className="name">{service.name}</span>
      {word === 'up' ? <Unseen> up </Unseen> : <span className="word">{word}</span>}
      {service.journals.length > 0 && (
        <span className="rate">
          <Unseen> says </Unseen>
          {rateText(said)}
        </span>
      )}
    </>
  );
}

function Consumer({ of: consumer }: { of: ConsumerNode }) {
  return (
    <>
      <span className={consumer.isView ? 'mark view' : 'mark'} aria-hidden="true" />
      <Unseen>{consumer.isView ? 'View ' : 'Reaction '}</Unseen>
      <span className="name">{consumer.label}</span>
      <Unseen> of {consumer.service} </Unseen>
      <span className="word">{consumerSign(consumer)}</span>
      <span className="rate">{rateText(consumer.rate)}</span>
    </>
  );
}

function Journal({ of: { stream, rate, flow, standing } }: { of: JournalNode }) {
  return (
    <>
      <Unseen>Journal </Unseen>
      <span className="name">{stream}</span>
      <span className="rate">
        {standing === 'fine' ? rateText(rate) : `! ${Math.round((flow?.fullness ?? 0) * 100)} % full`}
      </span>
    </>
  );
}

type EdgesParts = {
  graph: FlowGraph;
  layout: MapLayout;
  lit: ReadonlySet<string> | undefined;
  centre: string | undefined;
  pointed: string | undefined;
};

function Edges({ graph, layout, lit, centre, pointed }: EdgesParts) {
  const flows = useMemo(() => flowsOf(graph), [graph]);
  const isLit = ({ from, to }: Edge) => from === centre || to === centre || ownsEdge(graph, centre, to);
  // What is lit is drawn last, above the others.
  const ordered =
    lit === undefined ? layout.edges : layout.edges.toSorted((a, b) => Number(isLit(a)) - Number(isLit(b)));
  return (
    <svg width={layout.width} height={layout.height} aria-hidden="true">
      {ordered.map((edge) => {
        const { rate, standing } = flows.get(edge.id) ?? { rate: 0, standing: 'fine' };
        const isPointed =
          pointed !== undefined && (edge.from === pointed || edge.to === pointed || ownsEdge(graph, pointed, edge.to));
        const light = lit === undefined ? (isPointed ? 'lit' : '') : isLit(edge) ? 'lit' : 'dim';
        return (
          <g key={edge.id} className={`edge ${edge.kind} ${standing} ${light}`}>
            <path className="line" d={edge.path} strokeWidth={lineWidth(rate)} />
            {paceOf(rate) !== 'still' && <path className={`dots ${paceOf(rate)}`} d={edge.path} />}
          </g>
        );
      })}
    </svg>
  );
}

/** Whether a line ends at a consumer of the service. */
function ownsEdge({ services }: FlowGraph, service: string | undefined, to: string): boolean {
  if (service === undefined || !service.startsWith('service/')) return false;
  return services.find(({ id }) => id === service)?.consumers.some(({ id }) => id === to) ?? false;
}

/** By the line's id: what flows on it, and how it is. */
function flowsOf({ journals, consumers }: FlowGraph): ReadonlyMap<string, { rate: number; standing: string }> {
  return new Map([
    ...journals.map(({ id, service, rate, standing }) => [`service/${service} ${id}`, { rate, standing }] as const),
    ...consumers.flatMap(({ id, inflows, standing }) =>
      inflows.map(
        ({ stream, rate, lag, parked, trouble }) =>
          [
            `journal/${stream} ${id}`,
            { rate, standing: lag > 0 || parked > 0 || trouble !== '' || inflows.length === 1 ? standing : 'fine' },
          ] as const,
      ),
    ),
  ]);
}
