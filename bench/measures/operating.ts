import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { createClient } from '@connectrpc/connect';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { CONSOLE_DIST } from '../../gateway/console-sources.ts';
import { transportTo } from '../../gateway/transport.ts';
import { startChromium } from '../../test/browser/chromium.ts';
import type { Bench, Measurement } from '../bench.ts';
import { type Figure, figure } from '../figures.ts';
import { runLoad } from '../load.ts';
import { bearer, placeOrders } from '../requests.ts';
import { type Stack, startStack } from '../stack.ts';
import { median, rounded } from '../statistics.ts';

const ORDERS_PER_MINUTE = 1_000;
const IN_FLIGHT = 64;
const PAGES = 5;
const ROUNDS = 3;

/** What the console weighs, how soon it is there, and what it costs to look at the overview. */
export const operating: Measurement = {
  names: ['console_kb', 'first_page_ms', 'overview_core_share'],
  async *run(bench) {
    const { directory, nodeOptions, started } = bench;
    const stack = await startStack(directory, { syncAlways: true, nodeOptions, deliversAfter: '1s' }, started);
    // A start builds the console where it has to.
    yield await consoleWeight();
    yield await firstPage(stack);
    yield await overviewCost(bench, stack);
  },
};

async function consoleWeight(): Promise<Figure> {
  const assets = join(CONSOLE_DIST, 'assets');
  const files = (await readdir(assets)).filter((name) => /[.](js|css)$/.test(name));
  const sizes = await Promise.all(
    files.map(async (name) => (await promisify(gzip)(await readFile(join(assets, name)))).length),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return figure('console_kb', bytes / 1_000, { files: files.length });
}

/** In a new browser context each time: nothing is cached. */
async function firstPage(stack: Stack): Promise<Figure> {
  const browser = await startChromium();
  try {
    const token = (await bearer('bench', 'operator')).replace('Bearer ', '');
    const times: number[] = [];
    for (let page = 0; page <= PAGES; page++) {
      const opened = await browser.newPage();
      const began = performance.now();
      await opened.goto(`${stack.http}/#token=${token}`);
      await opened.getByText('Orders per minute').first().waitFor();
      times.push(performance.now() - began);
      await opened.context().close();
    }
    // The browser itself starts with the first one.
    const counted = times.slice(1);
    return figure('first_page_ms', median(counted), { pages: PAGES, slowest_ms: rounded(Math.max(...counted)) });
  } finally {
    await browser.close();
  }
}

/** CPU of platform and broker with a watcher against without, round by round, under the same load. */
async function overviewCost(bench: Bench, stack: Stack): Promise<Figure> {
  const token = await bearer('bench', 'operator');
  const operations = createClient(OperationsService, transportTo(stack.http, token.replace('Bearer ', '')));
  const orders = Math.ceil(bench.sizes.followed / 2);
  const cores = async () => {
    const [before, began] = [await stack.cpu(), performance.now()];
    await runLoad(bench.directory, {
      address: stack.grpc,
      method: OrderService.method.placeOrder,
      messages: placeOrders(orders),
      inFlight: IN_FLIGHT,
      perSecond: Math.round(ORDERS_PER_MINUTE / 60),
      authorization: await bearer('alice'),
    });
    const after = await stack.cpu();
    return (after.platform + after.broker - before.platform - before.broker) / ((performance.now() - began) / 1_000);
  };
  await cores();
  const rates = { alone: [] as number[], watched: [] as number[] };
  for (let round = 0; round < Math.min(ROUNDS, bench.sizes.rounds); round++) {
    rates.alone.push(rounded(await cores()));
    const ended = new AbortController();
    const watching = watch(operations, ended.signal);
    rates.watched.push(rounded(await cores()));
    ended.abort();
    await watching;
    bench.say(`${rates.alone.at(-1)} cores alone, ${rates.watched.at(-1)} while somebody watches`);
  }
  const costs = rates.watched.map((watched, round) => watched - (rates.alone[round] ?? 0));
  return figure('overview_core_share', median(costs), { orders_per_minute: ORDERS_PER_MINUTE, ...rates });
}

async function watch(
  operations: ReturnType<typeof createClient<typeof OperationsService>>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const _ of operations.watchOverview({}, { signal })) if (signal.aborted) return;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
