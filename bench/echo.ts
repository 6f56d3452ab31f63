/**
 * What a Node program can answer at most: PlaceOrder on a bare grpc-js server, the request decoded, the answer encoded,
 * and nothing done between.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import {
  OrderService,
  type PlaceOrderRequest,
  PlaceOrderRequestSchema,
  type PlaceOrderResponse,
  PlaceOrderResponseSchema,
} from '#gen/causeway/orders/v1/orders_service_pb.js';

const server = new Server();
server.addService(
  {
    PlaceOrder: {
      path: `/${OrderService.typeName}/PlaceOrder`,
      requestStream: false,
      responseStream: false,
      requestSerialize: (request: PlaceOrderRequest) => Buffer.from(toBinary(PlaceOrderRequestSchema, request)),
      requestDeserialize: (bytes: Buffer) => fromBinary(PlaceOrderRequestSchema, bytes),
      responseSerialize: (answer: PlaceOrderResponse) => Buffer.from(toBinary(PlaceOrderResponseSchema, answer)),
      responseDeserialize: (bytes: Buffer) => fromBinary(PlaceOrderResponseSchema, bytes),
    },
  },
  {
    PlaceOrder: (
      { request }: ServerUnaryCall<PlaceOrderRequest, PlaceOrderResponse>,
      answer: sendUnaryData<PlaceOrderResponse>,
    ) => {
      const position = { stream: 'ORDERS', partition: 1, sequence: 1n };
      answer(null, create(PlaceOrderResponseSchema, { orderId: request.requestId, version: 1n, position }));
    },
  },
);
server.bindAsync(`127.0.0.1:${process.argv[2]}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write('the echo is ready\n');
});
