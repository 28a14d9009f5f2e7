import { defineConfig } from 'vitest/config';

/**
 * Tests run the source of every package: the custom export condition wins over `dist`. Node is given the same conditions; it
 * cannot load what some packages offer to bundlers under `module`.
 */
const conditions = ['token-broker:source', 'node', 'development|production'];
const resolution = { resolve: { conditions }, ssr: { resolve: { conditions, externalConditions: conditions } } };
/** Scrapes each second: on a machine that is busy with other tests, it would see faults that nobody has made. */
const LIVE_DASHBOARDS = 'test/dashboards/live.test.ts';
const exclude = ['**/node_modules/**', '**/dist/**'];

export default defineConfig({
  ...resolution,
  test: {
    testTimeout: 20_000,
    hookTimeout: 60_000,
    reporters: ['default'],
    // Real servers run beside the tests: more workers than this only make them wait for each other.
    maxWorkers: 2,
    projects: [
      {
        ...resolution,
        test: {
          name: 'behaviour',
          include: ['{libs,services}/*/src/**/*.test.ts', 'deploy/local/src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: [...exclude, 'test/{chaos,soak,simulation,timing}/**', LIVE_DASHBOARDS],
          testTimeout: 20_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Killed processes and broken links: each test has servers of its own and bounds on time.
        ...resolution,
        test: {
          name: 'faults',
          include: ['test/{chaos,soak}/**/*.test.ts'],
          exclude,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Takes all cores for itself.
        ...resolution,
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          exclude,
          testTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        // What is timed runs when everything else has ended, one file at a time.
        ...resolution,
        test: {
          name: 'timing',
          include: ['test/timing/**/*.test.ts', LIVE_DASHBOARDS],
          exclude,
          testTimeout: 90_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
