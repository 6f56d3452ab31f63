import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';

/** What Prometheus calls a unit, at the end of a name (OpenTelemetry's "Prometheus and OpenMetrics Compatibility"). */
const suffixes: Record<string, string> = { s: '_seconds', By: '_bytes' };

/** The same metrics, with their unit in their name: the exporter leaves it out. Of a counter, `_total` comes behind it. */
export function withUnitsInNames(collected: ResourceMetrics): ResourceMetrics {
  return {
    ...collected,
    scopeMetrics: collected.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.map((metric) => {
        const { name, unit } = metric.descriptor;
        const suffix = suffixes[unit] ?? '';
        if (name.endsWith(suffix)) return metric;
        return { ...metric, descriptor: { ...metric.descriptor, name: `${name}${suffix}` } };
      }),
    })),
  };
}
