import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metrics } from '@opentelemetry/api';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { startTelemetry, type TelemetrySettings } from './setup.ts';

const settings: TelemetrySettings = {
  serviceName: 'orders',
  otlpEndpoint: undefined,
  metricsExporter: 'otlp',
  traceRatio: 1,
};

afterEach(() => metrics.disable());

test('what is measured by asking is asked once for all who look at the metrics at the same time', async () => {
  const telemetry = startTelemetry(settings);
  const server = createServer((request, response) => telemetry.serveMetrics(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    await telemetry.stop();
  });
  let asked = 0;
  const lag = metrics.getMeter('test').createObservableGauge('lag');
  lag.addCallback((result) => result.observe(++asked));
  const look = async () => (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text();

  const texts = await Promise.all(Array.from({ length: 10 }, look));

  expect(asked).toBe(1);
  for (const text of texts) expect(text).toMatch(/^lag\S* 1$/m);
});

test('the unit of what is measured stands in its name, as in all of Prometheus', async () => {
  const telemetry = startTelemetry(settings);
  onTestFinished(telemetry.stop);
  const meter = metrics.getMeter('test');
  meter.createHistogram('waits', { unit: 's' }).record(1);
  meter.createCounter('time.spent', { unit: 's' }).add(1);
  meter.createCounter('sent_bytes', { unit: 'By' }).add(1);
  meter.createCounter('visits').add(1);
  const { promise: written, resolve } = Promise.withResolvers<string>();
  const response = { writeHead() {}, end: resolve } as object as ServerResponse;

  await telemetry.serveMetrics({} as IncomingMessage, response);

  const names = new Set((await written).match(/^\w+/gm));
  expect([...names]).toEqual(
    expect.arrayContaining(['waits_seconds_sum', 'time_spent_seconds_total', 'sent_bytes_total', 'visits_total']),
  );
});

test.each([
  { metricsExporter: 'otlp', sent: 1 },
  { metricsExporter: 'none', sent: 0 },
] as const)(
  'with $metricsExporter metrics are sent $sent times when the process ends',
  async ({ metricsExporter, sent }) => {
    const paths: string[] = [];
    const receiver = createServer((request, response) => {
      paths.push(request.url ?? '');
      request.resume().on('end', () => response.end());
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    onTestFinished(() => void receiver.close());
    const otlpEndpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
    const telemetry = startTelemetry({ ...settings, otlpEndpoint, metricsExporter });
    metrics.getMeter('test').createCounter('visits').add(1);

    await telemetry.stop();

    expect(paths).toEqual(Array(sent).fill('/v1/metrics'));
  },
);
