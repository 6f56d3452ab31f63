/** `npm run console`: makes the console's page from its sources, into the folder that the gateway serves. */
import { chmod, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import { build } from 'vite';
import { BUILT_FROM, CONSOLE_DIST, CONSOLE_FOLDER, hashOfConsole, isConsoleBuilt } from './console-sources.ts';

/** Less than a packet gains nothing. */
const WORTH_COMPRESSING_BYTES = 1_000;
const COMPRESSIBLE = /\.(js|css|svg|json|txt)$/;

// Whoever has it built: with another one React comes as it is for development, and twice as large.
process.env.NODE_ENV = 'production';
const started = performance.now();
const builtFrom = await hashOfConsole();
// Beside the one that is served, and in its place once it is whole: whoever builds at the same time has another one.
const building = await mkdtemp(`${CONSOLE_DIST}-`);
try {
  await build({
    configFile: join(CONSOLE_FOLDER, 'vite.config.ts'),
    build: { outDir: building, emptyOutDir: true },
    logLevel: 'warn',
  });
  const bytes = await compressAll(building);
  await writeFile(join(building, BUILT_FROM), builtFrom);
  await putInPlace();
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  process.stdout.write(`console   built in ${seconds} s, ${Math.ceil(bytes / 1_000)} kB with gzip\n`);
} finally {
  await rm(building, { recursive: true, force: true });
}

async function putInPlace(): Promise<void> {
  // Whoever runs the gateway need not be who has built the page.
  await chmod(building, 0o755);
  try {
    await rm(CONSOLE_DIST, { recursive: true, force: true });
    await rename(building, CONSOLE_DIST);
  } catch (error) {
    // Somebody else was done at the same moment.
    if (!(await isConsoleBuilt())) throw error;
  }
}

/** Puts what a browser would rather have beside each file. @returns the size of all of them with gzip, in bytes. */
async function compressAll(folder: string): Promise<number> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => compress(join(file.parentPath, file.name))),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function compress(path: string): Promise<number> {
  const plain = await readFile(path);
  if (plain.length < WORTH_COMPRESSING_BYTES || !COMPRESSIBLE.test(path)) return plain.length;
  const [gzipped, brotli] = await Promise.all([promisify(gzip)(plain, { level: 9 }), promisify(brotliCompress)(plain)]);
  await Promise.all([writeFile(`${path}.gz`, gzipped), writeFile(`${path}.br`, brotli)]);
  return gzipped.length;
}
