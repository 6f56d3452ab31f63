import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { DescMethod } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { startMongodb } from '#kit/local/mongodb.ts';
import { transportTo } from '../../gateway/transport.ts';
import type { Bench, Measurement } from '../bench.ts';
import { type Figure, type FigureName, figure } from '../figures.ts';
import { runLoad } from '../load.ts';
import { resultOf } from '../program.ts';
import type { RebuildResult } from '../rebuild.ts';
import { bearer, cancelOrder, getOrder, listOrders, placeOrder } from '../requests.ts';
import { type Stack, startStack, theSaga } from '../stack.ts';
import { median, medianRatio, rounded } from '../statistics.ts';
import { residentMegabytes } from '../usage.ts';

const ORDERS_PER_CUSTOMER = 20;
const IN_FLIGHT = 64;
/** Few, so that a call's time is the platform's and not the queue's. */
const IN_FLIGHT_COMPARED = 8;
const ROUNDS = 5;

/** A platform that holds so many orders. */
type Filled = { stack: Stack; customers: string[]; orders: string[]; seconds: number };

/** What becomes slower, or larger, with the number of orders. */
export const growth: Measurement = {
  names: [
    'load_cost_ratio',
    'get_order_ratio',
    'list_orders_ratio',
    'order_search_p99_ms',
    'rss_mb',
    'rebuild_events_per_s',
  ],
  async *run(bench) {
    const few = await filled(bench, 'few', bench.sizes.few);
    const many = await filled(bench, 'many', bench.sizes.many);
    yield figure('rss_mb', await residentMegabytes(many.stack.platformPid()), {
      orders: bench.sizes.many,
      placed_per_s: rounded(bench.sizes.many / many.seconds),
    });
    // What has just been placed is in memory; what is asked for now is not to be.
    await Promise.all([few.stack.restartPlatform(), many.stack.restartPlatform()]);
    const { getOrder: get, listOrders: list, cancelOrder: cancel } = OrderService.method;
    yield await compared(bench, 'get_order_ratio', get, few, many, ({ orders }) => picked(orders, getOrder));
    yield await compared(bench, 'list_orders_ratio', list, few, many, ({ customers }) => picked(customers, ofCustomer));
    yield await searched(bench, many);
    yield await compared(bench, 'load_cost_ratio', cancel, few, many, cancelled());
    yield await rebuilt(bench, many.stack);

    function picked(from: readonly string[], request: (id: string) => Uint8Array): Uint8Array[] {
      return Array.from({ length: bench.sizes.calls }, () =>
        request(from[Math.floor(Math.random() * from.length)] ?? ''),
      );
    }

    /** Each order once: one that was decided on is in memory. */
    function cancelled(): (of: Filled) => Uint8Array[] {
      const perRound = Math.floor(bench.sizes.few / (ROUNDS + 1));
      return ({ orders }) => orders.splice(0, perRound).map(cancelOrder);
    }
  },
};

/** A platform on which so many orders were placed, with its views as far. */
async function filled(bench: Bench, name: string, count: number): Promise<Filled> {
  const stack = await startStack(
    join(bench.directory, name),
    { syncAlways: false, nodeOptions: bench.nodeOptions, without: theSaga },
    bench.started,
  );
  const customers = Array.from({ length: count / ORDERS_PER_CUSTOMER }, (_, index) => `customer-${index}`);
  const orders = Array.from({ length: count }, () => randomUUID());
  const { seconds } = await runLoad(bench.directory, {
    address: stack.grpc,
    method: OrderService.method.placeOrder,
    messages: orders.map((orderId, index) =>
      placeOrder({ orderId, ...customerNamed(customers[index % customers.length] ?? '') }),
    ),
    inFlight: IN_FLIGHT,
    authorization: await bearer('bench', 'operator'),
  });
  await stack.settled();
  bench.say(`${count} orders placed in ${seconds.toFixed(1)} s, and shown by the views`);
  return { stack, customers, orders, seconds };
}

function customerNamed(customerId: string) {
  return { customerId, email: `${customerId}@example.com` };
}

function ofCustomer(customerId: string): Uint8Array {
  return listOrders({ customerId });
}

/** Every kind of search that the console makes, each as often as the others. */
async function searched(bench: Bench, { stack, customers }: Filled): Promise<Figure> {
  const authorization = await bearer('bench', 'operator');
  const client = createClient(OrderService, transportTo(stack.http, authorization.replace('Bearer ', '')));
  const { orders } = await client.listOrders({ pageSize: 100 });
  const searches = Array.from({ length: bench.sizes.calls }, (_, index) => {
    const { customerId, email } = customerNamed(customers[(index * 7_919) % customers.length] ?? '');
    const { correlationId } = orders[index % orders.length] ?? { correlationId: '' };
    const status = OrderStatus.PLACED;
    const kinds = [{ customerId }, { email }, { correlationId }, { status }, { customerId, status }, { email, status }];
    return listOrders(kinds[index % kinds.length] ?? {});
  });
  const method = OrderService.method.listOrders;
  const load = { address: stack.grpc, method, messages: searches, inFlight: IN_FLIGHT_COMPARED, authorization };
  await runLoad(bench.directory, load);
  const { p50Ms, p99Ms } = await runLoad(bench.directory, load);
  const details = { orders: bench.sizes.many, searches: searches.length, p50_ms: rounded(p50Ms) };
  return figure('order_search_p99_ms', p99Ms, { ...details, in_flight: IN_FLIGHT_COMPARED });
}

/** The same calls to both in turn; the first turn warms up. */
async function compared(
  bench: Bench,
  name: FigureName,
  method: DescMethod,
  few: Filled,
  many: Filled,
  messages: (of: Filled) => Uint8Array[],
): Promise<Figure> {
  const authorization = await bearer('bench', 'operator');
  let failures = 0;
  const timed = async (of: Filled) => {
    const { p50Ms, failed } = await runLoad(bench.directory, {
      address: of.stack.grpc,
      method,
      messages: messages(of),
      inFlight: IN_FLIGHT_COMPARED,
      authorization,
      mayFail: true,
    });
    failures += failed;
    return p50Ms;
  };
  const times: { few: number; many: number }[] = [];
  for (let round = 0; round <= ROUNDS; round++) times.push({ few: await timed(few), many: await timed(many) });
  const counted = times.slice(1);
  const ofFew = counted.map((each) => each.few);
  const ofMany = counted.map((each) => each.many);
  const value = medianRatio(ofMany, ofFew);
  bench.say(`${name}: ${value.toFixed(2)}`);
  return figure(name, value, {
    few: bench.sizes.few,
    many: bench.sizes.many,
    few_p50_ms: rounded(median(ofFew)),
    many_p50_ms: rounded(median(ofMany)),
    in_flight: IN_FLIGHT_COMPARED,
    rounds: ROUNDS,
    ...(failures === 0 ? {} : { failed_calls: failures }),
  });
}

/** On a database that holds nothing else, as after the loss of the one before. */
async function rebuilt(bench: Bench, stack: Stack): Promise<Figure> {
  await stack.settled();
  await stack.stopPlatform();
  const mongodb = await startMongodb({ directory: join(bench.directory, 'rebuilt') });
  bench.started.add('database of the rebuild', mongodb.stop);
  const words = [stack.natsUrl, mongodb.url];
  const { events, documents, seconds, cpuSeconds } = await resultOf<RebuildResult>('rebuild.ts', words);
  return figure('rebuild_events_per_s', events / seconds, {
    events,
    documents,
    seconds: rounded(seconds),
    cpu_us: rounded((cpuSeconds / events) * 1_000_000),
  });
}
