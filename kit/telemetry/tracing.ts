import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  type Link,
  propagation,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { describedError } from './described-error.ts';

/** What a span is made with. Names and attributes follow the semantic conventions of OpenTelemetry. */
export type SpanWords = {
  kind: SpanKind;
  /** Made only where the span is recorded. */
  attributes: () => Attributes;
  /** Left out: what is being done now. */
  parent?: Context;
  links?: Link[];
};

/**
 * Runs within a span of its own, which ends with it and keeps its error. Where what is being done is not recorded,
 * there is nothing to make: it goes on under the span that is there.
 */
export async function inSpan<Result>(
  name: string,
  { kind, attributes, parent = context.active(), links = [] }: SpanWords,
  run: () => Promise<Result>,
): Promise<Result> {
  const around = trace.getSpanContext(parent);
  if (around !== undefined && isSpanContextValid(around) && !isRecorded(around)) return context.with(parent, run);
  const span = trace.getTracer('causeway').startSpan(name, { kind, links }, parent);
  if (span.isRecording()) span.setAttributes(attributes());
  try {
    return await context.with(trace.setSpan(parent, span), run);
  } catch (error) {
    if (span.isRecording()) {
      const { type: name, message, stack } = describedError(error);
      span.recordException({ name, message, ...(stack === undefined ? {} : { stack }) });
      span.setStatus({ code: SpanStatusCode.ERROR, message });
    }
    throw error;
  } finally {
    span.end();
  }
}

/**
 * Runs what is asked of the database within a span of its own, where what is being done is recorded.
 * @param operation as the database calls it, such as `find`.
 */
export async function inDatabaseSpan<Result>(
  operation: string,
  { dbName, collectionName }: { dbName: string; collectionName: string },
  run: () => Promise<Result>,
): Promise<Result> {
  if (trace.getActiveSpan()?.isRecording() !== true) return run();
  const attributes = () => ({
    'db.system.name': 'mongodb',
    'db.operation.name': operation,
    'db.namespace': dbName,
    'db.collection.name': collectionName,
  });
  return inSpan(`${operation} ${collectionName}`, { kind: SpanKind.CLIENT, attributes }, run);
}

/** A span names no more of the messages that it is about. */
const MAX_LINKS = 128;
/** A traceparent ends with its flags. Most often nothing is recorded, and then nothing has to be made of it. */
const RECORDED = /[13579bdf]$/;

/** The recorded among the spans that published these messages. */
export function linksTo(messages: Iterable<{ headers: { get(name: string): string } }>): Link[] {
  const links: Link[] = [];
  for (const { headers } of messages) {
    if (links.length === MAX_LINKS) break;
    if (!RECORDED.test(headers.get('traceparent'))) continue;
    const published = trace.getSpanContext(contextFrom((name) => headers.get(name)));
    if (published !== undefined) links.push({ context: published });
  }
  return links;
}

function isRecorded(span: SpanContext): boolean {
  return (span.traceFlags & TraceFlags.SAMPLED) !== 0;
}

/** The W3C headers that carry what is being done now to whoever goes on with it. */
export function traceHeaders(): { traceparent: string; tracestate: string } {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return { traceparent: carrier.traceparent ?? '', tracestate: carrier.tracestate ?? '' };
}

/** What another process was doing, from the headers that it sent. */
export function contextFrom(header: (name: string) => string | undefined): Context {
  return propagation.extract(context.active(), header, fromHeaders);
}

const fromHeaders: TextMapGetter<(name: string) => string | undefined> = {
  get: (header, name) => {
    const value = header(name);
    return value === '' ? undefined : value;
  },
  keys: () => ['traceparent', 'tracestate'],
};
