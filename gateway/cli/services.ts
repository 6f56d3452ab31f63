import { Command } from 'commander';
import { type ServiceState, ServiceStateSchema, ServiceStatus } from '#gen/causeway/operations/v1/flow_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { asOperator, type CallingOptions, calling, oneAnswer } from './gateway-client.ts';
import { asJson, print, shortType, table, time } from './printing.ts';
import { type WatchingOptions, watching, whileWatched } from './watching.ts';

type Options = CallingOptions & WatchingOptions & { partitions?: true };

/** `services`: which services there are, and how each is. */
export function servicesCommand(): Command {
  const command = new Command('services')
    .description('which services there are, how each is, and which messages they try again')
    .option('--partitions', 'who owns which partition, and since when')
    .action((options: Options) => whileWatched(options, () => list(options)));
  return calling(watching(command), '', '--partitions', '--watch', '--json');
}

async function list(options: Options): Promise<void> {
  const { services } = await asOperator(OperationsService, options, (client) => client.listServices({}, oneAnswer));
  if (options.json) {
    for (const service of services) print(asJson(ServiceStateSchema, service));
    return;
  }
  if (options.partitions) {
    print(table(['service', 'partition', 'instance', 'host', 'owned since'], services.flatMap(owners)));
    return;
  }
  print(
    table(['service', 'status', 'instance', 'host', 'since', 'partitions', 'clock', 'why'], services.flatMap(rows)),
  );
  const retries = services.flatMap(({ instances }) => instances.flatMap(({ retrying }) => retrying));
  if (retries.length === 0) return;
  print('\ntried again now:');
  print(
    table(
      ['consumer', 'key', 'event', 'attempts', 'next', 'error'],
      retries.map((each) => [
        each.consumer,
        each.key,
        shortType(each.eventType),
        String(each.attempts),
        time(each.nextAttemptAt),
        each.error,
      ]),
    ),
  );
}

/** A service by its first instance, then each other one. */
function rows({ name, status, reasons, instances }: ServiceState): string[][] {
  const word = (ServiceStatus[status] ?? '').toLowerCase();
  if (instances.length === 0) return [[name, word, '', '', '', '', '', reasons.join('; ')]];
  return instances.map((each, index) => [
    index === 0 ? name : '',
    index === 0 ? word : '',
    each.id.slice(0, 8),
    each.host,
    time(each.startedAt),
    each.partitions.join(','),
    clockWords(each.clockAhead),
    index === 0 ? reasons.join('; ') : '',
  ]);
}

/** A row for each partition; one that nobody owns has nobody in it. */
function owners({ name, instances, unownedPartitions }: ServiceState): string[][] {
  const owned = instances.flatMap(({ id, host, owned: own }) =>
    own.map(({ partition, since }) => ({ partition, words: [id.slice(0, 8), host, time(since)] })),
  );
  const unowned = unownedPartitions.map((partition) => ({ partition, words: ['nobody'] }));
  return [...owned, ...unowned]
    .sort((one, other) => one.partition - other.partition)
    .map(({ partition, words }, index) => [index === 0 ? name : '', String(partition), ...words]);
}

function clockWords(ahead: { seconds: bigint; nanos: number } | undefined): string {
  if (ahead === undefined) return '';
  const seconds = Number(ahead.seconds) + ahead.nanos / 1e9;
  return `${seconds < 0 ? '' : '+'}${seconds.toFixed(2)} s`;
}
