import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the console's sources are. */
export const CONSOLE_FOLDER = fileURLToPath(new URL('console', import.meta.url));
/** Where the page that was made from them is. */
export const CONSOLE_DIST = join(CONSOLE_FOLDER, 'dist');
/** In there, written last: the hash of what it was made from. */
export const BUILT_FROM = 'built-from';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** What the page is made from: its own files, the contracts, and packages; and by what. */
const SOURCES = [
  CONSOLE_FOLDER,
  join(ROOT, 'gen'),
  join(ROOT, 'package-lock.json'),
  join(ROOT, 'gateway/console-build.ts'),
];

/** A hash of everything that the console's page is made from. */
export async function hashOfConsole(): Promise<string> {
  const files = (await Promise.all(SOURCES.map(filesIn))).flat().sort();
  const hash = createHash('sha256');
  for (const content of await Promise.all(files.map((file) => readFile(file)))) hash.update(content);
  // A file that has another name now, or none of its content moved to another one.
  return hash.update(files.map((file) => file.slice(ROOT.length)).join('\n')).digest('hex');
}

/** Whether the page was made from the sources as they are. */
export async function isConsoleBuilt(): Promise<boolean> {
  const builtFrom = await readFile(join(CONSOLE_DIST, BUILT_FROM), 'utf8').catch(() => undefined);
  return builtFrom !== undefined && builtFrom === (await hashOfConsole());
}

async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [path];
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((file) => !file.startsWith(CONSOLE_DIST) && !/\.test\.tsx?$/.test(file));
}
