import { context, createContextKey } from '@opentelemetry/api';

const KEY = createContextKey('causeway.correlation-id');

/** Runs with a correlation id that every log line of it carries. */
export function withCorrelation<Result>(correlationId: string, run: () => Result): Result {
  return context.with(context.active().setValue(KEY, correlationId), run);
}

/** The correlation id of what is being done now. */
export function correlationId(): string | undefined {
  return context.active().getValue(KEY) as string | undefined;
}
