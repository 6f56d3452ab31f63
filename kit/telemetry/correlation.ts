import { type Context, context, createContextKey } from '@opentelemetry/api';

/** What joins the log lines of one act, beside its trace. */
export type Subject = {
  /** Joins everything that follows from one act of a caller. */
  correlationId: string;
  /** The aggregate that it is about, such as `order 00000000-...`; known only once it has been read from the request. */
  aggregate?: string;
};

const KEY = createContextKey('causeway.subject');

/** A context in which every log line carries this correlation id. */
export function withCorrelation(parent: Context, correlationId: string): Context {
  return parent.setValue(KEY, { correlationId } satisfies Subject);
}

/** Says which aggregate the current act is about: its later log lines carry it, also those written further up. */
export function aboutAggregate(name: string, key: string): void {
  const subject = currentSubject();
  if (subject !== undefined) subject.aggregate = `${name} ${key}`;
}

/** What is being done now is about this. */
export function currentSubject(): Subject | undefined {
  return context.active().getValue(KEY) as Subject | undefined;
}
