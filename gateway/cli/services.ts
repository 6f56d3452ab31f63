import { Command } from 'commander';
import { type ServiceState, ServiceStateSchema, ServiceStatus } from '#gen/causeway/operations/v1/flow_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { asOperator, type CallingOptions, calling, oneAnswer } from './gateway-client.ts';
import { asJson, print, shortType, table, time } from './printing.ts';
import { type WatchingOptions, watching, whileWatched } from './watching.ts';

/** `services`: which services there are, and how each is. */
export function servicesCommand(): Command {
  const command = new Command('services')
    .description('which services there are, how each is, and which messages they try again')
    .action((options: CallingOptions & WatchingOptions) => whileWatched(options, () => list(options)));
  return calling(watching(command), '', '--watch', '--json');
}

async function list(options: CallingOptions): Promise<void> {
  const { services } = await asOperator(OperationsService, options, (client) => client.listServices({}, oneAnswer));
  if (options.json) {
    for (const service of services) print(asJson(ServiceStateSchema, service));
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

function clockWords(ahead: { seconds: bigint; nanos: number } | undefined): string {
  if (ahead === undefined) return '';
  const seconds = Number(ahead.seconds) + ahead.nanos / 1e9;
  return `${seconds < 0 ? '' : '+'}${seconds.toFixed(2)} s`;
}
