import { type Finding, Severity } from '#gen/causeway/operations/v1/flow_pb.js';
import type { Tone } from '../../parts/badge.tsx';
import type { FlowGraph } from './flow-graph.ts';

/** Where more is to be seen of a finding: a page, or a node of the map. */
export type Whereabouts = { page: string; name: string } | { node: string };

const PAGES: readonly [RegExp, { page: string; name: string }][] = [
  [/dead-letter|parked/, { page: '/dead-letters', name: 'Dead letters' }],
  [/attention/, { page: '/fulfilments?status=NEEDS_ATTENTION', name: 'Fulfilments that need attention' }],
  [/overdue/, { page: '/fulfilments?overdue=yes', name: 'Overdue fulfilments' }],
  [/fulfilment/, { page: '/fulfilments', name: 'Fulfilments' }],
  [/view|projection|build/, { page: '/projections', name: 'Projections' }],
];

export function whereaboutsOf({ check, subject }: Finding, graph: FlowGraph): Whereabouts | undefined {
  const page = PAGES.find(([pattern]) => pattern.test(check))?.[1];
  if (page !== undefined) return page;
  const nodes = [...graph.services, ...graph.journals, ...graph.consumers];
  const node = nodes.find(({ id }) => id.slice(id.indexOf('/') + 1) === subject);
  return node && { node: node.id };
}

export function severityWord(severity: Severity): { word: string; tone: Tone } {
  switch (severity) {
    case Severity.PROBLEM:
      return { word: 'Problem', tone: 'bad' };
    case Severity.WARNING:
      return { word: 'Warning', tone: 'warning' };
    default:
      return { word: 'Not known', tone: 'idle' };
  }
}
