import { join } from 'node:path';
import type { Measurement } from '../bench.ts';
import { figure } from '../figures.ts';
import { startProgram, wordsOfStart } from '../stack.ts';
import { median } from '../statistics.ts';

/** How long `npm start` takes until an order can be placed, on an empty data directory, with servers of its own. */
export const startup: Measurement = {
  names: ['startup_ms'],
  async *run({ directory, sizes, started }) {
    const times: number[] = [];
    for (let start = 1; start <= sizes.starts; start++) {
      const began = performance.now();
      const platform = await startProgram(
        join(directory, String(start)),
        'platform',
        await wordsOfStart(),
        'Causeway is ready',
        { GATEWAY_GRPC_PORT: '0', GATEWAY_HTTP_PORT: '0' },
      );
      times.push(performance.now() - began);
      started.add('platform', platform.stop);
      await platform.stop();
    }
    yield figure('startup_ms', median(times), { starts: sizes.starts });
  },
};
