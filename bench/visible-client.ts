/**
 * Places an order every few milliseconds, whether or not those before are answered, and reads each as soon as it has
 * the answer, with `at_least` its position. Prints how long each took, from the call to the order in hand, in ms.
 *
 * node bench/visible-client.ts ADDRESS AUTHORIZATION COUNT PER_SECOND
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { create, type DescMessage, type DescMethod, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import {
  GetOrderRequestSchema,
  GetOrderResponseSchema,
  OrderService,
  PlaceOrderResponseSchema,
} from '#gen/causeway/orders/v1/orders_service_pb.js';
import { placeOrder } from './requests.ts';

export type VisibleResult = {
  latenciesMs: number[];
  /** Until the order was acknowledged. */
  acknowledgedMs: number[];
};

const WARM_UP = 400;

const [address = '', authorization = '', count = '', perSecond = ''] = process.argv.slice(2);
const client = new Client(address, credentials.createInsecure());
const metadata = new Metadata();
metadata.set('authorization', authorization);

function call<Answer extends DescMessage>(
  method: DescMethod,
  request: Uint8Array,
  type: Answer,
): Promise<MessageShape<Answer>> {
  const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      `/${method.parent.typeName}/${method.name}`,
      asBuffer,
      (bytes) => fromBinary(type, bytes),
      request,
      metadata,
      (error, answer) => (error !== null || answer === undefined ? reject(error) : resolve(answer)),
    );
  });
}

async function placeAndRead(): Promise<{ latencyMs: number; acknowledgedMs: number }> {
  const request = placeOrder({ requestId: randomUUID() });
  const began = performance.now();
  const { orderId, position } = await call(OrderService.method.placeOrder, request, PlaceOrderResponseSchema);
  const acknowledgedMs = performance.now() - began;
  const atLeast = position === undefined ? [] : [position];
  const read = toBinary(GetOrderRequestSchema, create(GetOrderRequestSchema, { orderId, atLeast }));
  const { order } = await call(OrderService.method.getOrder, read, GetOrderResponseSchema);
  if (order?.orderId !== orderId) throw new Error(`order ${orderId} was not read`);
  return { latencyMs: performance.now() - began, acknowledgedMs };
}

const running: Promise<{ latencyMs: number; acknowledgedMs: number }>[] = [];
const began = performance.now();
const total = WARM_UP + Number(count);
while (running.length < total) {
  const due = Math.min(total, Math.floor(((performance.now() - began) / 1_000) * Number(perSecond)) + 1);
  while (running.length < due) running.push(placeAndRead());
  await delay(1);
}
const results = (await Promise.all(running)).slice(WARM_UP);
process.stdout.write(
  JSON.stringify({
    latenciesMs: results.map(({ latencyMs }) => latencyMs),
    acknowledgedMs: results.map(({ acknowledgedMs }) => acknowledgedMs),
  } satisfies VisibleResult),
);
client.close();
