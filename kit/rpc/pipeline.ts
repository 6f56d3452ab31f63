import { randomUUID } from 'node:crypto';
import type { DescMessage, DescMethod, MessageShape } from '@bufbuild/protobuf';
import { context, propagation, SpanKind, SpanStatusCode, type TextMapGetter, trace } from '@opentelemetry/api';
import { CallError } from '../errors.ts';
import { withCorrelation } from '../telemetry/correlation.ts';
import type { Logger } from '../telemetry/logging.ts';
import { recordCall } from '../telemetry/metrics.ts';
import type { AnyStream, AnyUnary, Call } from './call.ts';
import { callErrorOf, PassedOnError } from './errors.ts';
import type { Identity } from './identity.ts';
import type { CallLimit } from './limit.ts';
import { validate } from './validation.ts';

/** What a door knows of a call before it is known who calls. */
export type Incoming = {
  header(name: string): string | undefined;
  /** Address of who called, for those who have no token. */
  peer: string;
  signal: AbortSignal;
  /** Milliseconds since 1970. */
  deadline: number | undefined;
};

export type PipelineParts = {
  identity: Identity;
  limit: CallLimit;
  logger: Logger;
};

/** Ids from outside are bounded and printable, because they stand in event headers and logs. */
const CORRELATION_ID = /^[\x21-\x7e]{1,128}$/;

const getter: TextMapGetter<Incoming> = {
  get: (incoming, name) => incoming.header(name),
  keys: () => ['traceparent', 'tracestate'],
};

/** The correlation id that the caller gives, or a new one. */
export function correlationIdOf({ header }: Incoming): string {
  const given = header('x-correlation-id');
  return given !== undefined && CORRELATION_ID.test(given) ? given : randomUUID();
}

/**
 * The one way that every call takes, whatever its protocol: authenticate, limit, trace, validate, carry out,
 * translate the error. Throws CallError or PassedOnError and nothing else.
 */
export class Pipeline {
  readonly #parts: PipelineParts;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  /** @param decode undefined where the request is passed on undecoded, to be validated by who owns it. */
  async unary(
    method: DescMethod,
    implementation: AnyUnary,
    request: MessageShape<DescMessage>,
    incoming: Incoming,
    correlationId: string,
  ): Promise<MessageShape<DescMessage>> {
    return this.#observed(method, incoming, correlationId, async () => {
      const call = await this.#admit(incoming, correlationId);
      validate(method.input, request);
      return await endedBy(implementation(request, call), incoming);
    });
  }

  async *stream(
    method: DescMethod,
    implementation: AnyStream,
    request: MessageShape<DescMessage>,
    incoming: Incoming,
    correlationId: string,
  ): AsyncGenerator<MessageShape<DescMessage>> {
    try {
      const call = await this.#admit(incoming, correlationId);
      validate(method.input, request);
      yield* implementation(request, call);
    } catch (error) {
      throw this.#translated(error);
    }
    if (incoming.signal.aborted) throw whyEnded(incoming);
  }

  async #admit(incoming: Incoming, correlationId: string): Promise<Call> {
    const authorization = incoming.header('authorization');
    const checked = this.#parts.identity.authenticate(authorization);
    const caller = checked instanceof Promise ? await checked : checked;
    await this.#parts.limit.admit(caller.subject);
    return {
      caller,
      token: authorization ?? '',
      correlationId,
      signal: incoming.signal,
      deadline: incoming.deadline,
    };
  }

  async #observed<Result>(
    method: DescMethod,
    incoming: Incoming,
    correlationId: string,
    run: () => Promise<Result>,
  ): Promise<Result> {
    const name = `${method.parent.typeName}/${method.name}`;
    const started = performance.now();
    const parent = propagation.extract(context.active(), incoming, getter);
    const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': name };
    const span = trace.getTracer('causeway').startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
    try {
      const result = await context.with(trace.setSpan(parent, span), () => withCorrelation(correlationId, run));
      recordCall(name, 'OK', performance.now() - started);
      return result;
    } catch (error) {
      const translated = context.with(trace.setSpan(parent, span), () => this.#translated(error));
      const code = translated instanceof CallError ? translated.code : String(translated.status.code);
      span.setAttribute('rpc.response.status_code', code);
      span.setStatus({ code: SpanStatusCode.ERROR, message: translated.message });
      recordCall(name, code, performance.now() - started);
      throw translated;
    } finally {
      span.end();
    }
  }

  #translated(error: unknown): CallError | PassedOnError {
    return error instanceof PassedOnError ? error : callErrorOf(error, this.#parts.logger);
  }
}

/** The result, or an error as soon as nobody waits for it any more: what was committed stays committed. */
async function endedBy<Result>(result: Promise<Result>, incoming: Incoming): Promise<Result> {
  const { signal } = incoming;
  if (signal.aborted) throw whyEnded(incoming);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = () => reject(whyEnded(incoming));
  signal.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([result, ended]);
  } finally {
    signal.removeEventListener('abort', end);
    // Whoever was not waited for must not become an unhandled rejection.
    result.catch(() => {});
  }
}

function whyEnded({ deadline }: Incoming): CallError {
  return deadline !== undefined && Date.now() >= deadline
    ? new CallError('DEADLINE_EXCEEDED', 'the deadline of the call has passed; what was committed stays committed')
    : new CallError('CANCELLED', 'the caller went away');
}
