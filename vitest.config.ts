import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{kit,services,gateway,bench,test}/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A condition that comes is seen at once; one that comes late on a busy machine is no failure.
    expect: { poll: { timeout: 15_000 } },
    pool: 'forks',
    // Most tests wait for servers most of the time: on two cores, four files at once take a third of the time of one.
    maxWorkers: Math.max(4, availableParallelism() - 1),
    globalSetup: 'kit/testing/global-setup.ts',
  },
});
