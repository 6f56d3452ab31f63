import { Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-web';
import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { currentSession, signOut } from './session.ts';

/** An answer is waited for so long. */
const ANSWER_MS = 15_000;
const MAX_TRIES = 3;
/** Before a call is made again, and twice as long before the next time: who looks is told of an outage within seconds. */
const RETRY_MS = 300;

const withToken: Interceptor = (next) => (request) => {
  const session = currentSession();
  if (session !== undefined) request.header.set('authorization', `Bearer ${session.token}`);
  return next(request);
};

/** The same origin: the gateway serves the page and answers its calls. */
const gateway = {
  baseUrl: location.origin,
  interceptors: [withToken],
  // An event of a type that this page does not know has no form in JSON.
  useBinaryFormat: true,
};
export const transport = createConnectTransport({ ...gateway, defaultTimeoutMs: ANSWER_MS });

/** For what is no query: streams, which end when nobody looks any more. */
const streams = createConnectTransport(gateway);
export const operations = createClient(OperationsService, streams);
export const orders = createClient(OrderService, streams);

/** Whether the same call may work in a moment. */
export function isPassing(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.Unavailable || code === Code.Unknown || code === Code.ResourceExhausted || code === Code.Aborted;
}

/** A token that has expired, or that this platform does not know, is good for nothing more. */
export function endSession(error: unknown): void {
  if (ConnectError.from(error).code === Code.Unauthenticated) signOut();
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: endSession }),
  mutationCache: new MutationCache({ onError: endSession }),
  defaultOptions: {
    queries: {
      retry: (tries, error) => tries < MAX_TRIES && isPassing(error),
      retryDelay: (tries) => RETRY_MS * 2 ** tries,
      staleTime: 1_000,
    },
    // A command is repeated by who gave it, with the same request id.
    mutations: { retry: false },
  },
});
