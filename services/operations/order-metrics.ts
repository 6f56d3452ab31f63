import { type BatchObservableResult, metrics } from '@opentelemetry/api';
import type { Logger } from '#kit/telemetry/logging.ts';
import { type Durations, quantile } from './views/fulfilments/fulfilment-figures.ts';
import type { Pulse } from './views/pulse/pulse-queries.ts';

export type OrderFigures = {
  open(): Promise<{ open: number; needingAttention: number; overdue: number }>;
  pulse(): Promise<Pulse>;
  latencies(): Promise<{ confirmed: Durations; completed: Durations }>;
};

const QUANTILES = [0.5, 0.99];
const STEPS = ['placed', 'confirmed', 'shipped', 'completed', 'cancelled'] as const;
const MILLISECONDS = 1_000;

/**
 * Observes how orders fare, until the returned function is called: how many wait and for whom, how many came and how they ended
 * in the last hour, and how long the latest took. The views are asked when somebody reads the metrics; every replica says the same.
 */
export function observeOrders(figures: OrderFigures, logger: Logger): () => void {
  const meter = metrics.getMeter('causeway');
  const gauge = (name: string, description: string, unit = '') =>
    meter.createObservableGauge(name, { description, unit });
  const open = gauge('causeway.fulfilments.open', 'Fulfilments that are not at their end');
  const attention = gauge('causeway.fulfilments.needing_attention', 'Fulfilments that wait for an operator');
  const overdue = gauge(
    'causeway.fulfilments.overdue',
    'Fulfilments whose deadline has passed, and that are not undone',
  );
  const ended = gauge('causeway.fulfilments.ended', 'Fulfilments that ended in the last hour, by outcome');
  const lastHour = gauge('causeway.orders.last_hour', 'Orders that came this far in the last hour');
  const took = gauge('causeway.fulfilments.took', 'How long the latest 500 that were completed took', 's');
  const observed = [open, attention, overdue, ended, lastHour, took];

  const observe = async (result: BatchObservableResult) => {
    try {
      const [counts, { minutes, outcomes }, times] = await Promise.all([
        figures.open(),
        figures.pulse(),
        figures.latencies(),
      ]);
      result.observe(open, counts.open);
      result.observe(attention, counts.needingAttention);
      result.observe(overdue, counts.overdue);
      for (const { outcome, orders } of outcomes) result.observe(ended, orders, { outcome });
      for (const step of STEPS) {
        const orders = minutes.reduce((sum, minute) => sum + minute[step], 0);
        result.observe(lastHour, orders, { step });
      }
      for (const [until, durations] of Object.entries(times)) {
        for (const share of QUANTILES) {
          const tookMs = quantile(durations, share);
          if (tookMs !== undefined) result.observe(took, tookMs / MILLISECONDS, { until, quantile: String(share) });
        }
      }
    } catch (error) {
      logger.warn({ err: error }, 'the orders can not be observed');
    }
  };
  meter.addBatchObservableCallback(observe, observed);
  return () => meter.removeBatchObservableCallback(observe, observed);
}
