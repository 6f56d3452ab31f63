import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { anyPack, durationFromMs } from '@bufbuild/protobuf/wkt';
import { type Code as ConnectCode, ConnectError } from '@connectrpc/connect';
import type { Metadata, ServiceError, StatusObject, status } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '#gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '#gen/google/rpc/status_pb.js';
import { CallError, type Code } from '../errors.ts';
import { isOutage } from '../outages.ts';

/** Canonical codes by number, the same in gRPC and Connect. */
const codeNumbers: Record<Code, status & ConnectCode> = {
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

const codeNames = new Map<number, Code>(Object.entries(codeNumbers).map(([name, code]) => [code, name as Code]));

const DETAILS_HEADER = 'grpc-status-details-bin';
const DOMAIN = 'causeway';
const RETRY_AFTER_OUTAGE_MS = 1_000;

/**
 * An error travels in trailers, of which clients read 8 KiB, and there bytes become longer: three for one in a message,
 * four for three in the details. With these bounds the largest error is about 6 KiB.
 */
const MESSAGE_BYTES = 400;
const TEXT_BYTES = 150;
const LISTED = 10;

/**
 * What a caller is told of an error, as short as it has to be. Whatever nobody foresaw becomes INTERNAL; the caller sees
 * neither stack nor cause.
 */
export function callErrorOf(error: unknown): CallError {
  if (error instanceof CallError) return bounded(error);
  if (isOutage(error)) {
    return new CallError('UNAVAILABLE', 'a part of the platform is away, try again', {
      reason: 'DEPENDENCY_AWAY',
      retryAfterMs: RETRY_AFTER_OUTAGE_MS,
      cause: error,
    });
  }
  return new CallError('INTERNAL', 'internal error', { cause: error });
}

function bounded(error: CallError): CallError {
  const { violations, metadata } = error.details;
  return new CallError(error.code, cut(error.message, MESSAGE_BYTES), {
    ...error.details,
    ...(violations === undefined
      ? {}
      : {
          violations: violations.slice(0, LISTED).map(({ field, description }) => ({
            field: cut(field, TEXT_BYTES),
            description: cut(description, TEXT_BYTES),
          })),
        }),
    ...(metadata === undefined
      ? {}
      : {
          metadata: Object.fromEntries(
            Object.entries(metadata)
              .slice(0, LISTED)
              .map(([name, value]) => [name, cut(value, TEXT_BYTES)]),
          ),
        }),
  });
}

/** The text, or its beginning; without halves of characters, which can't be sent. */
function cut(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text.toWellFormed();
  const bytes = Buffer.from(text.slice(0, maxBytes + 1));
  if (bytes.length <= maxBytes) return bytes.toString();
  return `${new TextDecoder().decode(bytes.subarray(0, maxBytes - 3), { stream: true })}...`;
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
export function grpcStatus(error: CallError | PassedOnError, metadata: Metadata): Partial<StatusObject> {
  if (error instanceof PassedOnError) {
    if (error.encodedDetails !== undefined) metadata.set(DETAILS_HEADER, error.encodedDetails);
    return { code: codeNumbers[error.code], details: error.message, metadata };
  }
  const code = codeNumbers[error.code];
  const details = detailsOf(error).map(({ desc, value }) => anyPack(desc, value));
  if (details.length > 0) {
    const encoded = toBinary(StatusSchema, create(StatusSchema, { code, message: error.message, details }));
    metadata.set(DETAILS_HEADER, Buffer.from(encoded));
  }
  return { code, details: error.message, metadata };
}

/** The error as Connect sends it, over each of its protocols. */
export function connectError(error: CallError | PassedOnError): ConnectError {
  const code = codeNumbers[error.code];
  if (error instanceof CallError) return new ConnectError(error.message, code, undefined, detailsOf(error));
  const passedOn = new ConnectError(error.message, code);
  const { details } = fromBinary(StatusSchema, error.encodedDetails ?? new Uint8Array());
  passedOn.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.replace(/^.*\//, ''), value }));
  return passedOn;
}

/** An error that a service in another process answered, to be passed on as it is. */
export class PassedOnError extends Error {
  override name = 'PassedOnError';
  readonly code: Code;
  /** An encoded google.rpc.Status. */
  readonly encodedDetails: Buffer | undefined;

  constructor(answered: ServiceError) {
    super(answered.details, { cause: answered });
    this.code = codeNames.get(answered.code as number) ?? 'INTERNAL';
    const [details] = answered.metadata.get(DETAILS_HEADER);
    this.encodedDetails = Buffer.isBuffer(details) ? details : undefined;
  }
}
