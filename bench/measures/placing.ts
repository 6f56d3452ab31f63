import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { freePort } from '#kit/local/free-port.ts';
import type { BarePublishResult } from '../bare-publish.ts';
import type { Bench, Measurement } from '../bench.ts';
import { type Figure, figure } from '../figures.ts';
import { type LoadResult, runLoad } from '../load.ts';
import { resultOf } from '../program.ts';
import { bearer, placeOrders } from '../requests.ts';
import { type Stack, startProgram, startStack, theSaga } from '../stack.ts';
import { median, medianRatio, rounded } from '../statistics.ts';
import { cpuSeconds } from '../usage.ts';

const IN_FLIGHT = 64;
/** The bare loop is about so much faster: both sides run for about as long, and meet as much of the disk's moods. */
const PUBLISHES_PER_ORDER = 3;

/** How fast orders are placed, alone and against what the broker's client can do at most. */
export const placing: Measurement = {
  names: [
    'place_order_per_s',
    'place_order_p50_ms',
    'place_order_p99_ms',
    'cpu_us_per_order',
    'place_order_vs_publish',
  ],
  async *run(bench) {
    const stack = await startStack(
      bench.directory,
      { syncAlways: true, nodeOptions: bench.nodeOptions, without: theSaga },
      bench.started,
    );
    await placed(bench, stack, bench.sizes.warmUp);
    const loads: Loaded[] = [];
    const bare: BarePublishResult[] = [];
    for (let round = 1; round <= bench.sizes.rounds; round++) {
      loads.push(await placed(bench, stack, bench.sizes.orders));
      const publishes = bench.sizes.orders * PUBLISHES_PER_ORDER;
      const words = [stack.natsUrl, 'ORDERS', '1', String(publishes), String(IN_FLIGHT)];
      bare.push(await resultOf<BarePublishResult>('bare-publish.ts', words));
      bench.say(`${round}: ${rates(loads).at(-1)} orders/s, bare ${rates(bare).at(-1)}/s`);
    }
    const common = { orders: bench.sizes.orders, rounds: bench.sizes.rounds, in_flight: IN_FLIGHT, synced: true };
    const perSecond = median(rates(loads));
    yield* [
      figure('place_order_per_s', perSecond, { ...common, with_views_per_s: middle(loads, 'withViewsPerSecond') }),
      figure('place_order_p50_ms', median(loads.map(({ p50Ms }) => p50Ms)), common),
      figure('place_order_p99_ms', median(loads.map(({ p99Ms }) => p99Ms)), common),
      cpuPerOrder(loads, common),
      figure('place_order_vs_publish', medianRatio(rates(loads), rates(bare)), {
        ...common,
        orders_per_s: rates(loads),
        publishes_per_s: rates(bare),
        bare_cpu_us: rounded(
          (median(bare.map((each) => each.cpuSeconds)) / (bench.sizes.orders * PUBLISHES_PER_ORDER)) * 1_000_000,
        ),
      }),
    ];
  },
};

/** How fast orders are placed against what a bare gRPC server can answer at most; the broker as it comes. */
export const placingAgainstEcho: Measurement = {
  names: ['place_order_vs_echo'],
  async *run(bench) {
    const stack = await startStack(
      bench.directory,
      { syncAlways: false, nodeOptions: bench.nodeOptions, without: theSaga },
      bench.started,
    );
    const port = await freePort();
    const echo = await startProgram(bench.directory, 'echo', ['bench/echo.ts', String(port)], 'ready');
    bench.started.add('echo', echo.stop);
    const echoed = async (count: number) => {
      const before = await cpuSeconds(echo.pid);
      const load = await loaded(bench, `127.0.0.1:${port}`, count);
      return { ...load, serverCpu: (await cpuSeconds(echo.pid)) - before };
    };
    await placed(bench, stack, bench.sizes.warmUp);
    await echoed(bench.sizes.warmUp);
    const loads: Loaded[] = [];
    const echoes: (LoadResult & { serverCpu: number })[] = [];
    for (let round = 1; round <= bench.sizes.rounds; round++) {
      loads.push(await placed(bench, stack, bench.sizes.orders));
      echoes.push(await echoed(bench.sizes.orders));
      bench.say(`${round}: ${rates(loads).at(-1)} orders/s, echo ${rates(echoes).at(-1)}/s`);
    }
    yield* [
      figure('place_order_vs_echo', medianRatio(rates(loads), rates(echoes)), {
        ...{ orders: bench.sizes.orders, rounds: bench.sizes.rounds, in_flight: IN_FLIGHT, synced: false },
        orders_per_s: rates(loads),
        echoes_per_s: rates(echoes),
        order_cpu_us: cpuPerOrder(loads, {}).by_process,
        echo_cpu_us: rounded((median(echoes.map((each) => each.serverCpu)) / bench.sizes.orders) * 1_000_000),
      }),
    ];
  },
};

type Loaded = LoadResult & {
  /** Orders per second from the first call until the views show the last one. */
  withViewsPerSecond: number;
  cpu: Record<'platform' | 'broker' | 'database' | 'loadGenerator', number>;
};

/** Places orders, and waits for the views, whose work is part of an order's cost. */
async function placed(bench: Bench, stack: Stack, count: number): Promise<Loaded> {
  const before = await stack.cpu();
  const began = performance.now();
  const load = await loaded(bench, stack.grpc, count);
  // The program's own start and end are not part of it.
  const startAndEnd = performance.now() - began - load.seconds * 1_000;
  await stack.settled();
  const seconds = (performance.now() - began - startAndEnd) / 1_000;
  const after = await stack.cpu();
  return {
    ...load,
    withViewsPerSecond: count / seconds,
    cpu: {
      platform: after.platform - before.platform,
      broker: after.broker - before.broker,
      database: after.database - before.database,
      loadGenerator: load.cpuSeconds,
    },
  };
}

async function loaded(bench: Bench, address: string, count: number): Promise<LoadResult> {
  return runLoad(bench.directory, {
    address,
    method: OrderService.method.placeOrder,
    messages: placeOrders(count),
    inFlight: IN_FLIGHT,
    authorization: await bearer('alice'),
  });
}

function cpuPerOrder(loads: readonly Loaded[], details: Record<string, unknown>): Figure {
  const perOrder = (process: keyof Loaded['cpu']) =>
    rounded(median(loads.map(({ cpu, calls }) => (cpu[process] / calls) * 1_000_000)));
  const byProcess = { platform: perOrder('platform'), broker: perOrder('broker'), database: perOrder('database') };
  const total = Object.values(byProcess).reduce((sum, each) => sum + each, 0);
  return figure('cpu_us_per_order', total, {
    by_process: byProcess,
    load_generator: perOrder('loadGenerator'),
    ...details,
  });
}

/** Of each round, in order. */
function rates(results: readonly { perSecond: number }[]): number[] {
  return results.map(({ perSecond }) => Math.round(perSecond));
}

function middle(loads: readonly Loaded[], what: 'withViewsPerSecond'): number {
  return rounded(median(loads.map((load) => load[what])));
}
