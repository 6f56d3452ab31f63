import { randomUUID } from 'node:crypto';
import { type DescMethod, getOption } from '@bufbuild/protobuf';
import { type Context, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { open } from '#gen/causeway/rpc/v1/options_pb.js';
import { callersFirst } from '../callers-first.ts';
import { CallError, type Code } from '../errors.ts';
import { withCorrelation } from '../telemetry/correlation.ts';
import type { Logger } from '../telemetry/logging.ts';
import { recordCall } from '../telemetry/metrics.ts';
import { contextFrom } from '../telemetry/tracing.ts';
import { type Call, NOBODY } from './call.ts';
import { callErrorOf, PassedOnError } from './errors.ts';
import type { Identity } from './identity.ts';
import type { CallLimit } from './limit.ts';

/** What a door knows of a call before it is known who calls. */
export type Incoming = {
  header(name: string): string | undefined;
  correlationId: string;
  /** Aborted when the caller goes away, or when the server has to stop. */
  signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds since 1970. */
  deadline: number | undefined;
};

export type PipelineParts = {
  identity: Identity;
  limit: CallLimit;
  logger: Logger;
};

/** Ids from outside are bounded and printable, because they stand in event headers and logs. */
const CORRELATION_ID = /^[\x21-\x7e]{1,128}$/;

export const CORRELATION_HEADER = 'x-correlation-id';

/** What a signal is aborted with when it is not the caller who ends the call. */
export class ServerStopping extends Error {
  override name = 'ServerStopping';
}

/** What a signal is aborted with when the call's deadline has passed, where its server says so. */
export class DeadlinePassed extends Error {
  override name = 'DeadlinePassed';
}

/** The correlation id that the caller gives, or a new one. */
export function correlationIdOf(given: string | undefined): string {
  return given !== undefined && CORRELATION_ID.test(given) ? given : randomUUID();
}

/**
 * The one way that every call takes, whatever its protocol: trace, authenticate, limit, carry out, translate the
 * error. Throws CallError or PassedOnError and nothing else.
 */
export class Pipeline {
  readonly #parts: PipelineParts;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  /** @param carryOut decodes and validates what was asked, does it, and encodes the answer. */
  async unary<Answer>(
    method: DescMethod,
    incoming: Incoming,
    carryOut: (call: Call) => Promise<Answer>,
  ): Promise<Answer> {
    const observed = this.#observe(method, incoming);
    try {
      const answer = await callersFirst.answering(() =>
        observed.run(() => endedBy(this.#admit(method, incoming).then(carryOut), incoming)),
      );
      observed.end('OK');
      return answer;
    } catch (error) {
      throw observed.failed(error);
    }
  }

  async *stream<Answer>(
    method: DescMethod,
    incoming: Incoming,
    carryOut: (call: Call) => AsyncIterable<Answer>,
  ): AsyncGenerator<Answer> {
    const observed = this.#observe(method, incoming);
    let answers: AsyncIterator<Answer> | undefined;
    let close = () => {};
    try {
      const call = await observed.run(() => endedBy(this.#admit(method, incoming), incoming));
      close = this.#parts.limit.open(call.caller.subject);
      // Also where nobody asks for the next answer any more.
      incoming.signal.addEventListener('abort', close, { once: true });
      const opened = observed.run(() => carryOut(call)[Symbol.asyncIterator]());
      answers = opened;
      for (;;) {
        const { done, value } = await observed.run(() => endedBy(opened.next(), incoming));
        if (done === true) break;
        yield value;
      }
      observed.end('OK');
    } catch (error) {
      throw observed.failed(error);
    } finally {
      close();
      observed.end('CANCELLED');
      // Not awaited: what the generator waits for may never come, and its signal has told it that nobody reads on.
      void answers?.return?.().catch(() => {});
    }
  }

  /** Who has a token is who it says, for what is open too; those without one have a share of the calls together. */
  async #admit(method: DescMethod, incoming: Incoming): Promise<Call> {
    const authorization = incoming.header('authorization') ?? '';
    const isNobody = authorization === '' && getOption(method, open);
    const caller = isNobody ? NOBODY : await this.#parts.identity.authenticate(authorization);
    this.#parts.limit.admit(caller.subject);
    // To find out who calls may have taken until nobody waits any more.
    if (incoming.signal.aborted) throw whyEnded(incoming);
    const { correlationId, signal, deadline } = incoming;
    return { caller, authorization, correlationId, signal, deadline };
  }

  #observe(method: DescMethod, incoming: Incoming): ObservedCall {
    return new ObservedCall(`${method.parent.typeName}/${method.name}`, incoming, this.#parts.logger);
  }
}

/**
 * How much a call's end matters to whoever reads the log. What anybody can cause in any number, with a wrong token or
 * with a loop, is not told unless asked for; no more is what went well.
 */
const levels: Record<'OK' | Code, 'debug' | 'info' | 'warn' | 'error'> = {
  OK: 'debug',
  CANCELLED: 'debug',
  UNAUTHENTICATED: 'debug',
  RESOURCE_EXHAUSTED: 'debug',
  NOT_FOUND: 'debug',
  UNIMPLEMENTED: 'debug',
  INVALID_ARGUMENT: 'info',
  PERMISSION_DENIED: 'info',
  ALREADY_EXISTS: 'info',
  FAILED_PRECONDITION: 'info',
  ABORTED: 'info',
  DEADLINE_EXCEEDED: 'info',
  UNAVAILABLE: 'warn',
  INTERNAL: 'error',
};

/** A call's span, correlation id, and place in the metrics and the log. */
class ObservedCall {
  readonly #name: string;
  readonly #logger: Logger;
  readonly #started = performance.now();
  readonly #span: Span;
  readonly #context: Context;
  #ended = false;

  constructor(name: string, incoming: Incoming, logger: Logger) {
    this.#name = name;
    this.#logger = logger;
    const parent = contextFrom(incoming.header);
    const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': name };
    this.#span = trace.getTracer('causeway').startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
    this.#context = withCorrelation(trace.setSpan(parent, this.#span), incoming.correlationId);
  }

  run<Result>(work: () => Result): Result {
    return context.with(this.#context, work);
  }

  /** Ends once; what comes later is not heard. */
  end(code: 'OK' | Code): void {
    this.#end(code, {});
  }

  /** Ends with an error, and gives what the caller is told of it. */
  failed(error: unknown): CallError | PassedOnError {
    const told = error instanceof PassedOnError ? error : callErrorOf(error);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: told.message });
    const level = levels[told.code];
    const isOurs = level === 'error' || level === 'warn';
    this.#end(told.code, { message: told.message, ...(isOurs && told.cause !== undefined ? { err: told.cause } : {}) });
    return told;
  }

  #end(code: 'OK' | Code, said: object): void {
    if (this.#ended) return;
    this.#ended = true;
    const durationMs = performance.now() - this.#started;
    recordCall(this.#name, code, durationMs);
    if (this.#span.isRecording()) this.#span.setAttribute('rpc.response.status_code', code);
    this.#span.end();
    this.run(() => this.#logger[levels[code]]({ method: this.#name, code, durationMs, ...said }, 'called'));
  }
}

/** The result, or an error as soon as nobody waits for it any more: what was committed stays committed. */
async function endedBy<Result>(result: Promise<Result>, incoming: Incoming): Promise<Result> {
  const { signal } = incoming;
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = () => reject(whyEnded(incoming));
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([result, ended]);
  } finally {
    signal.removeEventListener('abort', end);
    // Whoever was not waited for must not become an unhandled rejection.
    result.catch(() => {});
  }
}

function whyEnded({ deadline, signal }: Incoming): CallError {
  if (signal.reason instanceof ServerStopping) {
    return new CallError('UNAVAILABLE', 'the server stops, try again', {
      reason: 'SERVER_STOPPING',
      retryAfterMs: 1_000,
    });
  }
  // A timer may be a little ahead of the clock: where the server knows, the clock is not asked.
  return signal.reason instanceof DeadlinePassed || (deadline !== undefined && Date.now() >= deadline)
    ? new CallError('DEADLINE_EXCEEDED', 'the deadline of the call has passed; what was committed stays committed')
    : new CallError('CANCELLED', 'the caller went away');
}
