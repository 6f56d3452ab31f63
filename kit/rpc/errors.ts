import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { anyPack, durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code as ConnectCode, ConnectError } from '@connectrpc/connect';
import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '#gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '#gen/google/rpc/status_pb.js';
import { CallError, type Code, UnavailableError } from '../errors.ts';
import type { Logger } from '../telemetry/logging.ts';

/** Canonical codes by number, the same in gRPC and Connect. */
export const codeNumbers: Record<Code, status & ConnectCode> = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as Record<Code, status & ConnectCode>;

const DOMAIN = 'causeway';
const RETRY_AFTER_OUTAGE_MS = 1_000;

/** Errors by which the libraries of broker and database say that nobody is there. */
const OUTAGES = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoServerSelectionError',
  'MongoTopologyClosedError',
  'MongoNotConnectedError',
  'MongoPoolClearedError',
  'PoolClearedOnNetworkError',
  'ConnectionError',
  'ClosedConnectionError',
  'DrainingConnectionError',
  'NoRespondersError',
  'RequestError',
  'TimeoutError',
  'StreamNotFoundError',
]);

/**
 * What a caller is told of an error. Whatever nobody foresaw becomes INTERNAL and is logged with its stack; the
 * caller sees neither stack nor cause.
 */
export function callErrorOf(error: unknown, logger: Logger): CallError {
  if (error instanceof CallError) return error;
  if (error instanceof UnavailableError || (error instanceof Error && OUTAGES.has(error.name))) {
    return new CallError('UNAVAILABLE', 'a part of the platform is away, try again', {
      reason: 'DEPENDENCY_AWAY',
      retryAfterMs: RETRY_AFTER_OUTAGE_MS,
      cause: error,
    });
  }
  logger.error({ err: error }, 'a call failed in a way that nobody foresaw');
  return new CallError('INTERNAL', 'internal error', { cause: error });
}

type Detail = { desc: DescMessage; value: MessageShape<DescMessage> };

function detailsOf({ details: { violations, reason, metadata = {}, retryAfterMs } }: CallError): Detail[] {
  const details: Detail[] = [];
  if (violations !== undefined) {
    details.push({ desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations: violations }) });
  }
  if (reason !== undefined) {
    details.push({ desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason, domain: DOMAIN, metadata }) });
  }
  if (retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(retryAfterMs);
    details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return details;
}

/** The error as gRPC sends it: status, message, and google.rpc.Status in the trailer grpc-status-details-bin. */
export function grpcStatus(error: CallError, metadata: Metadata = new Metadata()): Partial<StatusObject> {
  const code = codeNumbers[error.code];
  const details = detailsOf(error).map(({ desc, value }) => anyPack(desc, value));
  if (details.length > 0) {
    const encoded = toBinary(StatusSchema, create(StatusSchema, { code, message: error.message, details }));
    metadata.set('grpc-status-details-bin', Buffer.from(encoded));
  }
  return { code, details: error.message, metadata };
}

/** The error as Connect sends it, over each of its protocols. */
export function connectError(error: CallError): ConnectError {
  return new ConnectError(error.message, codeNumbers[error.code], undefined, detailsOf(error));
}

/** An error that another process answered, to be passed on as it is. */
export class PassedOnError extends Error {
  override name = 'PassedOnError';
  readonly status: ServiceError;

  constructor(answered: ServiceError) {
    super(answered.details, { cause: answered });
    this.status = answered;
  }
}

export { status };
