/** `npm run check`: everything that can be said of the source without running it. Runs all, says what failed. */
import { spawnSync } from 'node:child_process';
import { breakingReference, whyNoReference } from './check/breaking-reference.ts';
import { knownWeaknesses } from './check/known-weaknesses.ts';

type Check = { name: string; command: string[] };

const reference = breakingReference('.');
const unreferenced = reference === undefined ? whyNoReference('.') : undefined;

const checks: Check[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint and format', command: ['biome', 'ci', '--error-on-warnings', '--colors=off'] },
  { name: 'contracts: lint', command: ['buf', 'lint'] },
  { name: 'contracts: format', command: ['buf', 'format', '--diff', '--exit-code', '--path', 'proto/causeway'] },
  ...(reference === undefined
    ? []
    : [
        {
          name: `contracts: nothing broken since ${reference.name}`,
          command: ['buf', 'breaking', '--against', `.git#ref=${reference.commit}`],
        },
      ]),
  {
    name: 'dependency rules',
    command: ['depcruise', 'kit', 'services', 'gateway', 'bench', 'test', '--output-type', 'err'],
  },
  { name: 'nothing unused', command: ['knip'] },
  { name: 'manifests', command: ['node', 'test/manifests/main.ts'] },
];

if (reference === undefined) {
  const why = unreferenced ?? 'there is nothing to compare with yet';
  process.stdout.write(`${mustCompare() ? 'FAILED' : 'left out'} contracts: nothing broken: ${why}\n`);
}

const failed = checks.filter(({ name, command: [program = '', ...words] }) => {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  process.stdout.write(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)\n`);
  if (status !== 0) process.stdout.write(`${stdout}${stderr}\n`);
  return status !== 0;
});

const weaknesses = await knownWeaknesses('.');
const isWeak = 'found' in weaknesses && weaknesses.found.length > 0;
if ('found' in weaknesses) {
  process.stdout.write(`${isWeak ? 'FAILED' : 'ok    '} no package with a known weakness\n`);
  for (const each of weaknesses.found) process.stdout.write(`${each}\n`);
} else {
  process.stdout.write(
    `left out no package with a known weakness: the registry does not say (${weaknesses.unknownBecause})\n`,
  );
}

process.exitCode = failed.length === 0 && !isWeak && !mustCompare() ? 0 : 1;

/** At somebody's desk a shallow clone may go without; where it is decided what becomes main, it may not. */
function mustCompare(): boolean {
  return unreferenced !== undefined && process.env.CI !== undefined;
}
