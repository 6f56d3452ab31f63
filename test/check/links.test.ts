import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;
const pages = globSync('**/*.md', { cwd: root, exclude: ['node_modules/**', 'gen/**', '.data/**'] }).sort();

/** What a page refers to and is not there. Paths in code are from the root; those of files that one is to make are not looked at. */
function missing(page: string, text: string, exists: (path: string) => boolean): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '');
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target.replace(/#.*/, ''))
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target))
    .map((target) => ({ said: target, path: normalize(join(dirname(page), target)) }));
  const paths = [...prose.matchAll(/`((?:kit|test|services|gateway|bench|docs|proto|deploy)\/[\w./-]+)`/g)].map(
    ([, path = '']) => ({ said: path, path }),
  );
  return [...links, ...paths].filter(({ path }) => !exists(path)).map(({ said }) => said);
}

/** The tests that a page names as `file`: "name", "name". */
function namedTests(text: string): { file: string; name: string }[] {
  return [...text.matchAll(/`([\w./-]+\.test\.ts)`: ("[^"|]+"(?:, "[^"|]+")*)/g)].flatMap(([, file = '', names = '']) =>
    [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => ({ file, name })),
  );
}

/** Whether a file has a test of this name: by itself, or as what a `describe` begins and a test ends. */
function hasTest(source: string, name: string): boolean {
  const isTitle = (text: string) => ["'", '"', '`'].some((quote) => source.includes(`${quote}${text}${quote}`));
  const words = name.split(' ');
  return (
    isTitle(name) || words.some((_, at) => isTitle(words.slice(0, at).join(' ')) && isTitle(words.slice(at).join(' ')))
  );
}

const read = (path: string) => readFileSync(join(root, path), 'utf8');

test.each(pages)('what %s refers to is there', (page) => {
  expect(missing(page, read(page), (path) => existsSync(join(root, path)))).toEqual([]);
});

test('the guarantees name tests that there are', () => {
  const named = namedTests(read('docs/guarantees.md'));

  expect(named.length).toBeGreaterThan(50);
  expect(named.filter(({ file, name }) => !hasTest(read(file), name))).toEqual([]);
});

test('every guarantee names a test', () => {
  const rows = read('docs/guarantees.md')
    .split('\n')
    .filter((line) => line.startsWith('| **'));

  expect(rows.filter((row) => namedTests(row).length === 0)).toEqual([]);
});

test('the operating page names every metric of ours, and every stream that is declared', () => {
  const page = read('docs/operating.md');
  const sources = globSync('{kit,services,gateway}/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] }).map(read);
  const metrics = sources.flatMap((source) =>
    [...source.matchAll(/(?:[gG]auge|counter|seconds)\(\s*'(causeway\.[\w.]+)'/g)].map(([, name = '']) => name),
  );
  const journals = sources.flatMap((source) =>
    [...source.matchAll(/journalOf\('(\w+)'\)/g)].map(([, name = '']) => name),
  );
  const named = [...metrics.map((name) => name.replaceAll('.', '_')), ...journals.map((name) => name.toUpperCase())];

  expect(new Set(metrics).size).toBeGreaterThan(8);
  expect(new Set(journals).size).toBeGreaterThan(6);
  expect(new Set([...named, 'NOTICES', 'PUBLIC'].filter((name) => !page.includes(name)))).toEqual(new Set());
});

describe('a page', () => {
  test('that refers to what is not there is noticed, by a link and by a path', () => {
    const text =
      'See [how](how-to/none.md#here), [web](https://example.com), [here](#x), `kit/none.ts` and `kit/journal.ts`.';
    expect(missing('docs/page.md', text, (path) => path === 'kit/journal.ts')).toEqual([
      'how-to/none.md',
      'kit/none.ts',
    ]);
  });

  test('that names a test which is not there is noticed', () => {
    const [first, second] = namedTests('`kit/a.test.ts`: "a thing does", "a thing does not"');
    const source = "describe('a thing', () => { test('does', () => {}); });";
    expect([first, second].map((each) => hasTest(source, each?.name ?? ''))).toEqual([true, false]);
  });
});
