import { type Attributes, type Counter, type Histogram, metrics } from '@opentelemetry/api';

/** Buckets for what takes milliseconds, in seconds. */
const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** Instruments are made on first use, because the provider may be registered after this file is loaded. */
function once<Instrument>(make: () => Instrument): () => Instrument {
  let made: Instrument | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function seconds(name: string, description: string): () => Histogram {
  return once(() =>
    metrics
      .getMeter('causeway')
      .createHistogram(name, { unit: 's', description, advice: { explicitBucketBoundaries: SECONDS } }),
  );
}

function counter(name: string, description: string): () => Counter {
  return once(() => metrics.getMeter('causeway').createCounter(name, { description }));
}

const calls = seconds('rpc.server.call.duration', 'How long calls take, by method and code');
const commands = counter('causeway.commands', 'Commands, by aggregate and result');
const events = counter('causeway.events', 'Events that this process has stored, by stream and type');
const publishes = seconds('messaging.client.operation.duration', 'How long it takes to publish, by stream and result');
const handled = seconds('messaging.process.duration', 'How long consumers take for what they pulled, by consumer');
const delays = seconds(
  'causeway.projection.delay',
  "From the decision on a batch's oldest event until the view shows it, by view",
);
const parked = counter('causeway.consumer.parked', 'Messages that were given up, by consumer and reason');
const messages = counter('messaging.client.consumed.messages', 'Messages handled, by consumer and outcome');

/** Attribute objects are kept: making them anew for each record costs more than recording. */
const kept = new Map<string, Attributes>();

function attributes(key: string, make: () => Attributes): Attributes {
  let known = kept.get(key);
  if (known === undefined) {
    known = make();
    kept.set(key, known);
  }
  return known;
}

export function recordCall(method: string, code: string, durationMs: number): void {
  const labels = () => ({ 'rpc.method': method, 'rpc.response.status_code': code });
  calls().record(durationMs / 1_000, attributes(`call ${method} ${code}`, labels));
}

/** @param result the outcome of a command that was accepted, or the code of one that was not. */
export function countCommand(aggregate: string, result: string): void {
  commands().add(
    1,
    attributes(`command ${aggregate} ${result}`, () => ({ aggregate, result })),
  );
}

export function recordPublish(stream: string, result: string, durationMs: number): void {
  const labels = () => ({ 'messaging.system': 'nats', 'messaging.destination.name': stream, result });
  publishes().record(durationMs / 1_000, attributes(`publish ${stream} ${result}`, labels));
}

/** @param type the event's full name; its last part is what it is counted by. */
export function countEvent(stream: string, type: string): void {
  events().add(
    1,
    attributes(`event ${stream} ${type}`, () => ({ stream, type: type.slice(type.lastIndexOf('.') + 1) })),
  );
}

/** @param outcome whether it went well: `done` or `failed`. */
export function recordHandled(consumer: string, outcome: string, count: number, durationMs: number): void {
  const labels = () => ({ 'messaging.system': 'nats', 'messaging.consumer.group.name': consumer, outcome });
  const kept = attributes(`handled ${consumer} ${outcome}`, labels);
  handled().record(durationMs / 1_000, kept);
  messages().add(count, kept);
}

/** @param reason why messages were parked, as their dead letters say. */
export function countParked(consumer: string, reason: string): void {
  parked().add(
    1,
    attributes(`parked ${consumer} ${reason}`, () => ({ consumer, reason })),
  );
}

/** Records how long the oldest of these events, which a view has just come to show, was on its way. */
export function recordDelay(view: string, events: readonly { time: Date }[]): void {
  if (events.length === 0) return;
  const oldest = events.reduce((least, { time }) => Math.min(least, time.getTime()), Number.POSITIVE_INFINITY);
  delays().record(
    Math.max(0, Date.now() - oldest) / 1_000,
    attributes(`delay ${view}`, () => ({ view })),
  );
}
