import { type Column, Table } from '../../parts/table.tsx';
import { rateText } from './figures.ts';
import type { ConsumerNode, FlowGraph, Inflow } from './flow-graph.ts';

type Row = Inflow & { consumer: ConsumerNode };

const columns: readonly Column<Row>[] = [
  { name: 'Journal', cell: ({ stream }) => stream },
  { name: 'Service', cell: ({ consumer }) => consumer.service },
  { name: 'Consumer', cell: ({ consumer }) => consumer.label },
  { name: 'Kind', cell: ({ consumer }) => (consumer.isView ? 'view' : 'reaction') },
  { name: 'Rate', cell: ({ rate }) => rateText(rate), isNumber: true },
  { name: 'Lag', cell: ({ lag }) => lag.toLocaleString(), isNumber: true },
  { name: 'Given again', cell: ({ redelivered }) => rateText(redelivered), isNumber: true },
  { name: 'Parked', cell: ({ parked }) => parked.toLocaleString(), isNumber: true },
  { name: 'Trouble', cell: ({ trouble }) => (trouble === '' ? '–' : <span className="wrong">{trouble}</span>) },
];

/** The map as a table: each consumer of each journal. */
export function FlowTable({ graph }: { graph: FlowGraph }) {
  const rows = graph.consumers
    .flatMap((consumer) => consumer.inflows.map((inflow) => ({ ...inflow, consumer })))
    .toSorted((one, other) => (one.stream < other.stream ? -1 : Number(one.stream > other.stream)));
  return (
    <details className="as-table">
      <summary>The flow as a table</summary>
      <Table
        caption="What flows from which journal to which consumer"
        columns={columns}
        rows={rows}
        keyOf={({ consumer, stream }) => `${consumer.id} ${stream}`}
      />
    </details>
  );
}
