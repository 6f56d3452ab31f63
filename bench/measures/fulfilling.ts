import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { FulfilmentCompletedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { EmailSentSchema } from '#gen/causeway/notifications/v1/events_pb.js';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { ShipmentDeliveredSchema } from '#gen/causeway/shipping/v1/events_pb.js';
import type { Broker } from '#kit/broker.ts';
import { transportTo } from '../../gateway/transport.ts';
import type { Bench, Measurement } from '../bench.ts';
import { type Figure, figure } from '../figures.ts';
import type { FulfilmentResult } from '../fulfilment-client.ts';
import { type LoadResult, runLoad } from '../load.ts';
import { resultOf } from '../program.ts';
import { bearer, orderHistory, placeOrders } from '../requests.ts';
import { type Stack, startStack, theSaga } from '../stack.ts';
import { median, medianRatio, quantile, rounded } from '../statistics.ts';

const IN_FLIGHT = 64;
/** Few, so that a call's time is the platform's and not the queue's. */
const IN_FLIGHT_READING = 8;
const PER_SECOND = 20;
const LOOK_MS = 20;
const TIMEOUT_MS = 600_000;

/** How many orders are fulfilled per second, and what each costs. */
export const fulfilling: Measurement = {
  names: ['fulfilled_orders_per_s', 'messages_per_order'],
  async *run(bench) {
    const { directory, nodeOptions, started, sizes } = bench;
    const stack = await startStack(directory, { syncAlways: true, nodeOptions, deliversAfter: '1s' }, started);
    const events = await countEvents(stack.broker);
    let orders = 0;
    const fulfilled = async (count: number) => {
      orders += count;
      const before = await stack.cpu();
      const began = performance.now();
      const load = await placed(bench, stack, count);
      await until(() => events.of(FulfilmentCompletedSchema.typeName) === orders);
      const seconds = (performance.now() - began) / 1_000;
      await until(() => events.of(EmailSentSchema.typeName) === 2 * orders);
      const withEmails = (performance.now() - began) / 1_000;
      const after = await stack.cpu();
      bench.say(`${count} orders accepted in ${load.seconds.toFixed(1)} s, fulfilled in ${seconds.toFixed(1)} s`);
      return { seconds: withEmails, load, cpu: used(before, after, count) };
    };
    await fulfilled(Math.ceil(sizes.fulfilled / 2));
    const { seconds, load, cpu } = await fulfilled(sizes.fulfilled);
    yield figure('fulfilled_orders_per_s', sizes.fulfilled / seconds, {
      orders: sizes.fulfilled,
      in_flight: IN_FLIGHT,
      synced: true,
      accepted_per_s: rounded(load.perSecond),
      cpu_us_per_order: cpu,
    });
    await until(() => events.of(ShipmentDeliveredSchema.typeName) === orders);
    yield await messagesPerOrder(stack.broker, orders);
  },
};

/** How long it takes until an order is fulfilled, where there is no hurry. */
export const following: Measurement = {
  names: ['fulfilment_p50_ms', 'fulfilment_p99_ms', 'timeline_p99_ms'],
  async *run(bench) {
    const { directory, nodeOptions, started, sizes } = bench;
    const stack = await startStack(directory, { syncAlways: true, nodeOptions }, started);
    const words = [stack.grpc, await bearer('alice'), stack.natsUrl, String(sizes.followed), String(PER_SECOND)];
    const { latenciesMs } = await resultOf<FulfilmentResult>('fulfilment-client.ts', words);
    const details = { orders: sizes.followed, per_s: PER_SECOND, synced: true };
    yield figure('fulfilment_p50_ms', quantile(latenciesMs, 0.5), details);
    yield figure('fulfilment_p99_ms', quantile(latenciesMs, 0.99), details);
    yield await timelines(bench, stack);
  },
};

/** Timelines of orders that are through. */
async function timelines({ directory, sizes }: Bench, stack: Stack): Promise<Figure> {
  const authorization = await bearer('bench', 'operator');
  const client = createClient(OrderService, transportTo(stack.http, authorization.replace('Bearer ', '')));
  const { orders } = await client.listOrders({ status: OrderStatus.COMPLETED, pageSize: 100 });
  const messages = Array.from({ length: sizes.calls }, (_, index) => {
    return orderHistory(orders[index % orders.length]?.orderId ?? '');
  });
  const load = { address: stack.grpc, method: OrderService.method.getOrderHistory, messages, authorization };
  await runLoad(directory, { ...load, inFlight: IN_FLIGHT_READING });
  const { p50Ms, p99Ms } = await runLoad(directory, { ...load, inFlight: IN_FLIGHT_READING });
  return figure('timeline_p99_ms', p99Ms, {
    timelines: messages.length,
    p50_ms: rounded(p50Ms),
    in_flight: IN_FLIGHT_READING,
  });
}

/** How many orders are accepted per second, with all that follows, with nothing, and with a part of it away. */
export const accepting: Measurement = {
  names: ['accept_under_saga_ratio', 'accept_during_outage'],
  async *run(bench) {
    const { directory, nodeOptions, started, sizes } = bench;
    // What the carrier delivers belongs to the round before, and not to the next.
    const options = { syncAlways: true, nodeOptions, deliversAfter: '1s' };
    const alone = await startStack(join(directory, 'alone'), { ...options, without: theSaga }, started);
    const whole = await startStack(join(directory, 'whole'), options, started);
    const events = await countEvents(whole.broker);
    const count = Math.ceil(sizes.fulfilled / 2);
    let orders = 0;
    const accepted = async () => {
      orders += count;
      const load = await placed(bench, whole, count);
      return Math.round(load.perSecond);
    };
    const drained = () => until(() => events.of(ShipmentDeliveredSchema.typeName) === orders);
    await placed(bench, alone, count);
    await accepted();
    await drained();
    const rates = { alone: [] as number[], whole: [] as number[] };
    for (let round = 0; round < Math.min(3, sizes.rounds); round++) {
      rates.alone.push(Math.round((await placed(bench, alone, count)).perSecond));
      await alone.settled();
      rates.whole.push(await accepted());
      await drained();
      bench.say(`${rates.alone.at(-1)} orders/s alone, ${rates.whole.at(-1)} while they are fulfilled too`);
    }
    const details = { orders: count, in_flight: IN_FLIGHT, synced: true };
    yield figure('accept_under_saga_ratio', medianRatio(rates.whole, rates.alone), { ...details, ...rates });
    await whole.restartPlatform(['payments']);
    // A program that was just started is slower.
    await accepted();
    const during: number[] = [];
    for (let round = 0; round < Math.min(3, sizes.rounds); round++) during.push(await accepted());
    await whole.restartPlatform([]);
    const began = performance.now();
    await drained();
    yield figure('accept_during_outage', median(during) / median(rates.whole), {
      ...details,
      during,
      running: rates.whole,
      backlog_drained_s: rounded((performance.now() - began) / 1_000),
    });
  },
};

async function placed(bench: Bench, stack: Stack, count: number): Promise<LoadResult> {
  return runLoad(bench.directory, {
    address: stack.grpc,
    method: OrderService.method.placeOrder,
    messages: placeOrders(count),
    inFlight: IN_FLIGHT,
    authorization: await bearer('alice'),
  });
}

/** Counts events by type from now on, as they are stored. */
async function countEvents({ connection }: Broker): Promise<{ of(type: string): number }> {
  const counts = new Map<string, number>();
  connection.subscribe('live.>', {
    callback: (_, { headers }) => {
      const type = headers?.get('ce-type') ?? '';
      counts.set(type, (counts.get(type) ?? 0) + 1);
    },
  });
  await connection.flush();
  return { of: (type) => counts.get(type) ?? 0 };
}

async function until(isSo: () => boolean): Promise<void> {
  const latest = performance.now() + TIMEOUT_MS;
  while (!isSo()) {
    if (performance.now() > latest) throw new Error(`not all orders were fulfilled within ${TIMEOUT_MS / 1_000} s`);
    await delay(LOOK_MS);
  }
}

type Cpu = Awaited<ReturnType<Stack['cpu']>>;

function used(before: Cpu, after: Cpu, orders: number): Cpu {
  const perOrder = (process: keyof Cpu) => rounded(((after[process] - before[process]) / orders) * 1_000_000);
  return { platform: perOrder('platform'), broker: perOrder('broker'), database: perOrder('database') };
}

/** Buckets are no streams of messages: what they hold is by customer and consumer, not by order. */
async function messagesPerOrder({ manager }: Broker, orders: number): Promise<Figure> {
  const streams = (await Array.fromAsync(manager.streams.list())).filter(
    ({ config }) => !config.name.startsWith('KV_'),
  );
  const byStream = Object.fromEntries(streams.map(({ config, state }) => [config.name, state.messages]));
  const items = await manager.streams.info('INVENTORY', { subjects_filter: 'inventory.event.*.item.*' });
  const ofItems = Object.values(items.state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  const messages = Object.values(byStream).reduce((sum, count) => sum + count, 0) - ofItems;
  const perOrder = Object.entries(byStream).map(([name, count]) => [name, rounded(count / orders)] as const);
  return figure('messages_per_order', messages / orders, { orders, by_stream: Object.fromEntries(perOrder) });
}
