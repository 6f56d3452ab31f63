import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { ownDirectory } from '#kit/testing/servers.ts';

const project = new URL('../../', import.meta.url).pathname;

/** The blocks of TypeScript in a page. */
function blocksOf(page: string): string[] {
  return [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

/** What the compiler says of each block, as a file of its own beside the project's folders. */
async function compile(blocks: { name: string; code: string }[]): Promise<string> {
  const folder = await ownDirectory();
  for (const part of ['kit', 'gen', 'node_modules', 'package.json'])
    symlinkSync(join(project, part), join(folder, part));
  mkdirSync(join(folder, 'pages'));
  for (const { name, code } of blocks) writeFileSync(join(folder, 'pages', name), code);
  const { compilerOptions } = JSON.parse(readFileSync(join(project, 'tsconfig.json'), 'utf8'));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['pages'] }));
  return spawnSync(join(project, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: folder, encoding: 'utf8' }).stdout;
}

test('the code in the how-tos and tutorials compiles, and code that does not is noticed', async () => {
  const blocks = globSync('docs/{how-to,tutorials}/*.md', { cwd: project }).flatMap((path) =>
    blocksOf(readFileSync(join(project, path), 'utf8')).map((code, index) => ({
      name: `${basename(path, '.md')}-${index + 1}.ts`,
      code,
    })),
  );
  expect(blocks.length).toBeGreaterThan(1);
  const view = blocks.find(({ code }) => code.includes('data.lines'));
  const broken = { name: 'broken.ts', code: (view?.code ?? '').replaceAll('data.lines', 'data.rows') };

  const said = await compile([...blocks, broken]);

  expect(said).toMatch(/^pages\/broken\.ts.*'rows' does not exist/m);
  expect(said.split('\n').filter((line) => line.startsWith('pages/') && !line.startsWith('pages/broken.ts'))).toEqual(
    [],
  );
});
