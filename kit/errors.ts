/**
 * What can go wrong, by type. Nothing here knows gRPC or HTTP: rpc/errors.ts translates at the edge.
 *
 * For callers: CallError. For consumers: PermanentError, TransientError, BusyError, UnavailableError; anything else that a
 * handler throws is a bug, and as permanent as one.
 */

/** The canonical codes that a caller can get; names as in google.rpc.Code. */
export type Code =
  | 'INVALID_ARGUMENT'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'UNIMPLEMENTED'
  | 'UNAVAILABLE'
  | 'INTERNAL';

/** One field of a request that is not as it should be: its path, such as `lines[2].quantity`, and what is wrong. */
type FieldViolation = { field: string; description: string };

export type CallErrorDetails = {
  /** Becomes google.rpc.BadRequest. */
  violations?: FieldViolation[];
  /** UPPER_SNAKE_CASE, becomes google.rpc.ErrorInfo with the domain "causeway". */
  reason?: string;
  /** Goes with the reason. */
  metadata?: Record<string, string>;
  /** Becomes google.rpc.RetryInfo. */
  retryAfterMs?: number;
  /** Kept for logs, never shown to a caller. */
  cause?: unknown;
};

/** A call that is answered with an error. The message is shown to the caller. */
export class CallError extends Error {
  readonly code: Code;
  readonly details: CallErrorDetails;

  constructor(code: Code, message: string, details: CallErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'CallError';
    this.code = code;
    this.details = details;
  }
}

/** INVALID_ARGUMENT about one field. */
export function invalid(field: string, description: string): CallError {
  return new CallError('INVALID_ARGUMENT', `${field}: ${description}`, { violations: [{ field, description }] });
}

/** This message can never be handled: it can't be decoded, or the handler refuses it. It is parked at once. */
export class PermanentError extends Error {
  override name = 'PermanentError';
}

/** This attempt failed, another may work: a timeout, a lost race. Tried again with backoff, then parked. */
export class TransientError extends Error {
  override name = 'TransientError';
  /** The next attempt is not made before this long, where whoever was asked has said so. */
  readonly retryAfterMs: number;

  constructor(message: string, { retryAfterMs = 0, ...options }: ErrorOptions & { retryAfterMs?: number } = {}) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Nothing was tried: enough of its kind is at work. The message comes again after a while, and no attempt is counted. */
export class BusyError extends Error {
  override name = 'BusyError';
  readonly retryAfterMs: number;

  /** @param retryAfterMs more than 0. */
  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The broker, the database or a provider is away. Nothing is wrong with the message: no attempt is counted. */
export class UnavailableError extends Error {
  override name = 'UnavailableError';
}
