import type { Measurement } from '../bench.ts';
import { figure } from '../figures.ts';
import { resultOf } from '../program.ts';
import { bearer } from '../requests.ts';
import { startStack, theSaga } from '../stack.ts';
import { quantile, rounded } from '../statistics.ts';
import type { VisibleResult } from '../visible-client.ts';

const PER_SECOND = 200;

/** How long it takes from the call until the order can be read. */
export const visible: Measurement = {
  names: ['visible_p50_ms', 'visible_p99_ms'],
  async *run({ directory, sizes, nodeOptions, started }) {
    const stack = await startStack(directory, { syncAlways: true, nodeOptions, without: theSaga }, started);
    const words = [stack.grpc, await bearer('alice'), String(sizes.visible), String(PER_SECOND)];
    const { latenciesMs, acknowledgedMs } = await resultOf<VisibleResult>('visible-client.ts', words);
    const at = (share: number) => ({
      orders: sizes.visible,
      per_s: PER_SECOND,
      synced: true,
      acknowledged_ms: rounded(quantile(acknowledgedMs, share)),
    });
    yield* [
      figure('visible_p50_ms', quantile(latenciesMs, 0.5), at(0.5)),
      figure('visible_p99_ms', quantile(latenciesMs, 0.99), at(0.99)),
    ];
  },
};
