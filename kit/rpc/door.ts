import {
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { invalid } from '../errors.ts';
import type { Call } from './call.ts';
import { validate } from './validation.ts';

type AnyMessage = MessageShape<DescMessage>;

type MethodOf<Method extends DescMethod> = Method extends { methodKind: 'server_streaming' }
  ? (request: MessageShape<Method['input']>, call: Call) => AsyncIterable<MessageShape<Method['output']>>
  : (request: MessageShape<Method['input']>, call: Call) => Promise<MessageShape<Method['output']>>;

/**
 * One implementation of a service. Requests arrive validated. Methods throw CallError for what the caller should
 * know; anything else is INTERNAL.
 */
export type Implementation<Service extends DescService> = {
  [Name in keyof Service['method']]: MethodOf<Service['method'][Name]>;
};

/** Answers to the methods of a service, in one form. */
export type Answers<Form> = {
  unary(method: DescMethod, request: Form, call: Call): Promise<Form>;
  stream(method: DescMethod, request: Form, call: Call): AsyncIterable<Form>;
};

/**
 * A service and what answers for it, here or in another process. Each server takes the form that costs it nothing:
 * gRPC has bytes in hand, Connect has messages.
 */
export type Door = { service: DescService; messages: Answers<AnyMessage>; bytes: Answers<Uint8Array> };

/** A service that is implemented in this process. */
export function door<Service extends DescService>(service: Service, implementation: Implementation<Service>): Door {
  const methods = implementation as unknown as Record<string, (request: AnyMessage, call: Call) => unknown>;
  const carryOut = (method: DescMethod, request: AnyMessage, call: Call) => {
    validate(method.input, request);
    return methods[method.localName]?.(request, call);
  };
  const messages = {
    unary: async (method, request, call) => carryOut(method, request, call) as Promise<AnyMessage>,
    stream: (method, request, call) => carryOut(method, request, call) as AsyncIterable<AnyMessage>,
  } satisfies Answers<AnyMessage>;
  return {
    service,
    messages,
    bytes: {
      unary: async (method, request, call) =>
        toBinary(method.output, await messages.unary(method, decoded(method.input, request), call)),
      async *stream(method, request, call) {
        for await (const answer of messages.stream(method, decoded(method.input, request), call)) {
          yield toBinary(method.output, answer);
        }
      },
    },
  };
}

/** @throws CallError INVALID_ARGUMENT for bytes that are no such message. */
function decoded(type: DescMessage, bytes: Uint8Array): AnyMessage {
  try {
    return fromBinary(type, bytes);
  } catch {
    throw invalid(type.name, `the request is not an encoded ${type.typeName}`);
  }
}
