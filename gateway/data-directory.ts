import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StartError } from '#kit/process.ts';

/** Where the embedded servers keep their files, held by this process alone. */
export type DataDirectory = { path: string; nats: string; mongodb: string; release(): Promise<void> };

/** SQLite's code for a file that somebody else has locked. */
const BUSY = 5;
/** Held here, because a lock that nobody refers to is collected as garbage, and is gone then. */
const held = new Set<DatabaseSync>();

/**
 * Takes a directory for this process, until it is released or the process is gone, however it ends.
 * @throws StartError where another platform runs on it, or is being started on it.
 */
export async function takeDataDirectory(name: string): Promise<DataDirectory> {
  const path = resolve(name);
  const pidFile = join(path, 'platform.pid');
  await mkdir(path, { recursive: true });
  const lock = lockOn(join(path, 'platform.lock'));
  if (lock === undefined) {
    const holder = await readFile(pidFile, 'utf8').catch(() => '');
    const who = holder === '' ? 'another process' : `process ${holder}`;
    throw new StartError(`${path} is in use by ${who}; stop it, or set CAUSEWAY_DATA to another directory`);
  }
  await writeFile(pidFile, String(process.pid));
  return {
    path,
    nats: join(path, 'nats'),
    mongodb: join(path, 'mongodb'),
    release: async () => {
      await rm(pidFile, { force: true });
      held.delete(lock);
      lock.close();
    },
  };
}

/**
 * An exclusive lock on a file; undefined where it is taken. Node has none of its own, so it is SQLite's on an empty
 * database. The system lets go of it with the process: there is no pid to be judged, which would take `ps` and may
 * have gone to another program since, and no moment between looking and taking.
 */
function lockOn(file: string): DatabaseSync | undefined {
  const lock = new DatabaseSync(file);
  try {
    lock.exec('BEGIN EXCLUSIVE');
    held.add(lock);
    return lock;
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode === BUSY) return undefined;
    throw error;
  }
}
