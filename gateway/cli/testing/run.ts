import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'vitest';
import { programEnvironment } from '#kit/testing/program-environment.ts';

/** Runs a program as an operator does. An error is said without a stack. */
export async function run(program: string, words: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(program, words, {
    cwd: new URL('../../..', import.meta.url),
    env: { ...programEnvironment(), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [status] = await once(child, 'close');
  expect(stderr).not.toMatch(/^\s+at /m);
  return { status, stdout, stderr };
}

/** Runs the tool. */
export function runCauseway(words: readonly string[], environment?: Record<string, string>) {
  return run(process.execPath, ['gateway/cli/main.ts', ...words], environment);
}
