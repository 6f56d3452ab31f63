import { trace } from '@opentelemetry/api';
import { pino } from 'pino';
import { currentSubject } from './correlation.ts';
import { describedError } from './described-error.ts';

/** What is used of a logger: fields first, then a sentence. */
export type Logger = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export type LogLevel = (typeof logLevels)[number];

/** Personal data and secrets that must not be in a log, whoever passes them in. */
const REDACTED = ['email', 'ship_to', 'shipTo', 'token', 'authorization', 'password', 'secret'];

/** JSON lines on stderr; each with the trace, the correlation id and the aggregate of what is being done. */
export function createLogger(
  name: string,
  level: LogLevel,
  destination: NodeJS.WritableStream = process.stderr,
): Logger {
  return pino(
    {
      name,
      level,
      base: { service: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describedError(error) },
      redact: { paths: REDACTED.flatMap((field) => [field, `*.${field}`]), censor: '[redacted]' },
      mixin: () => {
        const span = trace.getActiveSpan()?.spanContext();
        const { correlationId, aggregate } = currentSubject() ?? {};
        return {
          ...(span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId }),
          ...(correlationId === undefined ? {} : { correlation_id: correlationId }),
          ...(aggregate === undefined ? {} : { aggregate }),
        };
      },
    },
    destination as pino.DestinationStream,
  );
}

/** Says nothing; for tests. */
export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
