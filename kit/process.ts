import { UnavailableError } from './errors.ts';
import { SettingsError } from './settings.ts';
import { StreamDriftError } from './streams.ts';

/** What a process has started; stopped in reverse order. */
export class Started {
  readonly #stops: { name: string; stop: () => unknown }[] = [];
  #drain: () => unknown = () => {};

  /** Remembers how to stop what was just started. */
  add(name: string, stop: () => unknown): void {
    this.#stops.push({ name, stop });
  }

  /** Says what comes before anything is stopped: others are told to go elsewhere, and all goes on until they have. */
  beforeStop(drain: () => unknown): void {
    this.#drain = drain;
  }

  /** Takes what still comes, until nobody comes any more. */
  async drain(): Promise<void> {
    await this.#drain();
  }

  /** Stops everything, the latest first. One that fails to stop does not keep the others from it. */
  async stop(): Promise<void> {
    for (const { name, stop } of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        process.stderr.write(`${name} did not stop in order: ${error instanceof Error ? error.message : error}\n`);
      }
    }
  }
}

/** A start that fails for a reason that the operator can do something about: shown without a stack. */
export class StartError extends Error {
  override name = 'StartError';
}

/** A stop that takes longer is ended: Ctrl-C works within 10 s. */
const STOP_TIMEOUT_MS = 9_000;

/**
 * Runs a process: starts its parts in the order that `start` has; drains and then stops them in reverse on SIGINT or
 * SIGTERM. A start that fails stops what had started, says why on stderr and exits with 1. A second signal ends at once.
 */
export async function runProcess(start: (started: Started) => Promise<void>): Promise<void> {
  const started = new Started();
  let stopping = false;
  const stop = async (status: number) => {
    stopping = true;
    setTimeout(() => {
      process.stderr.write(`not everything stopped within ${STOP_TIMEOUT_MS / 1_000} s; ending all the same\n`);
      process.exit(1);
    }, STOP_TIMEOUT_MS).unref();
    await started.stop();
    process.exit(status);
  };
  const onSignal = () => {
    if (stopping) process.exit(130);
    stopping = true;
    void started.drain().then(() => stop(0));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    await start(started);
  } catch (error) {
    if (stopping) return;
    process.stderr.write(`${why(error)}\n`);
    await stop(1);
  }
}

/** What an operator can do something about is said in a line; what is a bug has to be found by its stack. */
function why(error: unknown): unknown {
  const isExpected = [SettingsError, StartError, UnavailableError, StreamDriftError].some(
    (type) => error instanceof type,
  );
  return error instanceof Error ? (isExpected ? error.message : error.stack) : error;
}
