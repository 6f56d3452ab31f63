import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, type DescFile, type DescMethod, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { builtOnce, outputOf, programOnPath } from '#kit/local/cache.ts';

/** As in load-generator/go.mod, where its sum stands too. */
const VERSION = '0.93.0';
const CONNECTIONS = 4;

export type Load = {
  /** `host:port` of a gRPC server in the clear. */
  address: string;
  method: DescMethod;
  /** Encoded requests, each sent once. */
  messages: readonly Uint8Array[];
  /** Calls under way at once. */
  inFlight: number;
  /** Calls that are begun in a second; left out: as many as there are answers. */
  perSecond?: number;
  /** What the header `authorization` says. */
  authorization?: string;
  /** Whether calls that fail are only counted. */
  mayFail?: boolean;
};

export type LoadResult = {
  calls: number;
  /** How many of them had an answer other than OK. */
  failed: number;
  seconds: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU that the load generator itself has used. */
  cpuSeconds: number;
};

/** Sends every message once, over four connections. @throws Error where an answer is not OK and may not be so. */
export async function runLoad(directory: string, load: Load): Promise<LoadResult> {
  const program = await loadGenerator();
  const run = join(directory, randomUUID());
  const [contracts, messages, report] = [`${run}.contracts`, `${run}.messages`, `${run}.json`];
  await Promise.all([
    writeFile(contracts, encodedContracts(load.method.parent.file)),
    writeFile(messages, delimited(load.messages)),
  ]);
  const metadata = load.authorization === undefined ? {} : { authorization: load.authorization };
  const said = await outputOf('sh', [
    ...['-c', '"$@" || exit; times', 'sh', program],
    ...['--insecure', '--protoset', contracts, '--call', `${load.method.parent.typeName}/${load.method.name}`],
    ...['--binary-file', messages, '--metadata', JSON.stringify(metadata)],
    ...(load.perSecond === undefined ? [] : ['--rps', String(load.perSecond)]),
    ...['--total', String(load.messages.length), '--concurrency', String(load.inFlight)],
    ...['--connections', String(Math.min(CONNECTIONS, load.inFlight)), '--format', 'json', '--output', report],
    load.address,
  ]);
  return parseReport(JSON.parse(await readFile(report, 'utf8')), said, load.mayFail);
}

type Report = {
  count: number;
  total: number;
  rps: number;
  latencyDistribution: { percentage: number; latency: number }[] | null;
  statusCodeDistribution: Record<string, number>;
  errorDistribution: Record<string, number>;
};

const NANOSECONDS_PER_MS = 1_000_000;

/** What the load generator reports, with what the shell's `times` says of it. */
export function parseReport(report: Report, times: string, mayFail = false): LoadResult {
  const { count, total, rps, statusCodeDistribution, errorDistribution } = report;
  const failed = count - (statusCodeDistribution.OK ?? 0);
  if (failed > 0 && !mayFail) {
    throw new Error(`not every call was answered: ${JSON.stringify({ statusCodeDistribution, errorDistribution })}`);
  }
  const latency = (percentage: number) =>
    (report.latencyDistribution?.find((each) => each.percentage === percentage)?.latency ?? Number.NaN) /
    NANOSECONDS_PER_MS;
  return {
    calls: count,
    failed,
    seconds: total / NANOSECONDS_PER_MS / 1_000,
    perSecond: rps,
    p50Ms: latency(50),
    p99Ms: latency(99),
    cpuSeconds: parseTimes(times),
  };
}

/** The second line of the shell's `times`: user and system time of what it ran, such as `0m1.250000s 0m0.41s`. */
export function parseTimes(times: string): number {
  const [, user, system] = /^(\S+) (\S+)\s*$/.exec(times.trim().split('\n').at(-1) ?? '') ?? [];
  return [user, system].reduce((sum, time) => {
    const [, minutes, seconds] = /^(\d+)m([\d.]+)s$/.exec(time ?? '') ?? [];
    return sum + Number(minutes) * 60 + Number(seconds);
  }, 0);
}

function delimited(messages: readonly Uint8Array[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const message of messages) writer.bytes(message);
  return writer.finish();
}

/** A contract with all that it imports, what is imported first. */
function encodedContracts(file: DescFile): Uint8Array {
  const files = new Set<DescFile>();
  const collect = (each: DescFile) => {
    for (const dependency of each.dependencies) collect(dependency);
    files.add(each);
  };
  collect(file);
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [...files].map((f) => f.proto) }));
}

/** ghz, built once. Rejects with what to install where it can't be. */
export async function loadGenerator(): Promise<string> {
  return builtOnce(`ghz-${VERSION}`, async (target) => {
    const go = await programOnPath('go');
    if (go === undefined) {
      throw new Error(
        'There is no load generator: ghz is built with Go, and there is none. Install it: https://go.dev/dl',
      );
    }
    process.stderr.write(`building ghz ${VERSION}, once, about half a minute\n`);
    await outputOf(
      go,
      ['build', '-mod=readonly', '-trimpath', '-ldflags=-s -w', '-o', target, 'github.com/bojand/ghz/cmd/ghz'],
      { cwd: join(import.meta.dirname, 'load-generator'), environment: { CGO_ENABLED: '0', GOWORK: 'off' } },
    );
  });
}
