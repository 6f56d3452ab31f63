import { Command } from 'commander';
import { type StreamState, StreamStateSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { asOperator, type CallingOptions, calling, oneAnswer } from './gateway-client.ts';
import { asJson, print, table, time } from './printing.ts';
import { type WatchingOptions, watching, whileWatched } from './watching.ts';

/** `streams`: what the broker keeps. */
export function streamsCommand(): Command {
  const command = new Command('streams')
    .description('what the broker keeps: journals, dead letters and buckets, and how full they are')
    .action((options: CallingOptions & WatchingOptions) => whileWatched(options, () => list(options)));
  return calling(watching(command), '', '--json');
}

async function list(options: CallingOptions): Promise<void> {
  const { streams } = await asOperator(OperationsService, options, (client) => client.listStreams({}, oneAnswer));
  if (options.json) {
    for (const stream of streams) print(asJson(StreamStateSchema, stream));
    return;
  }
  print(
    table(['stream', 'service', 'messages', 'MiB', 'full', 'last', 'replicas', 'not as declared'], streams.map(row)),
  );
}

function row(stream: StreamState): string[] {
  const { name, service, messages, bytes, maxBytes, lastAt, replicas, replicasBehind, drift } = stream;
  return [
    name,
    service,
    String(messages),
    (Number(bytes) / 1024 ** 2).toFixed(1),
    maxBytes === 0n ? '' : `${Math.floor((100 * Number(bytes)) / Number(maxBytes))} %`,
    time(lastAt),
    replicasBehind === 0 ? String(replicas) : `${replicas}, ${replicasBehind} behind`,
    drift.join('; '),
  ];
}
