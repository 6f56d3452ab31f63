import { setTimeout as delay } from 'node:timers/promises';
import { type DescMethod, type DescService, fromBinary, toBinary } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import {
  type CallOptions,
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { SpanKind } from '@opentelemetry/api';
import { CallError } from '../errors.ts';
import type { Health } from '../lifecycle.ts';
import { inSpan, traceHeaders } from '../telemetry/tracing.ts';
import { asBuffer } from './bytes.ts';
import type { Call } from './call.ts';
import type { Answers, Door } from './door.ts';
import { callErrorOf, PassedOnError } from './errors.ts';
import { CORRELATION_HEADER } from './pipeline.ts';
import { replicasAt } from './replica-addresses.ts';

/**
 * A service that works answers within 2 s, also while its broker or database is away; only a query that waits for a
 * view may take longer. Whoever wants to wait for that longer than this says so with a deadline: without one, a service
 * that hangs is taken for one that is away.
 */
const UNANSWERED_MS = 5_000;
const HEALTH_TIMEOUT_MS = 1_500;
const HEALTH_PATH = '/grpc.health.v1.Health/Check';
/** How often a read is asked for whose replica went away before it answered, and how often which replica is ready. */
const MAX_ATTEMPTS = 3;
const RETRY_MS = 100;

const CHANNEL = {
  // Each replica that the name stands for has its share of the calls.
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.keepalive_time_ms': 10_000,
  // A process that stands still for less time ends no call by that.
  'grpc.keepalive_timeout_ms': UNANSWERED_MS,
};

/** A service in another process, or in several that share a name, over gRPC. */
export class RemoteService {
  readonly #client: Client;

  readonly #unansweredMs: number;

  /** @param url `http://host:port`. */
  constructor(url: string, { unansweredMs = UNANSWERED_MS }: { unansweredMs?: number } = {}) {
    this.#unansweredMs = unansweredMs;
    this.#client = new Client(replicasAt(url), credentials.createInsecure(), CHANNEL);
  }

  /** The door of a service behind this connection: bytes go through as they are. */
  door(service: DescService): Door {
    const bytes: Answers<Uint8Array> = {
      unary: (method, request, call) => this.#unary(method, request, call),
      stream: (method, request, call) => this.#stream(method, request, call),
    };
    return {
      service,
      bytes,
      messages: {
        unary: async (method, request, call) =>
          fromBinary(method.output, await bytes.unary(method, toBinary(method.input, request), call)),
        async *stream(method, request, call) {
          for await (const answer of bytes.stream(method, toBinary(method.input, request), call)) {
            yield fromBinary(method.output, answer);
          }
        },
      },
    };
  }

  /** What the service says of itself (grpc.health.v1): ready where a replica is; or that nobody answers within 1.5 s. */
  async health(name: string): Promise<Health> {
    const deadline = Date.now() + HEALTH_TIMEOUT_MS;
    let found = await this.#healthOfNext(name, deadline);
    for (let attempt = 1; attempt < MAX_ATTEMPTS && !found.ready && Date.now() < deadline; attempt++) {
      found = await this.#healthOfNext(name, deadline);
    }
    return found;
  }

  #healthOfNext(name: string, deadline: number): Promise<Health> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(HEALTH_PATH, asBuffer, asBuffer, Buffer.alloc(0), { deadline }, (error, answer) => {
        // HealthCheckResponse.status is SERVING: field 1, value 1.
        const serving = error === null && answer?.equals(Buffer.of(8, 1)) === true;
        const reason = `${name}: ${error === null ? 'not serving' : error.details}`;
        resolve(serving ? { ready: true, reasons: [] } : { ready: false, reasons: [reason] });
      });
    });
  }

  close(): void {
    this.#client.close();
  }

  #unary(method: DescMethod, request: Uint8Array, call: Call): Promise<Uint8Array> {
    const name = pathOf(method).slice(1);
    const attributes = () => ({ 'rpc.system.name': 'grpc', 'rpc.method': name });
    return inSpan(name, { kind: SpanKind.CLIENT, attributes }, async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#send(method, request, call);
        } catch (error) {
          if (attempt === MAX_ATTEMPTS || !mayBeAskedAgain(error as ServiceError, method, call)) {
            throw passedOn(error as ServiceError, method, call);
          }
        }
        await delay(RETRY_MS);
      }
    });
  }

  async #send(method: DescMethod, request: Uint8Array, call: Call): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const options = { deadline: call.deadline ?? Date.now() + this.#unansweredMs };
    const sent = this.#client.makeUnaryRequest(
      pathOf(method),
      asBuffer,
      asBuffer,
      request,
      metadataOf(call),
      options,
      (error, answer) => (error === null ? resolve(answer as Uint8Array) : reject(error)),
    );
    const cancel = () => sent.cancel();
    call.signal.addEventListener('abort', cancel, { once: true });
    try {
      return await promise;
    } finally {
      call.signal.removeEventListener('abort', cancel);
    }
  }

  async *#stream(method: DescMethod, request: Uint8Array, call: Call): AsyncGenerator<Uint8Array> {
    const options: CallOptions = call.deadline === undefined ? {} : { deadline: call.deadline };
    const answers: ClientReadableStream<Uint8Array> = this.#client.makeServerStreamRequest(
      pathOf(method),
      asBuffer,
      asBuffer,
      request,
      metadataOf(call),
      options,
    );
    const cancel = () => answers.cancel();
    call.signal.addEventListener('abort', cancel, { once: true });
    try {
      for await (const answer of answers) yield answer as Uint8Array;
    } catch (error) {
      throw passedOn(error as ServiceError, method, call);
    } finally {
      call.signal.removeEventListener('abort', cancel);
      answers.cancel();
    }
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function metadataOf({ authorization, correlationId }: Call): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', authorization);
  metadata.set(CORRELATION_HEADER, correlationId);
  const { traceparent, tracestate } = traceHeaders();
  if (traceparent !== '') metadata.set('traceparent', traceparent);
  if (tracestate !== '') metadata.set('tracestate', tracestate);
  return metadata;
}

/**
 * Whether its replica went away before it answered, and nothing changes where it had done it all the same. A call that no
 * replica has begun is sent to another by the library, whatever it is about; one that may have been begun is its caller's.
 */
function mayBeAskedAgain(error: ServiceError, { idempotency }: DescMethod, { signal }: Call): boolean {
  return (
    error.code === status.UNAVAILABLE &&
    !isAnswer(error) &&
    idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS &&
    !signal.aborted
  );
}

/** The service's answers carry a correlation id, as every answer of a door. */
function isAnswer({ metadata }: ServiceError): boolean {
  return metadata.get(CORRELATION_HEADER).length > 0;
}

/**
 * What the service answered, as it is; or, where it did not, what is to be said of that. The library's own words, with
 * addresses in them, are for nobody outside.
 */
function passedOn(error: ServiceError, method: DescMethod, { deadline }: Call): CallError | PassedOnError {
  const isLate = error.code === status.DEADLINE_EXCEEDED;
  // Without a deadline of the caller's it was ours, and the service was quick to see it at best.
  if (isLate && deadline === undefined) return away(error, method);
  if (isAnswer(error)) return new PassedOnError(error);
  if (isLate) return new CallError('DEADLINE_EXCEEDED', 'the deadline of the call has passed', { cause: error });
  if (error.code === status.CANCELLED) return new CallError('CANCELLED', 'the call was given up', { cause: error });
  if (error.code === status.UNAVAILABLE) return away(error, method);
  if (error.code === status.UNIMPLEMENTED) {
    return new CallError('UNIMPLEMENTED', `${pathOf(method)} is not there yet`, { cause: error });
  }
  return callErrorOf(error);
}

function away(cause: ServiceError, { parent }: DescMethod): CallError {
  return new CallError('UNAVAILABLE', `${parent.typeName} is away, try again`, {
    reason: 'SERVICE_AWAY',
    retryAfterMs: 1_000,
    cause,
  });
}
