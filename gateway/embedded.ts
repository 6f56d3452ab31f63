import { setTimeout as delay } from 'node:timers/promises';
import type { LocalServer } from '#kit/local/server.ts';
import { StartError, type Started } from '#kit/process.ts';

/** Starts a server; the second time on the port that it had, and on the data that it left. */
export type StartServer = (again?: { port: number; fresh: false }) => Promise<LocalServer>;

const RETRY_MS = 1_000;

/**
 * Starts an embedded server, and again where it ends by itself: the platform waits for it as for any other outage.
 * @throws StartError where the first start fails.
 */
export async function keepRunning(what: string, start: StartServer, started: Started): Promise<LocalServer> {
  const first = await start().catch((error) => {
    throw new StartError(error instanceof Error ? error.message : String(error));
  });
  const again = { port: Number(new URL(first.url).port), fresh: false } as const;
  const stopping = new AbortController();
  let running = first;
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      await running.ended;
      if (stopping.signal.aborted) return;
      say(`the embedded ${what} has ended by itself; starting it again`);
      try {
        running = await start(again);
        say(`the embedded ${what} is back`);
      } catch (error) {
        say(error instanceof Error ? error.message : String(error));
        await delay(RETRY_MS, undefined, { signal: stopping.signal }).catch(() => {});
      }
    }
  })();
  started.add(what, async () => {
    stopping.abort();
    await running.stop();
    await watching;
    // One that was being started at that moment.
    await running.stop();
  });
  return first;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
