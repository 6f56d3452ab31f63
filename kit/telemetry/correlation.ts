import { type Context, context, createContextKey } from '@opentelemetry/api';

const KEY = createContextKey('causeway.correlation-id');

/** A context in which every log line carries this correlation id. */
export function withCorrelation(parent: Context, correlationId: string): Context {
  return parent.setValue(KEY, correlationId);
}

/** The correlation id of what is being done now. */
export function correlationId(): string | undefined {
  return context.active().getValue(KEY) as string | undefined;
}
