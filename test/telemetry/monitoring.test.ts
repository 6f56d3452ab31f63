import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metrics } from '@opentelemetry/api';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { eventRegistry } from '#gen/events.js';
import { connectBroker } from '#kit/broker.ts';
import { subjectOf } from '#kit/partitions.ts';
import { startTelemetry } from '#kit/telemetry/setup.ts';
import { atTheEnd } from '#kit/testing/servers.ts';
import { fetchClient } from '../interop/fetch-client.ts';
import { orderRequest } from '../interop/order-client.ts';
import { bearer, testPlatform } from '../platform.ts';
import { queryIn, type Selector } from './queries.ts';

const DEPLOY = new URL('../../deploy/telemetry/', import.meta.url);
const DASHBOARDS = new URL('grafana/dashboards/', DEPLOY);

type Rule = { alert?: string; record?: string; expr: string; annotations?: { runbook: string } };
type Dashboard = { uid: string; title: string; panels: { title: string; targets: { expr: string }[] }[] };

/** What Prometheus itself and the broker's exporter say, and the labels that every series of a pod is given. */
const ofOthers = ['up', 'ALERTS', 'gnatsd_healthz_status', 'gnatsd_varz_slow_consumers'].concat(
  ['in_msgs', 'out_msgs', 'connections'].map((name) => `gnatsd_varz_${name}`),
);
const givenLabels = ['app', 'pod', 'job'];

const rules = ['alerts.yaml', 'objectives.yaml'].flatMap((file) =>
  (parse(textOf(`prometheus/${file}`)) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules),
);
const alerts = rules.filter(({ alert }) => alert !== undefined);
const dashboards = readdirSync(DASHBOARDS).map(
  (file) => JSON.parse(readFileSync(new URL(file, DASHBOARDS), 'utf8')) as Dashboard,
);
const queries = [
  ...rules.map(({ alert, record, expr }) => ({ where: alert ?? record ?? '', expr })),
  ...dashboards.flatMap(({ title, panels }) =>
    panels.flatMap((panel) => panel.targets.map(({ expr }) => ({ where: `${title}: ${panel.title}`, expr }))),
  ),
];
const recorded = rules.flatMap(({ record }) => record ?? []);

function textOf(file: string): string {
  return readFileSync(new URL(file, DEPLOY), 'utf8');
}

/** Names of metrics, each with its labels and their values. */
type Measured = Map<string, Map<string, Set<string>>>;

function measuredIn(text: string): Measured {
  const measured: Measured = new Map();
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = measured.get(name) ?? new Map<string, Set<string>>();
    measured.set(name, known);
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      known.set(label, (known.get(label) ?? new Set()).add(value));
    }
  }
  return measured;
}

/** What queries ask for and nothing measures. */
function unknownIn(measured: Measured): string[] {
  const others = [...ofOthers, ...recorded];
  return queries.flatMap(({ where, expr }) => {
    const { selectors, grouping } = queryIn(expr);
    const own = selectors.filter(({ metric }) => !others.includes(metric));
    // What a query makes by itself is in no metric.
    const made = [...expr.matchAll(/label_replace\(.*?\), "(\w+)"/g)].map(([, label]) => label);
    const known = [...givenLabels, ...made, ...own.flatMap(({ metric }) => [...(measured.get(metric)?.keys() ?? [])])];
    return [
      ...own.flatMap((selector) => wrongIn(selector, measured)),
      ...(own.length === 0 ? [] : grouping.filter((label) => !known.includes(label)).map((label) => `by ${label}`)),
    ].map((what) => `${where}: ${what}`);
  });
}

function wrongIn({ metric, labels }: Selector, measured: Measured): string[] {
  const known = measured.get(metric);
  if (known === undefined) return [metric];
  return Object.entries(labels).flatMap(([label, value]) => {
    if (givenLabels.includes(label)) return [];
    const values = known.get(label);
    if (values === undefined) return [`${metric}{${label}}`];
    // A limit that is not one of the histogram's is never counted to.
    const isLimit = label !== 'le' || [...values].some((limit) => new RegExp(`^(?:${value})$`).test(limit));
    return isLimit ? [] : [`${metric}{le="${value}"}`];
  });
}

describe('what a running platform measures', () => {
  let read: () => Promise<string>;

  beforeAll(async () => {
    const telemetry = startTelemetry({
      serviceName: 'test',
      otlpEndpoint: undefined,
      metricsExporter: 'none',
      traceRatio: 1,
    });
    const server = createServer((request, response) => telemetry.serveMetrics(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    atTheEnd(async () => {
      server.close();
      await telemetry.stop();
      metrics.disable();
    });
    read = async () => (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text();
    const { http, nats } = await testPlatform();
    await fetchClient(http, await bearer('ada')).place(orderRequest());
    const broker = await connectBroker({ url: nats.url, name: 'test' });
    await broker.js.publish(subjectOf('orders', 'order', randomUUID()), 'no event');
    await broker.close();
  });

  test('is all that dashboards, alerts and objectives ask for', async () => {
    await expect
      .poll(async () => unknownIn(measuredIn(await read())), { timeout: 20_000, interval: 1_000 })
      .toEqual([]);
  });
});

describe('queries', () => {
  const asked = (label: string) =>
    queries.flatMap(({ expr }) => queryIn(expr).selectors.flatMap(({ labels }) => labels[label]?.split('|') ?? []));

  test('ask for events and methods that there are', () => {
    const events = [...eventRegistry].map(({ name }) => name);
    const methods = OrderService.methods.map(({ name }) => `${OrderService.typeName}/${name}`);

    expect(asked('type').filter((type) => !events.includes(type))).toEqual([]);
    expect(asked('rpc_method').filter((method) => !methods.includes(method))).toEqual([]);
    expect(asked('rpc_method').length).toBeGreaterThan(5);
  });

  test('ask for objectives that are recorded', () => {
    const metricsAsked = queries.flatMap(({ expr }) => queryIn(expr).selectors.map(({ metric }) => metric));

    expect(metricsAsked.filter((metric) => metric.includes(':') && !recorded.includes(metric))).toEqual([]);
    for (const name of recorded) expect(metricsAsked).toContain(name);
  });
});

describe('every alert', () => {
  const operating = readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8');
  const anchors = [...operating.matchAll(/^#+ (.*)$/gm)].map(
    ([, heading = '']) => `docs/operating.md#${heading.toLowerCase().replaceAll(' ', '-')}`,
  );

  test.each(alerts.map(({ alert = '', annotations }) => [alert, annotations?.runbook]))(
    '%s names a section of the runbook that there is',
    (_, runbook) => expect(anchors).toContain(runbook),
  );

  test('is explained', () => {
    const monitoring = readFileSync(new URL('../../docs/monitoring.md', import.meta.url), 'utf8');

    expect(alerts.map(({ alert }) => alert).filter((alert) => !monitoring.includes(`\`${alert}\``))).toEqual([]);
  });
});

test('every dashboard is deployed', () => {
  const deployed = textOf('kustomization.yaml').match(/(?<=grafana\/dashboards\/).*\.json/g);

  expect(deployed?.toSorted()).toEqual(readdirSync(DASHBOARDS).toSorted());
  expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
});
