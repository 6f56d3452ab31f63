/** Writes docs/licenses.md: `node test/check/licenses.ts`. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Package = { name: string; version: string; license: string };
export type Lock = { packages: Record<string, LockedPackage> };
type LockedPackage = {
  version?: string;
  license?: string;
  dev?: boolean;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
};

const root = new URL('../../', import.meta.url).pathname;
export const LICENSES_PAGE = 'docs/licenses.md';

/** They ask for no more than to be named. */
const PERMISSIVE = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
];
/** What is only used to build and to test, and given to nobody, may ask for more of who changes it. */
const PERMISSIVE_OR_NOT_GIVEN = [...PERMISSIVE, 'MPL-2.0', 'Python-2.0'];

const MODULES = 'node_modules/';

/** The packages of a lock file: what runs on servers, what is in the console's page, what builds and tests. */
export function packagesOf(lock: Lock, pageImports: readonly string[]) {
  const inPage = closure(lock, pageImports);
  const all = Object.entries(lock.packages).filter(([path]) => path !== '');
  const named = (entries: typeof all) =>
    entries.map(([path, { version = '', license = '' }]) => ({ name: nameOf(path), version, license }));
  return {
    servers: named(all.filter(([, { dev }]) => !dev)),
    page: named(all.filter(([path]) => inPage.has(path))),
    development: named(all.filter(([path, { dev }]) => dev && !inPage.has(path))),
  };
}

/** Paths of these packages and of all that they need. */
function closure(lock: Lock, names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const add = (name: string, from: string) => {
    const path = resolved(lock, name, from);
    if (path === undefined || found.has(path)) return;
    found.add(path);
    const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = lock.packages[path] ?? {};
    const peers = Object.keys(peerDependencies).filter((peer) => !peerDependenciesMeta[peer]?.optional);
    for (const needed of [...Object.keys(dependencies), ...peers]) add(needed, path);
  };
  for (const name of names) add(name, '');
  return found;
}

/** Where a package finds another: in its own folder, or in one above. */
function resolved(lock: Lock, name: string, from: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf(`/${MODULES}`)))) {
    const path = `${folder === '' ? '' : `${folder}/`}${MODULES}${name}`;
    if (lock.packages[path] !== undefined) return path;
    if (folder === '') return undefined;
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf(MODULES) + MODULES.length);
}

/** The packages whose license is none of those that are allowed where they are used. */
export function refused({ servers, page, development }: ReturnType<typeof packagesOf>): string[] {
  const isRefused = (allowed: readonly string[]) => (each: Package) => !isAllowed(each.license, allowed);
  return [
    ...[...servers, ...page].filter(isRefused(PERMISSIVE)),
    ...development.filter(isRefused(PERMISSIVE_OR_NOT_GIVEN)),
  ].map(({ name, version, license }) => `${name} ${version}: ${license || 'says no license'}`);
}

/** Of an SPDX expression without brackets in brackets: every one of what is joined by AND, one of what is joined by OR. */
function isAllowed(expression: string, allowed: readonly string[]): boolean {
  const inner = expression.replace(/^\((.*)\)$/, '$1');
  return inner.split(' OR ').some((choice) => choice.split(' AND ').every((license) => allowed.includes(license)));
}

/** The packages that the console's sources import. */
export function pageImports(): string[] {
  const sources = globSync('gateway/console/**/*.{ts,tsx}', {
    cwd: root,
    exclude: ['**/*.test.ts', '**/vite.config.ts', '**/dist*/**'],
  });
  const imported = sources.flatMap((path) =>
    [...readFileSync(join(root, path), 'utf8').matchAll(/ from '((?:@[\w-]+\/)?[a-z][\w-]*)[^']*'/g)].map(
      ([, name = '']) => name,
    ),
  );
  return [...new Set(imported)].sort();
}

export function readLock(): Lock {
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
}

/** The page, with what was written by hand in the one that is there kept as it is. */
export function licensesPage(before: string, { servers, page, development }: ReturnType<typeof packagesOf>): string {
  const [byHand = ''] = before.split(GENERATED);
  return `${byHand}${GENERATED}

## On servers

${table(servers)}

## In the console's page

${table(page)}

## To build and to test

Given to nobody.

${byLicense(development)}
`;
}

const GENERATED = '<!-- From here on made by `node test/check/licenses.ts`, from package-lock.json. -->';

function table(packages: readonly Package[]): string {
  const rows = inOrder(packages).map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`);
  return ['| package | version | license |', '| --- | --- | --- |', ...rows].join('\n');
}

function byLicense(packages: readonly Package[]): string {
  const groups = Map.groupBy(inOrder(packages), ({ license }) => license);
  const rows = [...groups]
    .toSorted(([one], [other]) => order(one, other))
    .map(([license, list]) => `| ${license} | ${list.map(({ name, version }) => `${name} ${version}`).join(', ')} |`);
  return ['| license | packages |', '| --- | --- |', ...rows].join('\n');
}

function inOrder(packages: readonly Package[]): Package[] {
  const byKey = new Map(packages.map((each) => [`${each.name} ${each.version}`, each]));
  return [...byKey].toSorted(([one], [other]) => order(one, other)).map(([, each]) => each);
}

/** The same in every language of the machine. */
function order(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

if (import.meta.main) {
  const path = join(root, LICENSES_PAGE);
  writeFileSync(path, licensesPage(readFileSync(path, 'utf8'), packagesOf(readLock(), pageImports())));
}
