import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const TIMEOUT_MS = 300_000;

/** Runs a program of this folder to its end. What it prints is JSON. */
export async function resultOf<Result>(program: string, words: readonly string[]): Promise<Result> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, program), ...words], {
    maxBuffer: 64 * 1024 ** 2,
    timeout: TIMEOUT_MS,
  });
  return JSON.parse(stdout) as Result;
}
