import { Command } from 'commander';
import { ConsumerKind, type ConsumerState, ConsumerStateSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { asOperator, type CallingOptions, calling, oneAnswer } from './gateway-client.ts';
import { asJson, print, table } from './printing.ts';
import { type WatchingOptions, watching, whileWatched } from './watching.ts';

type ListOptions = CallingOptions & WatchingOptions & { service: string };

/** `consumers`: who listens to what, and how far each is. */
export function consumersCommand(): Command {
  const command = new Command('consumers')
    .description('who listens to which stream, how far each is behind, and what it has parked')
    .option('--service <name>', 'only those of this service', '')
    .action((options: ListOptions) => whileWatched(options, () => list(options)));
  return calling(watching(command), '', '--service payments', '--json');
}

async function list(options: ListOptions): Promise<void> {
  const { service } = options;
  const { consumers } = await asOperator(OperationsService, options, (client) =>
    client.listConsumers({ service }, oneAnswer),
  );
  if (options.json) {
    for (const consumer of consumers) print(asJson(ConsumerStateSchema, consumer));
    return;
  }
  print(table(['consumer', 'stream', 'kind', 'lag', 'at hand', 'again', 'parked', 'trouble'], consumers.map(row)));
}

function row(consumer: ConsumerState): string[] {
  const { name, stream, kind, lag, unacknowledged, redelivered, parkedMessages } = consumer;
  const kindWord = kind === ConsumerKind.UNSPECIFIED ? '' : (ConsumerKind[kind] ?? '').toLowerCase();
  const counts = [lag, unacknowledged, redelivered, parkedMessages].map(String);
  return [name, stream, kindWord, ...counts, troubleOf(consumer)];
}

function troubleOf({ trouble, orphan, partitions }: ConsumerState): string {
  const missing = partitions.filter((each) => each.missing).map(({ partition }) => partition);
  return [
    trouble,
    orphan ? 'no program has it' : '',
    missing.length === 0 ? '' : `not there: partition ${missing.join(', ')}`,
  ]
    .filter((words) => words !== '')
    .join('; ');
}
