import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  type SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api';

/** What a span is made with. Names and attributes follow the semantic conventions of OpenTelemetry. */
export type SpanWords = {
  kind: SpanKind;
  attributes: Attributes;
  /** Left out: what is being done now. */
  parent?: Context;
  links?: Link[];
};

/** Runs within a span of its own, which ends with it and keeps its error. */
export async function inSpan<Result>(
  name: string,
  { kind, attributes, parent = context.active(), links = [] }: SpanWords,
  run: () => Promise<Result>,
): Promise<Result> {
  const span = trace.getTracer('causeway').startSpan(name, { kind, attributes, links }, parent);
  try {
    return await context.with(trace.setSpan(parent, span), run);
  } catch (error) {
    if (span.isRecording()) span.recordException(error instanceof Error ? error : String(error));
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    span.end();
  }
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
