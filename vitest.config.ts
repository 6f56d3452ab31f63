import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const include = ['{kit,services,gateway,bench,test}/**/*.test.ts'];
const inChromium = ['test/browser/*.test.ts'];

/**
 * Words of files that change what their whole process has: its environment, its clock, its telemetry. The others take
 * turns in a few processes, each of which loads the code once: that is most of what a short file costs.
 */
const NEEDS_ITS_OWN_PROCESS = /@opentelemetry|startTelemetry|process\.(env|kill|on)\b|useFakeTimers|ownCluster/;
const sharing = globSync('{kit,services,gateway,test/golden,test/check}/**/*.test.ts').filter(
  (file) => !NEEDS_ITS_OWN_PROCESS.test(readFileSync(file, 'utf8')),
);

/** They take the longest: begun last, one of them would be waited for when all others are through. */
const FIRST = [
  'test/chaos/crashes',
  'test/browser/looks',
  'services/inventory/adapters/reservation-store',
  'test/browser/orders',
  'test/chaos/',
  'test/browser/',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = FIRST.findIndex((path) => moduleId.includes(path));
      return found === -1 ? FIRST.length : found;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A condition that comes is seen at once; one that comes late on a busy machine is no failure.
    expect: { poll: { timeout: 15_000 } },
    pool: 'forks',
    // Most tests wait for servers most of the time: on two cores, four files at once take a third of the time of one.
    maxWorkers: Math.max(4, availableParallelism() - 1),
    sequence: { sequencer: LongestFirst },
    globalSetup: 'kit/testing/global-setup.ts',
    setupFiles: 'kit/testing/file-setup.ts',
    projects: [
      { extends: true, test: { name: 'alone', include, exclude: [...sharing, ...inChromium] } },
      { extends: true, test: { name: 'sharing', include: sharing, isolate: false } },
      // The page is built before them, where its sources are others than those that it was built from.
      {
        extends: true,
        test: { name: 'browser', include: inChromium, globalSetup: 'test/browser/build-console.ts' },
      },
    ],
  },
});
