import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, constants, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const MAX_BUILD_OUTPUT_BYTES = 16_000_000;

/**
 * A file or folder in the user's cache, made once by `build`, which gets a path to write to. Two builds at once do no
 * harm: each writes to a path of its own, and the one that is done first is kept.
 */
export async function builtOnce(name: string, build: (target: string) => Promise<void>): Promise<string> {
  const directory = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'causeway');
  const finished = join(directory, name);
  if (await exists(finished)) return finished;
  await mkdir(directory, { recursive: true });
  const unfinished = `${finished}.${randomUUID()}.building`;
  try {
    await build(unfinished);
    await rename(unfinished, finished).catch(async (error) => {
      if (!(await exists(finished))) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return finished;
}

/** Path of a program on the PATH; undefined where there is none. */
export async function programOnPath(name: string): Promise<string | undefined> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name);
    const executable =
      directory !== '' &&
      (await access(path, constants.X_OK).then(
        () => true,
        () => false,
      ));
    if (executable) return path;
  }
  return undefined;
}

/** What a program says: its output and its complaints together. Rejects with both where it fails. */
export async function outputOf(
  command: string,
  commandArguments: readonly string[],
  options: { cwd?: string; environment?: Record<string, string> } = {},
): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, commandArguments, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.environment },
      maxBuffer: MAX_BUILD_OUTPUT_BYTES,
    });
    return `${stdout}${stderr}`;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${commandArguments.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
