import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LICENSES_PAGE, type Lock, licensesPage, packagesOf, pageImports, readLock, refused } from './licenses.ts';

const root = new URL('../../', import.meta.url).pathname;
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const page = read(LICENSES_PAGE);
const packages = packagesOf(readLock(), pageImports());

test('all packages are listed with their licenses', () => {
  expect(page, 'write it with: node test/check/licenses.ts').toBe(licensesPage(page, packages));
  expect(packages.page.map(({ name }) => name)).toEqual(expect.arrayContaining(['react-dom', 'scheduler', 'wouter']));
});

test('each has a license that is allowed where it is used', () => {
  expect(refused(packages)).toEqual([]);
});

test('what the broker and the stand-in for the database are built from is listed too', () => {
  const modules = read('kit/local/nats-server/go.mod').matchAll(/^\t(\S+) (v\S+)/gm);
  const artifacts = read('kit/local/mongo-stand-in/pom.xml').matchAll(
    /<dependency>\s*<groupId>.*<\/groupId>\s*<artifactId>(.*)<\/artifactId>\s*<version>(.*)<\/version>/g,
  );
  const used = [...modules, ...artifacts].map(([, name = '', version = '']) => ({ name, version }));

  expect(used.length).toBeGreaterThan(10);
  const rows = page.split('\n');
  const isListed = ({ name, version }: (typeof used)[number]) =>
    rows.some((row) => row.startsWith(`| \`${name}\``) && row.includes(`| ${version} |`));
  expect(used.filter((each) => !isListed(each))).toEqual([]);
});

describe('a package', () => {
  const lock = (locked: Lock['packages']) => packagesOf({ packages: { '': {}, ...locked } }, ['shown']);
  const named = (license?: string, dev?: boolean) => ({
    version: '1.0.0',
    ...(license && { license }),
    ...(dev && { dev }),
  });

  test.each([
    ['GPL-3.0', undefined],
    ['MPL-2.0', undefined],
    ['(MIT AND GPL-3.0)', undefined],
    ['AGPL-3.0', true],
    [undefined, true],
  ])('with the license %s is refused (for development: %s)', (license, dev) => {
    expect(refused(lock({ 'node_modules/one': named(license, dev) }))).toEqual([
      `one 1.0.0: ${license ?? 'says no license'}`,
    ]);
  });

  test.each([
    ['(MIT AND Apache-2.0)', undefined],
    ['GPL-3.0 OR MIT', undefined],
    ['MPL-2.0', true],
  ])('with the license %s is not (for development: %s)', (license, dev) => {
    expect(refused(lock({ 'node_modules/one': named(license, dev) }))).toEqual([]);
  });

  test('that only the page needs is given to its readers, with what it needs itself', () => {
    const found = lock({
      'node_modules/shown': { ...named('MIT', true), dependencies: { inner: '1' }, peerDependencies: { peer: '1' } },
      'node_modules/inner': named('MIT', true),
      'node_modules/shown/node_modules/inner': named('MPL-2.0', true),
      'node_modules/peer': named('ISC', true),
    });

    expect(found.page.map(({ name, license }) => `${name} ${license}`)).toEqual([
      'shown MIT',
      'inner MPL-2.0',
      'peer ISC',
    ]);
    expect(found.development).toHaveLength(1);
    expect(refused(found)).toEqual(['inner 1.0.0: MPL-2.0']);
  });
});
