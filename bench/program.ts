import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Runs a program of this folder to its end. What it prints is JSON. */
export async function resultOf<Result>(program: string, words: readonly string[]): Promise<Result> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, program), ...words], {
    maxBuffer: 64 * 1024 ** 2,
  });
  return JSON.parse(stdout) as Result;
}
