import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StartError } from '#kit/process.ts';

/** Where the embedded servers keep their files, held by this process alone. */
export type DataDirectory = { path: string; nats: string; mongodb: string; release(): Promise<void> };

/**
 * Takes a directory for this process; what a process that is gone left behind is taken over.
 * @param fresh whether what is in it is thrown away.
 * @throws StartError where another platform runs on it.
 */
export async function takeDataDirectory(name: string, fresh: boolean): Promise<DataDirectory> {
  const path = resolve(name);
  const lock = join(path, 'platform.pid');
  await mkdir(path, { recursive: true });
  const holder = Number(await readFile(lock, 'utf8').catch(() => ''));
  if (holder > 0 && holder !== process.pid && isPlatform(holder)) {
    throw new StartError(`${path} is in use by process ${holder}; stop it, or set CAUSEWAY_DATA to another directory`);
  }
  await writeFile(lock, String(process.pid));
  const parts = { nats: join(path, 'nats'), mongodb: join(path, 'mongodb') };
  if (fresh) await Promise.all(Object.values(parts).map((part) => rm(part, { recursive: true, force: true })));
  return { ...parts, path, release: () => rm(lock, { force: true }) };
}

/** Whether a process that lives is a platform: its pid may have gone to another program since. */
function isPlatform(pid: number): boolean {
  try {
    return execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).includes(
      'gateway/start',
    );
  } catch {
    return false;
  }
}
