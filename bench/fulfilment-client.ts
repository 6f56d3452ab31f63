/**
 * Places an order every few milliseconds, whether or not those before are fulfilled, and listens for the end of each
 * fulfilment. Prints how long each took, from the call to the event, in ms.
 *
 * node bench/fulfilment-client.ts ADDRESS AUTHORIZATION NATS_URL COUNT PER_SECOND
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { connect } from '@nats-io/transport-node';
import { FulfilmentCompletedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { placeOrder } from './requests.ts';

export type FulfilmentResult = { latenciesMs: number[] };

const WARM_UP = 60;

const [address = '', authorization = '', natsUrl = '', count = '', perSecond = ''] = process.argv.slice(2);
const client = new Client(address, credentials.createInsecure());
const metadata = new Metadata();
metadata.set('authorization', authorization);
const broker = await connect({ servers: natsUrl });
const waiting = new Map<string, () => void>();
broker.subscribe('live.fulfilment.event.>', {
  callback: (_, { headers }) => {
    if (headers?.get('ce-type') === FulfilmentCompletedSchema.typeName) waiting.get(headers.get('ce-subject'))?.();
  },
});
await broker.flush();

async function placeAndFollow(): Promise<number> {
  const orderId = randomUUID();
  const began = performance.now();
  const { promise: completed, resolve } = Promise.withResolvers<void>();
  waiting.set(orderId, resolve);
  await new Promise<void>((placed, reject) => {
    client.makeUnaryRequest(
      '/causeway.orders.v1.OrderService/PlaceOrder',
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes) => bytes,
      placeOrder({ orderId }),
      metadata,
      (error) => (error === null ? placed() : reject(error)),
    );
  });
  await completed;
  waiting.delete(orderId);
  return performance.now() - began;
}

const running: Promise<number>[] = [];
const began = performance.now();
const total = WARM_UP + Number(count);
while (running.length < total) {
  const due = Math.min(total, Math.floor(((performance.now() - began) / 1_000) * Number(perSecond)) + 1);
  while (running.length < due) running.push(placeAndFollow());
  await delay(1);
}
const latenciesMs = (await Promise.all(running)).slice(WARM_UP);
process.stdout.write(JSON.stringify({ latenciesMs } satisfies FulfilmentResult));
client.close();
await broker.close();
