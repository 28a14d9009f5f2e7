import { defineConfig } from 'vitest/config';

/** Tests run the source of every package: the custom export condition wins over `dist`. */
const conditions = ['token-broker:source', 'module', 'node', 'development|production'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['{libs,services}/*/src/**/*.test.ts', 'deploy/local/src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    // Real servers run beside the tests: more workers than this only make them wait for each other.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    reporters: ['default'],
  },
});
