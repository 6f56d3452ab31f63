import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isConsoleBuilt } from './console-sources.ts';

/** It takes a few seconds; what takes longer hangs, and the platform starts without its page. */
const BUILD_TIMEOUT_MS = 120_000;

export type ConsoleBuilding = {
  /** Once it is built, or can't be. Never rejects. */
  done: Promise<void>;
  /** Why it is not there. */
  whyAbsent(): string;
  stop(): void;
};

/**
 * Builds the console's page where it is not there, or its sources are others now; in a process of its own, so that
 * what that takes is given back.
 */
export function buildConsole(say: (what: string, line: string) => void): ConsoleBuilding {
  let child: ChildProcess | undefined;
  let why = 'It is being built: look again in a moment.';
  const build = async () => {
    if (await isConsoleBuilt()) return;
    say('console', 'is being built');
    const program = fileURLToPath(new URL('console-build.ts', import.meta.url));
    child = spawn(process.execPath, [program], { stdio: ['ignore', 'inherit', 'pipe'], timeout: BUILD_TIMEOUT_MS });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [status, signal] = await once(child, 'close');
    if (status !== 0) throw new Error(lastWords(said) ?? `it ended with ${status ?? signal}`);
  };
  const done = build().catch((error: unknown) => {
    why = `It could not be built: ${error instanceof Error ? error.message : error}`;
    say('console', `could not be built, so it is not there; npm run console says more: ${why}`);
  });
  return { done, whyAbsent: () => why, stop: () => child?.kill() };
}

/** The line that says what was wrong, of what a program says before it ends with a stack. */
function lastWords(said: string): string | undefined {
  const lines = said.split('\n').map((line) => line.trim());
  return lines.find((line) => /error/i.test(line)) ?? lines.find((line) => line !== '');
}
