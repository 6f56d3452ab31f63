import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import {
  ConsumerKind,
  ServiceStatus,
  Severity,
  WatchOverviewResponseSchema,
} from '#gen/causeway/operations/v1/flow_pb.js';
import { allFindings, whereaboutsOf } from './findings.ts';
import { flowGraph, neighbours } from './flow-graph.ts';
import { consumerSign } from './flow-words.ts';

type Given = MessageInitShape<typeof WatchOverviewResponseSchema>;

const { REACTION, PROJECTION } = ConsumerKind;
const shop = {
  services: [
    { name: 'orders', status: ServiceStatus.UP },
    { name: 'payments', status: ServiceStatus.UP },
  ],
  journals: [
    { stream: 'ORDERS', service: 'orders', eventsPerSecond: 4 },
    { stream: 'PAYMENTS', service: 'payments', eventsPerSecond: 2 },
  ],
  consumers: [
    { name: 'orders-orders_v3', service: 'orders', kind: PROJECTION, stream: 'ORDERS', messagesPerSecond: 4 },
    { name: 'orders-confirm-on-payment-authorized', service: 'orders', kind: REACTION, stream: 'PAYMENTS' },
    { name: 'payments-tell-on-paid', service: 'payments', kind: REACTION, stream: 'PAYMENTS' },
    { name: 'payments-tell-on-refunded', service: 'payments', kind: REACTION, stream: 'PAYMENTS' },
  ],
} satisfies Given;

function overviewOf(given: Given) {
  const overview = create(WatchOverviewResponseSchema, given);
  return { overview, graph: flowGraph(overview) };
}

test('names are short where that is enough to tell them apart, and reactions come before views', () => {
  const { graph } = overviewOf(shop);

  expect(graph.consumers.map(({ label }) => label)).toEqual(['confirm', 'orders', 'tell on paid', 'tell on refunded']);
});

test('a build that is made beside another has its number', () => {
  const beside = { ...shop.consumers[0], name: 'orders-orders_v3_b2' };
  const { graph } = overviewOf({ consumers: [...shop.consumers, beside] });

  expect(graph.consumers.map(({ label }) => label)).toContain('orders build 2');
});

test('a consumer of several journals is one node: what flows is added up, its dead letters are the same ones', () => {
  const history = { name: 'orders-history_v3', service: 'orders', kind: PROJECTION, messagesPerSecond: 1.5, lag: 2n };
  const { graph } = overviewOf({
    consumers: ['ORDERS', 'PAYMENTS'].map((stream) => ({ ...history, stream, parkedMessages: 3n })),
  });

  expect(graph.consumers).toMatchObject([{ label: 'history', rate: 3, lag: 4, parked: 3, standing: 'troubled' }]);
  expect(consumerSign(graph.consumers[0] as never)).toBe('! 3 parked');
});

test('a service that only its consumers or its journal tell of is there too', () => {
  const { graph } = overviewOf({
    consumers: [{ name: 'gifts-wrap', service: 'gifts', kind: REACTION, stream: 'ORDERS' }],
    journals: [{ stream: 'LETTERS', service: 'letters' }],
  });

  expect(graph.services.map(({ name }) => name)).toEqual(['gifts', 'letters']);
  expect(graph.journals.map(({ stream }) => stream)).toEqual(['LETTERS', 'ORDERS']);
});

test('a few messages are no lag; many are, unless they are a few seconds of what flows', () => {
  const standing = (lag: bigint, messagesPerSecond: number) =>
    overviewOf({ consumers: [{ name: 'a-b', service: 'a', stream: 'S', lag, messagesPerSecond }] }).graph.consumers[0]
      ?.standing;

  expect(standing(50n, 0)).toBe('fine');
  expect(standing(51n, 0)).toBe('behind');
  expect(standing(400n, 100)).toBe('fine');
  expect(standing(501n, 100)).toBe('behind');
});

test('a node is connected with what it says and hears, and with nothing else', () => {
  const { graph } = overviewOf(shop);

  expect([...neighbours(graph, 'consumer/orders-orders_v3')].toSorted()).toEqual([
    'consumer/orders-orders_v3',
    'journal/ORDERS',
    'service/orders',
  ]);
  expect(neighbours(graph, 'journal/ORDERS')).not.toContain('service/payments');
  expect(neighbours(graph, 'service/payments')).toContain('journal/PAYMENTS');
});

test('what the figures say is a finding too, once, and the worst comes first', () => {
  const { overview, graph } = overviewOf({
    ...shop,
    services: [
      { name: 'orders', status: ServiceStatus.AWAY },
      { name: 'payments', status: ServiceStatus.AWAY },
    ],
    findings: [
      { check: 'fsync', severity: Severity.WARNING },
      { check: 'service', subject: 'payments', severity: Severity.PROBLEM, message: 'no instance answers' },
    ],
    fulfilmentsNeedingAttention: 2,
    overdueFulfilments: 1,
  });

  const found = allFindings(overview, graph);

  expect(found.map(({ check, subject }) => `${check} ${subject}`.trim())).toEqual([
    'service payments',
    'service orders',
    'attention',
    'fsync',
    'overdue',
  ]);
});

test('where all is well, nothing is found', () => {
  const { overview, graph } = overviewOf(shop);

  expect(allFindings(overview, graph)).toEqual([]);
});

test('a finding leads to the page or the node that it is about', () => {
  const { graph } = overviewOf(shop);
  const where = (check: string, subject = '') =>
    whereaboutsOf({ check, subject } as Parameters<typeof whereaboutsOf>[0], graph);

  expect(where('dead-letters', 'payments-tell-on-paid')).toMatchObject({ page: '/dead-letters' });
  expect(where('attention')).toMatchObject({ page: '/fulfilments?status=NEEDS_ATTENTION' });
  expect(where('view-behind', 'orders-orders_v3 on ORDERS')).toMatchObject({ page: '/projections' });
  expect(where('consumer-stalled', 'payments-tell-on-paid on PAYMENTS')).toEqual({
    node: 'consumer/payments-tell-on-paid',
  });
  expect(where('stream-drift', 'ORDERS')).toEqual({ node: 'journal/ORDERS' });
  expect(where('fsync')).toBeUndefined();
});
