import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const include = ['{kit,services,gateway,bench,test}/**/*.test.ts'];
const inChromium = ['test/browser/*.test.ts'];

/** Words of files that start servers or programs, or change what their whole process has. */
const NEEDS_ITS_OWN_PROCESS =
  /own(Nats|Mongodb)|ownCluster|openTestParts|testing\/desk|child_process|testing\/run|telemetry|process\./;
const sharing = globSync('{kit,services,gateway}/**/*.test.ts').filter(
  (file) => !NEEDS_ITS_OWN_PROCESS.test(readFileSync(file, 'utf8')),
);

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A condition that comes is seen at once; one that comes late on a busy machine is no failure.
    expect: { poll: { timeout: 15_000 } },
    pool: 'forks',
    // Most tests wait for servers most of the time: on two cores, four files at once take a third of the time of one.
    maxWorkers: Math.max(4, availableParallelism() - 1),
    globalSetup: 'kit/testing/global-setup.ts',
    setupFiles: 'kit/testing/file-setup.ts',
    projects: [
      { extends: true, test: { name: 'alone', include, exclude: [...sharing, ...inChromium] } },
      // They take turns in a few processes, each of which loads the code once.
      { extends: true, test: { name: 'sharing', include: sharing, isolate: false } },
      // The page is built before them, where its sources are others than those that it was built from.
      {
        extends: true,
        test: { name: 'browser', include: inChromium, globalSetup: 'test/browser/build-console.ts' },
      },
    ],
  },
});
