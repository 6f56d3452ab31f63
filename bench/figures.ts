import { rounded } from './statistics.ts';

/** One measured figure. What stands beside name, value and unit says how it was measured. */
export type Figure = { name: string; value: number; unit: string; [detail: string]: unknown };

export type Target = { atLeast: number } | { atMost: number };

type Known = { unit: string; says: string; target?: Target };

/** Every figure that there is, in the order of the table. */
const figures = {
  place_order_per_s: { unit: '1/s', says: 'PlaceOrder through the gRPC door, 64 in flight, synced journal' },
  place_order_p50_ms: { unit: 'ms', says: 'the same, half of the calls' },
  place_order_p99_ms: { unit: 'ms', says: 'the same, 99 of 100 calls' },
  cpu_us_per_order: { unit: 'us', says: 'the same, CPU of all processes but the load generator' },
  place_order_vs_publish: {
    unit: 'ratio',
    says: 'the same against a bare Node loop that publishes the same bytes',
    target: { atLeast: 0.7 },
  },
  place_order_vs_echo: {
    unit: 'ratio',
    says: "with the broker's default sync, against a bare grpc-js echo",
    target: { atLeast: 0.5 },
  },
  visible_p50_ms: {
    unit: 'ms',
    says: 'from call to readable in the view at 200 orders/s, synced',
    target: { atMost: 5 },
  },
  visible_p99_ms: { unit: 'ms', says: 'the same, 99 of 100 orders', target: { atMost: 20 } },
  rebuild_events_per_s: { unit: '1/s', says: 'a view from an empty database', target: { atLeast: 15_000 } },
  load_cost_ratio: {
    unit: 'ratio',
    says: 'deciding on an order that is not in memory: many orders against few',
    target: { atMost: 1.3 },
  },
  get_order_ratio: { unit: 'ratio', says: 'GetOrder: many orders against few', target: { atMost: 1.5 } },
  list_orders_ratio: { unit: 'ratio', says: 'ListOrders: many orders against few', target: { atMost: 1.5 } },
  fulfilled_orders_per_s: {
    unit: '1/s',
    says: 'from PlaceOrder to FulfilmentCompleted and both e-mails, instant payments, everything on one machine, synced',
    target: { atLeast: 300 },
  },
  fulfilment_p50_ms: {
    unit: 'ms',
    says: 'from PlaceOrder to FulfilmentCompleted at 20 orders/s, synced',
    target: { atMost: 120 },
  },
  fulfilment_p99_ms: { unit: 'ms', says: 'the same, 99 of 100 orders', target: { atMost: 500 } },
  messages_per_order: {
    unit: 'messages',
    says: 'in all streams, for an order that is delivered',
    target: { atMost: 18 },
  },
  accept_under_saga_ratio: {
    unit: 'ratio',
    says: 'orders accepted per second while they are fulfilled too, against not',
    target: { atLeast: 0.6 },
  },
  accept_during_outage: {
    unit: 'ratio',
    says: 'orders accepted per second while payments are away, against not',
    target: { atLeast: 1 },
  },
  reserve_hot_item_per_s: {
    unit: '1/s',
    says: 'orders for one item, from asked to said to be reserved, 64 in flight, synced',
    target: { atLeast: 800 },
  },
  order_search_p99_ms: {
    unit: 'ms',
    says: 'ListOrders by customer, status, e-mail and correlation id among many orders, 99 of 100 calls',
    target: { atMost: 100 },
  },
  timeline_p99_ms: {
    unit: 'ms',
    says: 'GetOrderHistory of a fulfilled order, with the order after each event, 99 of 100 calls',
    target: { atMost: 50 },
  },
  overview_core_share: {
    unit: 'cores',
    says: 'what one watcher of the overview costs platform and broker at 1,000 orders a minute',
    target: { atMost: 0.1 },
  },
  console_kb: { unit: 'kB', says: "all of the console's scripts and styles, gzip", target: { atMost: 250 } },
  first_page_ms: {
    unit: 'ms',
    says: 'from opening the console in a new browser to its overview with figures, on loopback',
    target: { atMost: 1_000 },
  },
  scaleout_2_ratio: {
    unit: 'ratio',
    says: 'events handled per second by two replicas whose handlers wait 20 ms, against one',
    target: { atLeast: 1.8 },
  },
  scaleout_4_ratio: { unit: 'ratio', says: 'the same, four replicas against one', target: { atLeast: 3.4 } },
  ownerless_ms_after_kill: {
    unit: 'ms',
    says: 'from kill -9 of one of four replicas until others work on all that it had, half of the kills',
    target: { atMost: 5_000 },
  },
  idle_messages_per_s: { unit: '1/s', says: 'what the broker takes and gives while four replicas of a service idle' },
  idle_core_share: { unit: 'cores', says: 'the same, CPU of broker and replicas' },
  rss_mb: { unit: 'MB', says: 'memory of the platform process after many orders', target: { atMost: 350 } },
  startup_ms: { unit: 'ms', says: 'from nothing to ready, binaries in place', target: { atMost: 3_000 } },
} as const satisfies Record<string, Known>;

export type FigureName = keyof typeof figures;

export const figureNames = Object.keys(figures) as FigureName[];

/** A figure with the unit and the target that it has. */
export function figure(name: FigureName, value: number, details: Record<string, unknown> = {}): Figure {
  const { unit, target }: Known = figures[name];
  const met = target === undefined ? {} : { target, met: isMet(value, target) };
  return { name, value: rounded(value), unit, ...met, ...details };
}

export function isMet(value: number, target: Target): boolean {
  return 'atLeast' in target ? value >= target.atLeast : value <= target.atMost;
}

/** The figures as people read them. */
export function table(measured: readonly Figure[]): string {
  const rows = measured.map(({ name, value, unit }) => {
    const { says, target }: Known = figures[name as FigureName];
    const bound = target === undefined ? 'shown' : 'atLeast' in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`;
    const met = target === undefined ? '' : isMet(value, target) ? 'met' : 'MISSED';
    return [name, `${value} ${unit}`, bound, met, says];
  });
  const all = [['figure', 'value', 'target', '', 'what it is'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}
