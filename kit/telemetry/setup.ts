import type { IncomingMessage, ServerResponse } from 'node:http';
import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import {
  AlwaysOffSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';
import { remembered } from '../remembered.ts';
import { observeProcess } from './process-metrics.ts';
import { withUnitsInNames } from './prometheus-names.ts';

export type TelemetrySettings = {
  serviceName: string;
  /** Base address of an OTLP/HTTP receiver; undefined: nothing is sent. */
  otlpEndpoint: string | undefined;
  /** Whether metrics are sent there too. */
  metricsExporter: 'otlp' | 'none';
  /** Share of the traces that begin here and are recorded, 0 to 1. A caller's own decision is kept. */
  traceRatio: number;
};

export type Telemetry = {
  /** Answers with the metrics in Prometheus' text format. */
  serveMetrics(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Sends what has not been sent yet. */
  stop(): Promise<void>;
};

/** Anybody may ask for the metrics, and some of them are asked of the broker. */
const METRICS_GOOD_MS = 1_000;
const EXPORT_INTERVAL_MS = 1_000;
const EXPORT_TIMEOUT_MS = 3_000;
const QUEUED_SPANS = 16_384;

/**
 * Makes the process one that is observed. Without a receiver no span is recorded, but every call and event still has
 * a trace id, so that logs, event headers and an order's history can be joined.
 */
export function startTelemetry(settings: TelemetrySettings): Telemetry {
  const { serviceName, otlpEndpoint, metricsExporter, traceRatio } = settings;
  const resource = defaultResource().merge(resourceFromAttributes({ [ATTR_SERVICE_NAME]: serviceName }));
  const endpoint = otlpEndpoint?.replace(/\/$/, '');
  const prometheus = new PrometheusExporter({ preventServerStart: true });
  const meters = new MeterProvider({
    resource,
    readers: [
      prometheus,
      ...(endpoint === undefined || metricsExporter === 'none'
        ? []
        : [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url: `${endpoint}/v1/metrics` }) })]),
    ],
  });
  const tracers = new TracerProvider({
    resource,
    sampler:
      endpoint === undefined
        ? new AlwaysOffSampler()
        : new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(traceRatio) }),
    spanProcessors:
      endpoint === undefined
        ? []
        : [
            new BatchSpanProcessor({
              exporter: new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }),
              scheduledDelayMillis: EXPORT_INTERVAL_MS,
              exportTimeoutMillis: EXPORT_TIMEOUT_MS,
              maxQueueSize: QUEUED_SPANS,
            }),
          ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(tracers);
  metrics.setGlobalMeterProvider(meters);
  const endObserving = observeProcess();
  const serializer = new PrometheusSerializer(undefined, undefined, undefined, undefined, true);
  const text = remembered(
    async () => serializer.serialize(withUnitsInNames((await prometheus.collect()).resourceMetrics)),
    METRICS_GOOD_MS,
  );
  return {
    async serveMetrics(_, response) {
      const metrics = await text().catch(() => undefined);
      response.writeHead(metrics === undefined ? 500 : 200, { 'content-type': 'text/plain; version=0.0.4' });
      response.end(metrics);
    },
    // A receiver that is away must not keep a process from ending.
    stop: async () => {
      endObserving();
      await Promise.allSettled([tracers.shutdown(), meters.shutdown({ timeoutMillis: EXPORT_TIMEOUT_MS })]);
    },
  };
}
