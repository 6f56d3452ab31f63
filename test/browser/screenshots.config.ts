import { defineConfig } from 'vitest/config';

/** `npm run screenshots`: no tests, but the same servers, browser and states as they have. */
export default defineConfig({
  test: {
    include: ['test/browser/screenshots.ts'],
    testTimeout: 900_000,
    hookTimeout: 120_000,
    pool: 'forks',
    globalSetup: ['kit/testing/global-setup.ts', 'test/browser/build-console.ts'],
    setupFiles: 'kit/testing/file-setup.ts',
  },
});
