import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const project = new URL('../../', import.meta.url).pathname;

const forbidden: [from: string, to: string, rule: string][] = [
  ['services/orders/domain/order.ts', 'services/orders/adapters/thing.ts', 'domain-is-pure'],
  ['services/orders/domain/order.ts', 'kit/thing.ts', 'domain-takes-only-types-from-the-kit'],
  ['services/orders/views/orders/thing.ts', 'services/orders/domain/order.ts', 'views-know-no-domain'],
  ['services/orders/doors/thing.ts', 'services/orders/adapters/thing.ts', 'adapters-are-wired-at-the-root'],
  ['services/orders/orders.ts', 'services/inventory/inventory.ts', 'services-meet-in-contracts-only'],
  ['kit/thing.ts', 'services/orders/orders.ts', 'kit-knows-no-service'],
  ['kit/thing.ts', 'gen/causeway/orders/v1/thing.ts', 'kit-knows-no-service'],
  ['kit/thing.ts', 'gen/events.js', 'kit-knows-no-service'],
  ['gateway/gateway.ts', 'services/orders/domain/order.ts', 'gateway-uses-composition-roots-only'],
  ['kit/thing.ts', 'kit/testing/thing.ts', 'nothing-imports-tests'],
  ['services/orders/orders.ts', 'services/orders/testing/thing.ts', 'nothing-imports-tests'],
];
const circle = ['kit/one.ts', 'kit/two.ts'] as const;
const allowed: [from: string, to: string, statement: 'import' | 'import type'][] = [
  ['services/orders/domain/item.ts', 'kit/thing.ts', 'import type'],
  ['services/orders/orders.ts', 'services/orders/adapters/thing.ts', 'import'],
  ['gateway/start.ts', 'services/orders/orders.ts', 'import'],
];

type Broken = { from: string; to: string; rule: { name: string } };
let found: { violations: Broken[]; imports: string[] };
let folder: string;

// All imports stand in one project: nearly all that a look at it costs is the start of the program that looks.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dependencies-'));
  for (const part of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
    cpSync(join(project, part), join(folder, part));
  symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
  for (const [from, to] of [...forbidden, circle, [circle[1], circle[0]] as const]) writeImport(from, to, 'import');
  for (const [from, to, statement] of allowed) writeImport(from, to, statement);
  found = cruise();
});

afterAll(() => rmSync(folder, { recursive: true }));

function writeImport(from: string, to: string, statement: 'import' | 'import type'): void {
  const up = '../'.repeat(from.split('/').length - 1);
  const kind = statement === 'import type' ? 'type ' : '';
  add(to, '');
  add(from, `export ${kind}* from '${up}${to}';\n`);
}

function add(file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  appendFileSync(join(folder, file), text);
}

function cruise(): typeof found {
  const parts = ['kit', 'services', 'gateway', '--config', '.dependency-cruiser.cjs', '--output-type', 'json'];
  const program = join(project, 'node_modules/.bin/depcruise');
  const { stdout } = spawnSync(program, parts, { cwd: folder, encoding: 'utf8' });
  const { summary, modules } = JSON.parse(stdout) as {
    summary: { violations: Broken[] };
    modules: { source: string; dependencies: { resolved: string }[] }[];
  };
  const imports = modules.flatMap(({ source, dependencies }) => dependencies.map((to) => `${source} ${to.resolved}`));
  return { violations: summary.violations, imports };
}

/** The rules that are broken where `from` imports `to`, which it was seen to do. */
function broken(from: string, to: string): string[] {
  expect(found.imports).toContain(`${from} ${to}`);
  return found.violations.filter((each) => each.from === from && each.to === to).map(({ rule }) => rule.name);
}

test.each(forbidden)('%s must not import %s', (from, to, rule) => {
  expect(broken(from, to)).toContain(rule);
});

test('a circle is found', () => {
  expect(broken(...circle)).toContain('no-circles');
});

test.each(allowed)('%s may import %s (%s)', (from, to) => {
  expect(broken(from, to)).toEqual([]);
});
