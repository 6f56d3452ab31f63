import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';

export type WatchingOptions = { watch: boolean };

const EVERY_MS = 2_000;
/** Clears a terminal, and goes to its first line. */
const CLEAR = '\x1b[2J\x1b[H';

/** Adds to a list that it is shown again and again. */
export function watching(command: Command): Command {
  return command.option('--watch', 'show it again every two seconds, until it is interrupted', false);
}

/** Shows once, or again and again. */
export async function whileWatched({ watch }: WatchingOptions, show: () => Promise<void>): Promise<void> {
  for (;;) {
    if (watch && process.stdout.isTTY) process.stdout.write(CLEAR);
    await show();
    if (!watch) return;
    await delay(EVERY_MS);
  }
}
