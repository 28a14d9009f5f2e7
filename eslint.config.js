import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * The rules of the house that a machine can check.
 *
 * Time and randomness are ports (`Clock`, `Random` of `@token-broker/foundation`): the real code must run on a virtual
 * clock, so nothing outside their adapters may reach the machine's own. `test/conventions` asserts that these rules are
 * in force for every package.
 */

const TAKE_A_CLOCK = 'Take a Clock of @token-broker/foundation instead, so that this runs on a virtual clock.';
const TAKE_A_RANDOM = 'Take a Random of @token-broker/foundation instead, so that a seed reproduces the run.';
const NO_WAITING_BLINDLY = 'A test waits for an event, a virtual clock or the polling helper of @token-broker/testing.';

const timers = ['setTimeout', 'setInterval', 'setImmediate'];
const randomCalls = ['randomUUID', 'randomBytes', 'randomInt', 'randomFill', 'randomFillSync', 'getRandomValues'];

const machineGlobals = [
  ...timers.map((name) => ({ name, message: TAKE_A_CLOCK })),
  { name: 'performance', message: TAKE_A_CLOCK },
];

const machineProperties = [
  { object: 'Date', property: 'now', message: TAKE_A_CLOCK },
  { object: 'performance', property: 'now', message: TAKE_A_CLOCK },
  { object: 'process', property: 'hrtime', message: TAKE_A_CLOCK },
  { object: 'process', property: 'uptime', message: TAKE_A_CLOCK },
  { object: 'AbortSignal', property: 'timeout', message: TAKE_A_CLOCK },
  ...[...timers, 'performance'].map((property) => ({ object: 'globalThis', property, message: TAKE_A_CLOCK })),
  { object: 'Math', property: 'random', message: TAKE_A_RANDOM },
  ...randomCalls.map((property) => ({ object: 'crypto', property, message: TAKE_A_RANDOM })),
];

const machineImports = [
  ...['timers', 'timers/promises', 'perf_hooks'].flatMap((name) => [
    { name, message: TAKE_A_CLOCK },
    { name: `node:${name}`, message: TAKE_A_CLOCK },
  ]),
  ...['crypto', 'node:crypto'].map((name) => ({
    name,
    importNames: [...randomCalls, 'webcrypto'],
    message: TAKE_A_RANDOM,
  })),
];

const machineSyntax = [
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: TAKE_A_CLOCK },
  { selector: 'CallExpression[callee.name="Date"]', message: TAKE_A_CLOCK },
];

const noMachineTimeOrRandomness = {
  'no-restricted-globals': ['error', ...machineGlobals],
  'no-restricted-properties': ['error', ...machineProperties],
  'no-restricted-imports': ['error', { paths: machineImports }],
  'no-restricted-syntax': ['error', ...machineSyntax],
};

const machineTimeAndRandomness = Object.fromEntries(
  Object.keys(noMachineTimeOrRandomness).map((rule) => [rule, 'off']),
);

const noBlindWaits = {
  ...noMachineTimeOrRandomness,
  'no-restricted-syntax': [
    'error',
    ...machineSyntax,
    { selector: 'Identifier[name=/^sleep(Ms|For|Until)?$/i]', message: NO_WAITING_BLINDLY },
    { selector: 'MemberExpression[object.name="Atomics"][property.name="wait"]', message: NO_WAITING_BLINDLY },
  ],
};

const nodeGlobals = Object.fromEntries(
  `AbortController AbortSignal Buffer TextDecoder TextEncoder URL URLSearchParams clearInterval clearTimeout console
  fetch performance process queueMicrotask setImmediate setInterval setTimeout structuredClone`
    .split(/\s+/)
    .map((name) => [name, 'readonly']),
);

const SCRIPTS = ['**/*.{js,mjs,cjs}'];
const TYPESCRIPT = ['**/*.ts'];
const TESTS = ['**/*.test.ts', 'test/**/*.ts'];

export default defineConfig(
  { ignores: ['**/node_modules/', '**/dist/', 'services/*/bundle/', '**/.cache/', '**/coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' } },

  js.configs.recommended,
  {
    rules: {
      ...noMachineTimeOrRandomness,
      eqeqeq: 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'object-shorthand': 'error',
      'prefer-template': 'error',
    },
  },

  { files: SCRIPTS, languageOptions: { globals: nodeGlobals } },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { ...nodeGlobals, module: 'writable', require: 'readonly', __dirname: 'readonly' },
    },
  },

  {
    files: TYPESCRIPT,
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['libs/*/src/**/*.ts', 'services/broker/src/**/*.ts'],
    ignores: ['libs/testing/**'],
    rules: { 'no-console': 'error' },
  },

  // The adapters of time and randomness, and what runs on the machine's own time by its purpose.
  {
    files: [
      'libs/foundation/src/system-*.ts',
      'libs/testing/**',
      'deploy/local/**',
      'services/*/src/main.ts',
      '.ci/**',
    ],
    rules: machineTimeAndRandomness,
  },
  // Yielding to the event loop between chunks of I/O reads no clock.
  {
    files: ['services/*/src/adapters/**'],
    rules: {
      'no-restricted-globals': ['error', ...machineGlobals.filter(({ name }) => name !== 'setImmediate')],
    },
  },

  {
    files: TESTS,
    rules: {
      ...noBlindWaits,
      'max-lines': ['error', { max: 600, skipBlankLines: false, skipComments: false }],
      'no-console': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      // A fake is async because its port is, not because it waits.
      '@typescript-eslint/require-await': 'off',
    },
  },
  // A benchmark measures real time, prints its figures, and may draw its load at random.
  { files: ['test/bench/**'], rules: machineTimeAndRandomness },
);
