import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { StartError } from '#kit/process.ts';
import { PERMISSIONS_FILE } from '../broker-permissions.ts';
import { print, tell } from '../printing.ts';
import { type NewService, namesOf } from './names.ts';
import { type Plan, planOf } from './plan.ts';

type Options = { aggregate?: string; dryRun: boolean };

const root = new URL('../../../', import.meta.url).pathname;

const WHAT_IT_WRITES = `A service that starts, with a contract, a decider, a view, tests and its deploy entry, wired into the gateway and into
npm start. Its name is for ever: its stream, its subjects and its settings have it. What it decides about (its aggregate) is
called as the service is, in the singular, unless --aggregate says another name.

Examples:
  npm run causeway -- new-service reviews
  npm run causeway -- new-service loyalty --aggregate loyalty-account
  npm run causeway -- new-service gift-cards --dry-run`;

/** `new-service`: writes a service that runs. */
export function newServiceCommand(): Command {
  return new Command('new-service')
    .description('write a service that starts, with its contract, decider, view, tests and deploy entry')
    .argument('<name>', 'what it is called, in words of a-z and 0-9 with dashes between them')
    .option('--aggregate <name>', 'one of what it decides about')
    .option('--dry-run', 'say what would be written, and write nothing', false)
    .addHelpText('after', `\n${WHAT_IT_WRITES}`)
    .action(newService);
}

function newService(name: string, { aggregate, dryRun }: Options): void {
  const names = namesOf(name, aggregate);
  const plan = planOf(root, names);
  const status = run('git', ['status', '--porcelain']);
  if (status === undefined) tell('warning: this is no git repository; what was there can not be brought back');
  else if (status !== '') tell('warning: there are changes that are not committed; what is written comes among them');
  if (dryRun) {
    print(`Would write:\n${listed(plan)}`);
    return;
  }
  for (const [path, text] of [...plan.written, ...plan.changed]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  finish(plan, names);
  print(`Written:\n${listed(plan)}\n\n${nextSteps(names)}`);
}

/** Generates code from the contract, takes the examples of its events, and brings all into its form. */
function finish({ written, changed, examples }: Plan, { service }: NewService): void {
  const contract = `proto/causeway/${service.snake}`;
  const steps: [program: string, words: string[]][] = [
    ['buf', ['format', '-w', '--path', contract]],
    ['npm', ['run', '-s', 'postinstall']],
    ...examples.map(({ type, key, says }): [string, string[]] => [
      process.execPath,
      ['test/golden/add.ts', type, key, JSON.stringify(says)],
    ]),
    [process.execPath, ['gateway/cli/main.ts', 'permissions']],
    ['biome', ['check', '--write', '--colors=off', ...[...written.keys(), ...changed.keys()].filter(isCode)]],
  ];
  for (const [program, words] of steps) {
    if (run(program, words) !== undefined) continue;
    throw new StartError(
      `everything is written, but this failed: ${[program, ...words].join(' ')}\n` +
        `Mend it and run it again, or take all of it back: git checkout . && git clean -fd services proto deploy test`,
    );
  }
}

function isCode(path: string): boolean {
  return path.endsWith('.ts');
}

/** What a program prints; undefined where it failed, with its words on stderr. */
function run(program: string, words: readonly string[]): string | undefined {
  const PATH = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`;
  const ran = spawnSync(program, words, { cwd: root, encoding: 'utf8', env: { ...process.env, PATH } });
  if (ran.status === 0) return ran.stdout;
  tell(`${ran.stdout ?? ''}${ran.stderr ?? ''}${ran.error?.message ?? ''}`.trim());
  return undefined;
}

function listed({ written, changed, additions, examples }: Plan): string {
  const added = (path: string) =>
    additions.filter((each) => each.path === path).map(({ line }) => `      ${line.trim()}`);
  return [
    ...[...written.keys()].toSorted().map((path) => `  new      ${path}`),
    ...examples.map(({ type }) => `  new      test/golden/events/${type}.json`),
    ...[...changed.keys(), PERMISSIONS_FILE].flatMap((path) => [`  changed  ${path}`, ...added(path)]),
  ].join('\n');
}

function nextSteps({ service, aggregate }: NewService): string {
  const method = `causeway.${service.snake}.v1.${service.pascal}Service/Add${aggregate.pascal}`;
  return `What to do next:
  1. Look at it: services/${service.kebab}/README.md, then services/${service.kebab}/${service.kebab}.ts.
  2. Try it: npx vitest run services/${service.kebab}
  3. Start it, with all others: npm start, and from another terminal:
       TOKEN=$(npm run -s causeway -- token --role customer --subject alice)
       curl -sS http://127.0.0.1:8080/${method} \\
         -H 'content-type: application/json' -H "authorization: Bearer $TOKEN" -d '{"title": "The first"}'
  4. Make it yours: docs/tutorials/a-service-in-thirty-minutes.md
  5. Before it is committed: npm run check && npm test`;
}
