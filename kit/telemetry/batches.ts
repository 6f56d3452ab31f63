import { ROOT_CONTEXT, SpanKind } from '@opentelemetry/api';
import { correlationOf, Header, type StoredMessage } from '../event.ts';
import { withCorrelation } from './correlation.ts';
import { recordHandled } from './metrics.ts';
import { contextFrom, inSpan, linksTo } from './tracing.ts';

/**
 * Handles a batch of messages, in a span of its own and counted. A single message is handled as a part of the trace
 * that published it; several have no one parent, so theirs is a trace of its own with a link to each of them.
 * @param consumer its name without the partition.
 */
export async function observedBatch(
  consumer: string,
  messages: readonly StoredMessage[],
  handle: () => Promise<void>,
): Promise<void> {
  const started = performance.now();
  let outcome = 'failed';
  try {
    await traced(consumer, messages, handle);
    outcome = 'done';
  } finally {
    recordHandled(consumer, outcome, messages.length, performance.now() - started);
  }
}

async function traced(
  consumer: string,
  messages: readonly StoredMessage[],
  handle: () => Promise<void>,
): Promise<void> {
  const [first] = messages;
  const kind = SpanKind.CONSUMER;
  const attributes = () => ({
    'messaging.system': 'nats',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.consumer.group.name': consumer,
    'messaging.destination.name': first?.stream ?? '',
    'messaging.batch.message_count': messages.length,
    ...(messages.length === 1 ? { 'messaging.message.id': first?.headers.get(Header.id) ?? '' } : {}),
  });
  if (first !== undefined && messages.length === 1) {
    const published = contextFrom((name) => first.headers.get(name));
    const parent = withCorrelation(published, correlationOf(first));
    return inSpan(`process ${consumer}`, { kind, attributes, parent }, handle);
  }
  const links = linksTo(messages);
  if (links.length === 0) return handle();
  return inSpan(`process ${consumer}`, { kind, attributes, parent: ROOT_CONTEXT, links }, handle);
}
