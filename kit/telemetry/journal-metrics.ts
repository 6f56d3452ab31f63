import { type BatchObservableResult, metrics, type ObservableResult } from '@opentelemetry/api';
import type { Broker } from '../broker.ts';
import { DEAD_LETTERS, parkedByConsumer } from '../dead-letters.ts';
import type { JournalDeclaration } from '../streams.ts';
import type { Logger } from './logging.ts';

/** A stream that is fuller than this needs an operator: at its limit it refuses every command. */
const ALARM_SHARE = 0.8;
const ALARM_INTERVAL_MS = 30_000;

/**
 * Observes a service's journal until the returned function is called: how full its stream and that of the dead letters
 * are (with a warning in the log from 80 % on), and how far each of its consumers lags behind, whichever process runs it.
 * The broker is asked when somebody reads the metrics.
 */
export function observeJournal(
  broker: Broker,
  { stream }: JournalDeclaration,
  logger: Logger,
  { alarmIntervalMs = ALARM_INTERVAL_MS }: { alarmIntervalMs?: number } = {},
): () => void {
  const meter = metrics.getMeter('causeway');
  const gauge = (name: string, description: string) => meter.createObservableGauge(name, { description });
  const bytes = gauge('causeway.stream.bytes', 'Bytes that a stream holds');
  const limit = gauge('causeway.stream.bytes.limit', 'Bytes at which a stream refuses more');
  const lag = gauge('causeway.consumer.lag', 'Messages that a consumer has not been given yet');
  const unacknowledged = gauge('causeway.consumer.unacknowledged', 'Messages that a consumer has at hand');
  const redelivered = gauge('causeway.consumer.redelivered', 'Messages at hand that came more than once');
  const observed = [bytes, limit, lag, unacknowledged, redelivered];

  const observe = async (result: BatchObservableResult) => {
    if (!broker.connected()) return;
    try {
      for (const name of [stream, DEAD_LETTERS]) {
        const { config, state } = await broker.manager.streams.info(name);
        result.observe(bytes, state.bytes, { stream: name });
        result.observe(limit, config.max_bytes, { stream: name });
      }
      for await (const consumer of broker.manager.consumers.list(stream)) {
        // Those without a name of ours are somebody's ordered reader: one name each, and gone soon.
        if (consumer.config.durable_name === undefined) continue;
        const labels = { stream, consumer: consumer.name };
        result.observe(lag, consumer.num_pending, labels);
        result.observe(unacknowledged, consumer.num_ack_pending, labels);
        result.observe(redelivered, consumer.num_redelivered, labels);
      }
    } catch (error) {
      logger.warn({ err: error, stream }, 'the journal can not be observed');
    }
  };
  meter.addBatchObservableCallback(observe, observed);

  const alarm = setInterval(async () => {
    for (const name of [stream, DEAD_LETTERS]) {
      // What can't be asked now is asked again soon.
      const info = await broker.manager.streams.info(name).catch(() => undefined);
      const share = info === undefined ? 0 : info.state.bytes / info.config.max_bytes;
      if (share < ALARM_SHARE) continue;
      logger.warn({ stream: name, share }, 'the stream is nearly full; at its limit it refuses more');
    }
  }, alarmIntervalMs);
  alarm.unref();

  return () => {
    clearInterval(alarm);
    meter.removeBatchObservableCallback(observe, observed);
  };
}

/**
 * Observes what the consumers of a service have parked, whichever journals they follow, until the returned function is called.
 * @param consumers those that the service has now: none parked is said of them too. What older ones have parked is counted as well.
 */
export function observeDeadLetters(
  broker: Broker,
  service: string,
  consumers: readonly string[],
  logger: Logger,
): () => void {
  const deadLetters = metrics.getMeter('causeway').createObservableGauge('causeway.dead_letters', {
    description: 'Messages that a consumer has given up and that are parked',
  });
  const observe = async (result: ObservableResult) => {
    if (!broker.connected()) return;
    try {
      const parked = await parkedByConsumer(broker, service);
      for (const consumer of consumers) result.observe(parked.get(consumer) ?? 0, { consumer });
      for (const [consumer, count] of parked) if (!consumers.includes(consumer)) result.observe(count, { consumer });
    } catch (error) {
      logger.warn({ err: error, service }, 'the dead letters can not be observed');
    }
  };
  deadLetters.addCallback(observe);
  return () => deadLetters.removeCallback(observe);
}

/** Observes how many partitions of a service this process owns, until the returned function is called. */
export function observePartitions(service: string, owned: () => readonly number[]): () => void {
  const gauge = metrics.getMeter('causeway').createObservableGauge('causeway.partitions.owned', {
    description: 'Partitions that this process owns; of all replicas of a service together 8',
  });
  const observe = (result: ObservableResult) => result.observe(owned().length, { service });
  gauge.addCallback(observe);
  return () => gauge.removeCallback(observe);
}
