import { Command } from 'commander';
import { type Rebalance, RebalanceSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { asOperator, type CallingOptions, calling, countFrom, oneAnswer, PAGE_SIZE } from './gateway-client.ts';
import { asJson, print, table, time } from './printing.ts';
import { type WatchingOptions, watching, whileWatched } from './watching.ts';

type Options = CallingOptions & WatchingOptions & { service?: string; limit: number };

/** `rebalances`: which instance came to own which partitions. */
export function rebalancesCommand(): Command {
  const command = new Command('rebalances')
    .description('which instance came to own which partitions, the newest first, of the last day')
    .option('--service <name>', 'of this service, such as orders')
    .option('--limit <changes>', 'how many to show', countFrom, PAGE_SIZE)
    .action((options: Options) => whileWatched(options, () => list(options)));
  return calling(watching(command), '', '--service fulfilment --watch', '--json');
}

async function list(options: Options): Promise<void> {
  const { service = '', limit: pageSize } = options;
  const { rebalances } = await asOperator(OperationsService, options, (client) =>
    client.listRebalances({ service, pageSize }, oneAnswer),
  );
  if (options.json) {
    for (const rebalance of rebalances) print(asJson(RebalanceSchema, rebalance));
    return;
  }
  print(table(['time', 'service', 'instance', 'host', 'change', 'owns', 'of'], rebalances.map(row)));
}

function row({ at, service, instanceId, host, partitions, gained, lost, instances }: Rebalance): string[] {
  const change = [...gained.map((partition) => `+${partition}`), ...lost.map((partition) => `-${partition}`)];
  const owns = partitions.length === 0 ? 'nothing' : partitions.join(',');
  return [time(at), service, instanceId.slice(0, 8), host, change.join(' '), owns, String(instances)];
}
