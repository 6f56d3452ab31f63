/** `npm run fuzz`: malformed requests at the doors of a platform of its own. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '#kit/local/free-port.ts';
import { runProcess, StartError, type Started } from '#kit/process.ts';
import { DEVELOPMENT_KEY, signToken } from '#kit/rpc/identity.ts';
import { startStack } from '../../bench/stack.ts';
import type { Doors } from '../platform.ts';
import { countsIn, type Finding, type Fuzzed, fuzz, tooManyAgain } from './fuzz.ts';
import { caseToJson, type FuzzCase, keptCases } from './fuzz-case.ts';
import { caseOf } from './generate.ts';
import { Memory } from './memory.ts';
import { CUSTOMER } from './messages.ts';
import { completesAnOrder, placeKnownOrder } from './order.ts';

const HELP = `Sends malformed requests to every method over every protocol, on servers of its own, and looks at what comes back: no
crash, no INTERNAL, nothing of what is inside, nobody waits, and the memory stays as it is.

npm run fuzz                            100,000 requests
npm run fuzz -- --requests N --seed S   so many, and the same ones again
npm run fuzz -- --keep DIRECTORY        writes each case that failed there; those of test/fuzz/seeds come first in each run
`;

const AT_ONCE = 48;
const PROGRESS_EVERY = 5_000;
/** Characters of the log of a platform that has ended. */
const LAST_WORDS = 5_000;
/** Growth of what is still in use, after this share of a run, that is still flat. */
const WARM = 0.2;
const FLAT_MIB = 48;

await runProcess(async (started) => {
  const { requests, seed, keep } = options();
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const tell = firstOfEach((finding) => {
    process.stderr.write(told(finding));
    if (keep !== undefined) keepCase(keep, finding);
  });
  say(`${requests} requests, --seed ${seed}`);
  const { doors, memory, log, isAlive } = await ownPlatform(started);
  const tokens = {
    '{customer}': await signToken({ subject: CUSTOMER, role: 'customer' }, DEVELOPMENT_KEY, '1d'),
    '{operator}': await signToken({ subject: 'olga', role: 'operator' }, DEVELOPMENT_KEY, '1d'),
  };
  await placeKnownOrder(doors, tokens['{customer}']);
  const began = performance.now();
  let warm = { rssMiB: 0, heapMiB: 0 };
  const fuzzed = await fuzz(doors, cases(await keptCases(), seed, requests), {
    atOnce: AT_ONCE,
    tokens,
    isAlive,
    onFinding: tell,
    onProgress: async (answered, soFar) => {
      if (answered === Math.floor(requests * WARM)) warm = await memory.afterCollection();
      if (answered % PROGRESS_EVERY === 0) process.stderr.write(`${answered}: ${summary(soFar, began)}\n`);
    },
  });
  say(`${summary(fuzzed, began)}; ${countsIn(fuzzed.answers)}`);
  const again = tooManyAgain(fuzzed);
  const end = isAlive() ? await memory.afterCollection() : warm;
  const logged = await log();
  const problems = [
    ...(isAlive()
      ? await problemsOfOrders(doors, tokens['{customer}'])
      : [`the platform has ended:\n${logged.slice(-LAST_WORDS)}`]),
    ...errorsIn(logged),
    ...(again === undefined ? [] : [again]),
    ...(end.heapMiB - warm.heapMiB > FLAT_MIB ? [`the heap has grown by ${end.heapMiB - warm.heapMiB} MiB`] : []),
  ];
  say(`memory after a collection: ${JSON.stringify(warm)} at a fifth, ${JSON.stringify(end)} at the end`);
  for (const problem of problems) say(`PROBLEM ${problem}`);
  await started.stop();
  process.exit(problems.length + fuzzed.findings.length === 0 ? 0 : 1);
});

function options(): { requests: number; seed: number; keep: string | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        requests: { type: 'string', default: '100000' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
        keep: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    for (const number of [values.requests, values.seed]) {
      if (!/^\d{1,10}$/.test(number)) throw new Error(`${number} is not a number of requests, nor a seed`);
    }
    return { requests: Number(values.requests), seed: Number(values.seed), keep: values.keep };
  } catch (error) {
    throw new StartError(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  }
}

/** As `npm start` runs it, with a door for who looks at its memory. */
async function ownPlatform(started: Started) {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-fuzz-'));
  started.add('the directory', () => rm(directory, { recursive: true, force: true }));
  const inspector = await freePort();
  const stack = await startStack(
    directory,
    { syncAlways: false, nodeOptions: [`--inspect=127.0.0.1:${inspector}`], deliversAfter: '1s' },
    started,
  );
  const memory = await Memory.of(inspector);
  started.add('the look at the memory', () => memory.close());
  const pid = stack.platformPid();
  return {
    doors: stack,
    memory,
    log: () => readFile(join(directory, 'platform', 'platform.log'), 'utf8'),
    isAlive: () => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    },
  };
}

async function problemsOfOrders(doors: Doors, token: string): Promise<string[]> {
  return completesAnOrder(doors, token).then(
    () => [],
    (error) => [`an order is not completed any more: ${error}`],
  );
}

function* cases(kept: readonly FuzzCase[], seed: number, requests: number): Generator<FuzzCase> {
  yield* kept;
  for (let index = 0; index < requests; index++) yield caseOf(seed, index);
}

function seconds(began: number): string {
  return ((performance.now() - began) / 1_000).toFixed(1);
}

/** Lines that tell of what nobody foresaw, each once; and what is no line of the log at all, such as a library's warning. */
function errorsIn(log: string): string[] {
  const lines = log.slice(log.indexOf('Causeway is ready')).split('\n');
  const bad = lines.filter(
    (line) => /"level":"(?:error|fatal)"/.test(line) || /Warning|^\w*Error\b|^\s+at |Failed to|^handler for/.test(line),
  );
  const kinds = new Map(bad.map((line) => [line.replace(/\d+/g, '').slice(0, 400), line]));
  return [...kinds.values()].map((line) => `the log says: ${line.slice(0, 1_500)}`);
}

/** Passes on the first of those that are alike. */
function firstOfEach(pass: (finding: Finding) => void): (finding: Finding) => void {
  const seen = new Set<string>();
  return (finding) => {
    const kind = `${finding.why} ${finding.answer.said.replace(/\d+/g, '').slice(0, 120)}`;
    if (!seen.has(kind)) pass(finding);
    seen.add(kind);
  };
}

function told({ why, fuzzCase, answer }: Finding): string {
  return `FAILED ${why}\n${caseToJson(fuzzCase).slice(0, 1_500)}${answer.said.slice(0, 1_000)}\n\n`;
}

function summary({ findings, slowest, again }: Fuzzed, began: number): string {
  const sentAgain = again.size === 0 ? '' : `, sent again: ${countsIn(again)}`;
  return `${seconds(began)} s, the slowest answer after ${slowest.ms.toFixed(0)} ms (${slowest.name}), ${findings.length} failed${sentAgain}`;
}

function keepCase(directory: string, { fuzzCase, why }: Finding): void {
  const name = `${why} ${fuzzCase.name}`.replace(/[^A-Za-z0-9]+/g, '-').toLowerCase();
  writeFileSync(join(directory, `${name.slice(0, 60)}-${randomUUID().slice(0, 4)}.json`), caseToJson(fuzzCase));
}
