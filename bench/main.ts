/** `npm run bench`: measures, one JSON line per figure on stdout, a table on stderr. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runProcess, StartError, type Started } from '#kit/process.ts';
import { type Bench, fullSizes, type Measurement, measured, quickSizes } from './bench.ts';
import { type Figure, figureNames, table } from './figures.ts';
import { loadGenerator } from './load.ts';
import { accepting, following, fulfilling } from './measures/fulfilling.ts';
import { growth } from './measures/growth.ts';
import { operating } from './measures/operating.ts';
import { placing, placingAgainstEcho } from './measures/placing.ts';
import { reserving } from './measures/reserving.ts';
import { idling, scaling } from './measures/scaling.ts';
import { startup } from './measures/startup.ts';
import { visible } from './measures/visible.ts';

const HELP = `Measures the platform on servers of its own, which are removed at the end.

npm run bench                           everything, about ten minutes
npm run bench -- --quick                the same on a small scale, to see that it works
npm run bench -- --only NAME[,NAME...]  these figures, and others that are measured with them
npm run bench -- --profile DIRECTORY    each platform leaves a CPU profile there, to be opened in Chrome's DevTools

Figures: ${figureNames.join(', ')}
`;

const measurements: readonly Measurement[] = [
  placing,
  placingAgainstEcho,
  visible,
  growth,
  startup,
  fulfilling,
  following,
  accepting,
  reserving,
  operating,
  scaling,
  idling,
];

await runProcess(async (started) => {
  const { quick, only, profile } = options();
  await loadGenerator();
  const bench = await makeBench(quick, profile, started);
  const wanted = measurements.filter(({ names }) => names.some((name) => only?.includes(name) ?? true));
  const all: Figure[] = [];
  for (const measurement of wanted) {
    bench.say(`measuring ${measurement.names.join(', ')}`);
    await told(measured(measurement, bench), all).catch((error) => {
      bench.say(`FAILED: ${error instanceof Error ? error.stack : error}`);
      process.exitCode = 1;
    });
  }
  process.stderr.write(`\n${table(all)}\n`);
  await started.stop();
});

/** Prints each figure as soon as it is there. */
async function told(figures: AsyncIterable<Figure>, all: Figure[]): Promise<void> {
  for await (const figure of figures) {
    all.push(figure);
    process.stdout.write(`${JSON.stringify(figure)}\n`);
  }
}

type Options = { quick: boolean; only: string[] | undefined; profile: string | undefined };

function options(): Options {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string' },
        profile: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const only = values.only?.split(',');
    const unknown = only?.find((name) => !figureNames.some((known) => known === name));
    if (unknown !== undefined) throw new Error(`there is no figure ${unknown}`);
    return { quick: values.quick ?? false, only, profile: values.profile };
  } catch (error) {
    throw new StartError(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  }
}

async function makeBench(quick: boolean, profile: string | undefined, started: Started): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-bench-'));
  started.add('the directory', () => rm(directory, { recursive: true, force: true }));
  const began = performance.now();
  return {
    sizes: quick ? quickSizes : fullSizes,
    directory,
    started,
    nodeOptions: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`],
    say: (line) => process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(0).padStart(4)} s  ${line}\n`),
  };
}
