import type { DescMessage, DescMethod, DescService, MessageShape } from '@bufbuild/protobuf';

/** Who calls, as its token says. */
export type Caller = { subject: string; role: 'customer' | 'operator' };

/** What a method knows of the call beside its request. The same on every protocol. */
export type Call = {
  caller: Caller;
  /** The token as it came in, to be passed on to a service in another process. */
  token: string;
  /** Joins everything that follows from one act of a caller; taken from the header x-correlation-id, else made up. */
  correlationId: string;
  /** Aborted when the client goes away or its deadline passes. */
  signal: AbortSignal;
  /** When the client stops waiting, in milliseconds since 1970; absent where it set no deadline. */
  deadline: number | undefined;
};

type MethodOf<Method extends DescMethod> = Method extends { methodKind: 'server_streaming' }
  ? (request: MessageShape<Method['input']>, call: Call) => AsyncIterable<MessageShape<Method['output']>>
  : (request: MessageShape<Method['input']>, call: Call) => Promise<MessageShape<Method['output']>>;

/**
 * One implementation of a service, served as it is by every door: grpc-js, Connect, gRPC-Web, JSON, or in process.
 * Requests arrive validated. Methods throw CallError for what the caller should know; anything else is INTERNAL.
 */
export type Implementation<Service extends DescService> = {
  [Name in keyof Service['method']]: MethodOf<Service['method'][Name]>;
};

/** A service and what implements it here. */
export type Door<Service extends DescService = DescService> = {
  service: Service;
  implementation: Implementation<Service>;
};

export function door<Service extends DescService>(
  service: Service,
  implementation: Implementation<Service>,
): Door<Service> {
  return { service, implementation };
}

/** A method without its types, as generic code calls it. */
export type AnyUnary = (request: MessageShape<DescMessage>, call: Call) => Promise<MessageShape<DescMessage>>;
export type AnyStream = (request: MessageShape<DescMessage>, call: Call) => AsyncIterable<MessageShape<DescMessage>>;
