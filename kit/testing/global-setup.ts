import { spawn } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startMongodb } from '#kit/local/mongodb.ts';
import { startNats } from '#kit/local/nats.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where test files put what they want on disk; removed after the run. */
    testDirectory: string;
    sharedMongodb: string;
    sharedNats: string;
  }
}

const PROJECT = join(import.meta.dirname, '../..');

/** Builds what the servers need, and starts those that all test files share. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-tests-'));
  await keepCompiled();
  const [mongodb, nats] = await Promise.all([
    startMongodb(),
    startNats({ directory: join(directory, 'shared-nats'), syncAlways: false }),
  ]);
  project.provide('testDirectory', directory);
  project.provide('sharedMongodb', mongodb.url);
  project.provide('sharedNats', nats.url);
  return async () => {
    await Promise.all([mongodb.stop(), nats.stop()]);
    // The servers of a platform that was killed end a moment after it, and write until then.
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  };
}

/** The programs that tests start are compiled once: most of what a start costs. Those that are killed keep nothing. */
async function keepCompiled(): Promise<void> {
  process.env.NODE_COMPILE_CACHE ??= join(PROJECT, 'node_modules', '.cache', 'compiled');
  const isThere = await access(process.env.NODE_COMPILE_CACHE).then(
    () => true,
    () => false,
  );
  if (!isThere) spawn(process.execPath, ['gateway/start.ts', '--help'], { cwd: PROJECT, stdio: 'ignore' });
}
