import { join } from 'node:path';
import { startMongodb } from '#kit/local/mongodb.ts';
import { startNats } from '#kit/local/nats.ts';
import type { Measurement } from '../bench.ts';
import { figure } from '../figures.ts';
import { resultOf } from '../program.ts';
import type { ReserveHotItemResult } from '../reserve-hot-item.ts';
import { rounded } from '../statistics.ts';

const IN_FLIGHT = 64;

/** How many orders for one and the same item can be reserved. */
export const reserving: Measurement = {
  names: ['reserve_hot_item_per_s'],
  async *run({ directory, started, sizes }) {
    const nats = await startNats({ directory: join(directory, 'nats'), syncAlways: true });
    started.add('broker', nats.stop);
    const mongodb = await startMongodb({ directory: join(directory, 'mongodb') });
    started.add('database', mongodb.stop);
    const words = [nats.url, mongodb.url, String(sizes.orders), String(IN_FLIGHT)];
    const { perSecond, cpuSeconds } = await resultOf<ReserveHotItemResult>('reserve-hot-item.ts', words);
    yield figure('reserve_hot_item_per_s', perSecond, {
      orders: sizes.orders,
      in_flight: IN_FLIGHT,
      synced: true,
      cpu_us: rounded((cpuSeconds / sizes.orders) * 1_000_000),
    });
  },
};
