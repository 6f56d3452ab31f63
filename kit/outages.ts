import { setTimeout as delay } from 'node:timers/promises';
import { UnavailableError } from './errors.ts';

/** Names by which the libraries of broker and database say that nobody is there. */
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
  // What the broker's client makes of "no responders": nobody listens for this stream now, as while its leader changes.
  'JetStreamNotEnabled',
  'RequestError',
  'TimeoutError',
  'StreamNotFoundError',
  // The broker does not let this user do it: a matter for who gave it its permissions, and no message is to be parked for it.
  'PermissionViolationError',
]);

/** The server's HTTP-like status for: no leader, no room left, or starting up. */
const SERVICE_UNAVAILABLE = 503;

/** Whether an error says that the broker, the database or a provider is away: nothing is wrong with what was asked. */
export function isOutage(error: unknown): boolean {
  if (error instanceof UnavailableError) return true;
  // An AbortSignal's timeout has the same name as the broker client's, and says nothing of the broker.
  if (!(error instanceof Error) || error instanceof DOMException) return false;
  return (
    OUTAGES.has(error.name) ||
    statusOf(error) === SERVICE_UNAVAILABLE ||
    isPassingInDatabase(error) ||
    // A bulk write that came to nothing has what went wrong inside.
    ('errorResponse' in error && isOutage(error.errorResponse))
  );
}

/** A broker that is busy with a dozen services that start at once answers late. */
const START_MS = 30_000;
const RETRY_MS = 200;

/** Does what a start needs, and again where there is no answer: a machine that is busy is no reason not to start. */
export async function untilAnswered<Answer>(action: () => Promise<Answer>): Promise<Answer> {
  const latest = performance.now() + START_MS;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (!isOutage(error) || performance.now() > latest) throw error;
    }
    await delay(RETRY_MS);
  }
}

/** What JetStream answered. */
function statusOf(error: Error): unknown {
  return error.name === 'JetStreamApiError' && 'status' in error ? error.status : undefined;
}

/** A database that is changing its primary or shutting down answers, and says that to try again is right. */
function isPassingInDatabase(error: Error): boolean {
  return (
    'hasErrorLabel' in error &&
    typeof error.hasErrorLabel === 'function' &&
    (error.hasErrorLabel('RetryableWriteError') || error.hasErrorLabel('RetryableReadError'))
  );
}
