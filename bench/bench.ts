import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Started } from '#kit/process.ts';
import type { Figure, FigureName } from './figures.ts';

/** How much is measured. */
export type Sizes = {
  /** Orders placed before anything counts: programs are faster once they have run for a while. */
  warmUp: number;
  /** Orders placed in one run. */
  orders: number;
  /** How often each of two that are compared has its turn. */
  rounds: number;
  /** Orders that are placed and looked for, one every 5 ms. */
  visible: number;
  few: number;
  many: number;
  /** Calls in one run on orders that are there. */
  calls: number;
  starts: number;
  /** Orders that are followed to their end, as fast as they can be. */
  fulfilled: number;
  /** Orders that are placed one after the other, and followed. */
  followed: number;
};

export const fullSizes: Sizes = {
  warmUp: 20_000,
  orders: 4_000,
  rounds: 7,
  visible: 4_000,
  few: 1_000,
  many: 100_000,
  calls: 3_000,
  starts: 5,
  fulfilled: 4_000,
  followed: 600,
};

export const quickSizes: Sizes = {
  warmUp: 500,
  orders: 1_000,
  rounds: 1,
  visible: 400,
  few: 500,
  many: 5_000,
  calls: 500,
  starts: 1,
  fulfilled: 300,
  followed: 60,
};

/** What a measurement is given. */
export type Bench = {
  sizes: Sizes;
  /** Its own, empty. */
  directory: string;
  /** Whatever it starts, to be stopped when it is over. */
  started: Started;
  /** Options of Node for the platform's process. */
  nodeOptions: readonly string[];
  /** Tells people how far it has come. */
  say(line: string): void;
};

/** Measures some figures that stand on the same servers, each told as soon as it is known. */
export type Measurement = { names: readonly FigureName[]; run(bench: Bench): AsyncIterable<Figure> };

/** Runs a measurement, and stops what it started, whatever comes of it. */
export async function* measured({ names, run }: Measurement, bench: Bench): AsyncGenerator<Figure> {
  const own = new Started();
  // A measurement that is interrupted is stopped with the whole.
  bench.started.add(names[0] ?? '', () => own.stop());
  const directory = join(bench.directory, names[0] ?? '');
  await mkdir(directory);
  try {
    yield* run({ ...bench, directory, started: own });
  } finally {
    await own.stop();
  }
}
