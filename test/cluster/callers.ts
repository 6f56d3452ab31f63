import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { asBuffer } from '#kit/rpc/bytes.ts';
import { transportTo } from '../../gateway/transport.ts';

/** A call that was not answered as it should be: a canonical code, or `CONNECTION` where there was no answer at all. */
export class CallFailed extends Error {
  override name = 'CallFailed';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Somebody outside, who calls the gateway at one of its doors. */
export type Caller = {
  /** @throws CallFailed */
  call<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input>,
    timeoutMs: number,
  ): Promise<MessageShape<Output>>;
  /** @throws CallFailed */
  stream<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodServerStreaming<Input, Output>,
    request: MessageInitShape<Input>,
    timeoutMs: number,
  ): AsyncIterable<MessageShape<Output>>;
  close(): void;
};

/** @param address `host:port` of the gRPC door. */
export function grpcCaller(address: string, token: string): Caller {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    // A connection of its own, as a program elsewhere has.
    'grpc.use_local_subchannel_pool': 1,
  });
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return {
    call: (method, request, timeoutMs) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          pathOf(method),
          asBuffer,
          (bytes) => fromBinary(method.output, bytes),
          toBinary(method.input, create(method.input, request)),
          metadata,
          { deadline: Date.now() + timeoutMs },
          (error, answer) => (error === null ? resolve(answer as never) : reject(failedGrpc(error))),
        );
      }),
    async *stream(method, request, timeoutMs) {
      const answers = client.makeServerStreamRequest(
        pathOf(method),
        asBuffer,
        (bytes) => fromBinary(method.output, bytes),
        toBinary(method.input, create(method.input, request)),
        metadata,
        { deadline: Date.now() + timeoutMs },
      );
      try {
        for await (const answer of answers) yield answer as never;
      } catch (error) {
        throw failedGrpc(error as ServiceError);
      } finally {
        answers.cancel();
      }
    },
    close: () => client.close(),
  };
}

/** By Connect over HTTP/1.1, on connections that are kept. @param address `http://host:port`. */
export function connectCaller(address: string, token: string): Caller {
  const transport: Transport = transportTo(address, token);
  const clientOf = (method: DescMethod) =>
    createClient(method.parent, transport) as unknown as Record<string, (...asked: unknown[]) => unknown>;
  return {
    call: async (method, request, timeoutMs) => {
      try {
        return (await clientOf(method)[method.localName]?.(request, { timeoutMs })) as never;
      } catch (error) {
        throw failedConnect(error);
      }
    },
    async *stream(method, request, timeoutMs) {
      try {
        const answers = clientOf(method)[method.localName]?.(request, { timeoutMs });
        for await (const answer of answers as AsyncIterable<never>) yield answer;
      } catch (error) {
        throw failedConnect(error);
      }
    },
    close: () => {},
  };
}

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

function failedGrpc({ code, details }: ServiceError): CallFailed {
  return new CallFailed(status[code] ?? String(code), details);
}

function failedConnect(error: unknown): CallFailed {
  const { code, rawMessage, cause } = ConnectError.from(error);
  // What the gateway answers has no cause: that is an error of the connection.
  if (cause !== undefined) return new CallFailed('CONNECTION', `${rawMessage}: ${cause}`);
  const name = Code[code]?.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
  return new CallFailed(name ?? String(code), rawMessage);
}
