import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const project = new URL('../../', import.meta.url).pathname;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dependencies-'));
  for (const part of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
    cpSync(join(project, part), join(folder, part));
  symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** The rules that are broken where `from` imports `to`. */
function broken(from: string, to: string, statement = 'import'): string[] {
  const name = statement === 'import type' ? 'type Thing' : 'thing';
  write(to, 'export const thing = 1;\nexport type Thing = 1;\n');
  write(from, `export { ${name} } from '${relative(from, to)}';\n`);
  return brokenIn(from.split('/')[0] ?? '');
}

function brokenIn(part: string): string[] {
  const { stdout } = spawnSync(
    join(project, 'node_modules/.bin/depcruise'),
    [part, '--config', '.dependency-cruiser.cjs', '--output-type', 'json'],
    { cwd: folder, encoding: 'utf8' },
  );
  const { summary } = JSON.parse(stdout) as { summary: { violations: { rule: { name: string } }[] } };
  return [...new Set(summary.violations.map(({ rule }) => rule.name))];
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

function relative(from: string, to: string): string {
  return `${'../'.repeat(from.split('/').length - 1)}${to}`;
}

test.each([
  ['services/orders/domain/order.ts', 'services/orders/adapters/thing.ts', 'domain-is-pure'],
  ['services/orders/domain/order.ts', 'kit/thing.ts', 'domain-takes-only-types-from-the-kit'],
  ['services/orders/views/orders/thing.ts', 'services/orders/domain/order.ts', 'views-know-no-domain'],
  ['services/orders/doors/thing.ts', 'services/orders/adapters/thing.ts', 'adapters-are-wired-at-the-root'],
  ['services/orders/orders.ts', 'services/inventory/inventory.ts', 'services-meet-in-contracts-only'],
  ['kit/thing.ts', 'services/orders/orders.ts', 'kit-knows-no-service'],
  ['kit/thing.ts', 'gen/causeway/orders/v1/thing.ts', 'kit-knows-no-service'],
  ['gateway/gateway.ts', 'services/orders/domain/order.ts', 'gateway-uses-composition-roots-only'],
  ['kit/thing.ts', 'kit/testing/thing.ts', 'nothing-imports-tests'],
  ['services/orders/orders.ts', 'services/orders/testing/thing.ts', 'nothing-imports-tests'],
])('%s must not import %s', (from, to, rule) => {
  expect(broken(from, to)).toContain(rule);
});

test('a circle is found', () => {
  write('kit/one.ts', "import { two } from './two.ts';\nexport const one = () => two;\n");
  write('kit/two.ts', "import { one } from './one.ts';\nexport const two = () => one;\n");
  expect(brokenIn('kit')).toContain('no-circles');
});

test.each([
  ['services/orders/domain/order.ts', 'kit/thing.ts', 'import type'],
  ['services/orders/orders.ts', 'services/orders/adapters/thing.ts', 'import'],
  ['gateway/start.ts', 'services/orders/orders.ts', 'import'],
])('%s may import %s (%s)', (from, to, statement) => {
  expect(broken(from, to, statement)).toEqual([]);
});
