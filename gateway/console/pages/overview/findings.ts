import { create } from '@bufbuild/protobuf';
import {
  type Finding,
  FindingSchema,
  Severity,
  type WatchOverviewResponse,
} from '#gen/causeway/operations/v1/flow_pb.js';
import type { Tone } from '../../parts/badge.tsx';
import { counted } from '../../parts/words.ts';
import type { FlowGraph } from './flow-graph.ts';

/**
 * All that is wrong, the worst first: what the checks have found, and what the figures say. The checks are made less
 * often, and not of orders.
 */
export function allFindings(overview: WatchOverviewResponse, { services, consumers }: FlowGraph): Finding[] {
  const { findings, fulfilmentsNeedingAttention, overdueFulfilments, parkedMessages } = overview;
  const isKnown = (about: string) =>
    findings.some(({ check, subject }) => check === about || nameIn(subject) === about);
  const own = [
    ...services
      .filter(({ name, standing }) => standing === 'troubled' && !isKnown(name))
      .map(({ name, state }) =>
        found('service', Severity.PROBLEM, name, state?.reasons.join('; ') || 'no instance answers'),
      ),
    ...consumers
      .filter(({ name, trouble }) => trouble !== '' && !isKnown(name))
      .map(({ name, trouble }) => found('consumer-stalled', Severity.PROBLEM, name, trouble)),
  ];
  if (fulfilmentsNeedingAttention > 0) {
    const count = counted(fulfilmentsNeedingAttention, 'fulfilment');
    own.push(found('attention', Severity.PROBLEM, '', `${count} that no rule can settle`, 'Settle what was refused.'));
  }
  if (parkedMessages > 0n && !isKnown('dead-letters')) {
    own.push(found('dead-letters', Severity.PROBLEM, '', `${counted(parkedMessages, 'message')} parked`));
  }
  if (overdueFulfilments > 0) {
    own.push(found('overdue', Severity.WARNING, '', `${counted(overdueFulfilments, 'fulfilment')} waited too long`));
  }
  return [...findings, ...own].toSorted((one, other) => other.severity - one.severity);
}

function found(check: string, severity: Severity, subject: string, message: string, remedy = ''): Finding {
  return create(FindingSchema, { check, severity, subject, message, remedy });
}

/** Checks say `NAME on STREAM` of a consumer. */
function nameIn(subject: string): string {
  return subject.split(' on ')[0] ?? '';
}

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
  const node = nodes.find(({ id }) => id.slice(id.indexOf('/') + 1) === nameIn(subject));
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
