import {
  type DescMethod,
  type DescService,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import {
  type Client,
  credentials,
  Metadata,
  type MethodDefinition,
  makeClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { eventRegistry } from '#gen/events.js';
import { StatusSchema } from '#gen/google/rpc/status_pb.js';
import { type EventJson, type OrderClient, type OrderJson, type Placed, RefusedCall } from './order-client.ts';

type Unary = (
  request: object,
  metadata: Metadata,
  answered: (error: ServiceError | null, answer: JsonValue) => void,
) => void;
type Streaming = (request: object, metadata: Metadata) => AsyncIterable<JsonValue> & { cancel(): void };

/** A client of grpc-js' own making, from definitions like those that its code generators write. */
export function grpcJsClient(
  address: string,
  authorization: string,
  headers: Record<string, string> = {},
): OrderClient {
  const Made = makeClientConstructor(definitions(OrderService), 'OrderService');
  const client = new Made(address, credentials.createInsecure()) as Client;
  const metadata = new Metadata();
  for (const [name, value] of Object.entries({ ...headers, authorization })) metadata.set(name, value);

  const unary = <Answer>(method: string, request: object) =>
    new Promise<Answer>((resolve, reject) => {
      const call = (client as unknown as Record<string, Unary>)[method]?.bind(client);
      call?.(request, metadata, (error, answer) =>
        error === null ? resolve(answer as Answer) : reject(refusedCall(error)),
      );
    });

  return {
    place: (order) => unary<Placed>('placeOrder', order),
    read: async (orderId, atLeast = []) => (await unary<{ order: OrderJson }>('getOrder', { orderId, atLeast })).order,
    cancel: (orderId) => unary('cancelOrder', { orderId, reason: 'too late' }),
    async *watch(orderId) {
      const call = (client as unknown as Record<string, Streaming>).watchOrder?.bind(client);
      const answers = call?.({ orderId }, metadata);
      try {
        for await (const answer of answers ?? []) yield (answer as { event: EventJson }).event;
      } catch (error) {
        throw refusedCall(error as ServiceError);
      } finally {
        answers?.cancel();
      }
    },
  };
}

function definitions(service: DescService) {
  return Object.fromEntries(service.methods.map((method) => [method.localName, definition(method)]));
}

function definition({ parent, name, methodKind, input, output }: DescMethod): MethodDefinition<JsonValue, JsonValue> {
  const registry = eventRegistry;
  const encoder = (type: typeof input) => (json: JsonValue) => Buffer.from(toBinary(type, fromJson(type, json)));
  const decoder = (type: typeof input) => (bytes: Buffer) => toJson(type, fromBinary(type, bytes), { registry });
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: false,
    responseStream: methodKind === 'server_streaming',
    requestSerialize: encoder(input),
    requestDeserialize: decoder(input),
    responseSerialize: encoder(output),
    responseDeserialize: decoder(output),
  };
}

/** The error with its details, as gRPC carries them: an encoded google.rpc.Status in a trailer. */
function refusedCall({ code, details: message, metadata }: ServiceError): RefusedCall {
  const [encoded] = metadata.get('grpc-status-details-bin');
  const { details } = fromBinary(StatusSchema, Buffer.isBuffer(encoded) ? encoded : new Uint8Array());
  return new RefusedCall(
    status[code] ?? String(code),
    message,
    details.map(({ typeUrl, value }) => ({ type: typeUrl.replace(/^.*\//, ''), value })),
  );
}
