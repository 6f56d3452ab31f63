import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metrics } from '@opentelemetry/api';
import { expect, onTestFinished, test } from 'vitest';
import { startTelemetry } from './setup.ts';

test('what is measured by asking is asked once for all who look at the metrics at the same time', async () => {
  const telemetry = startTelemetry({ serviceName: 'orders', otlpEndpoint: undefined, traceRatio: 1 });
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
