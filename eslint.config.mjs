import { builtinModules } from 'node:module';
import js from '@eslint/js';
import regexp from 'eslint-plugin-regexp';
import tseslint from 'typescript-eslint';

/** Of these the linter sees what they match, and with it how long that may take. */
const literalPatterns = [
  {
    selector: ':matches(NewExpression, CallExpression)[callee.name="RegExp"]',
    message: 'Write patterns as literals: only those are checked for super-linear time.',
  },
];

/**
 * Rules with lists of what is restricted: a block that sets one of them replaces the list of all blocks before it, so
 * every list is complete.
 */
const environment = [
  {
    object: 'process',
    property: 'env',
    message: 'Only config.ts reads the environment (docs/contributing.md section 7).',
  },
];
const environmentModule = {
  regex: '^(node:)?process$',
  message: 'Only config.ts reads the environment (docs/contributing.md section 7).',
};

const climbing = {
  regex: '^\\.\\./\\.\\./',
  message: 'Name the folder (#domain/…) instead of climbing to it (docs/contributing.md section 1).',
};

const nodeBuiltIns = {
  regex: `^(node:.*|(${builtinModules.filter((name) => !name.startsWith('_')).join('|')})(/.*)?)$`,
  message:
    'The workflow sandbox loads this folder: no Node built-ins (docs/architecture.md section 4, docs/contributing.md section 1).',
};

const timeComesIn = 'Time comes in as an argument (docs/contributing.md section 1).';
const randomnessComesIn = 'Randomness comes in as an argument (docs/contributing.md section 1).';
const pureProperties = [
  ...environment,
  { object: 'Date', property: 'now', message: timeComesIn },
  { object: 'Temporal', property: 'Now', message: timeComesIn },
  { object: 'Math', property: 'random', message: randomnessComesIn },
];
const pureSyntax = [
  ...literalPatterns,
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: timeComesIn },
  { selector: 'CallExpression[callee.name="Date"]', message: timeComesIn },
];
const world = 'domain/ is pure: it reaches nothing outside (docs/contributing.md section 1).';
const noWorld = ['fetch', 'process', 'WebSocket', 'EventSource', 'XMLHttpRequest', 'navigator', 'globalThis'];
const noTimers = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'performance'];

export default tseslint.config(
  { ignores: ['node_modules/', '.tools/', '.yarn/', 'dist/', 'test/replay/histories/'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    // Text of users, models, services and headers reaches any of them: none may take more than linear time.
    plugins: { regexp },
    rules: {
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': [
        'error',
        { report: 'potential', ignorePartial: false, ignoreSticky: false },
      ],
    },
  },
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // `Transaction.ahead` sends a statement and has no result.
      '@typescript-eslint/no-unused-expressions': ['error', { allowTaggedTemplates: true }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...literalPatterns],
      // What comes from one module stands in one import.
      'no-duplicate-imports': 'error',
      eqeqeq: 'error',
      'no-restricted-properties': ['error', ...environment],
      'no-restricted-imports': ['error', { patterns: [environmentModule, climbing] }],
    },
  },
  {
    files: ['workflows/**/*.ts', 'domain/**/*.ts', 'temporal/{failure-converter,messages}.ts'],
    ignores: ['**/*.test.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [nodeBuiltIns, climbing] }] },
  },
  {
    files: ['domain/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-properties': ['error', ...pureProperties],
      'no-restricted-syntax': ['error', ...pureSyntax],
      'no-restricted-globals': [
        'error',
        ...noWorld.map((name) => ({ name, message: world })),
        ...noTimers.map((name) => ({ name, message: timeComesIn })),
        { name: 'crypto', message: randomnessComesIn },
      ],
    },
  },
  {
    files: ['config.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: [
      'stryker.config.mjs',
      'vitest.image.config.ts',
      'vitest.ui.config.ts',
      'commands/**',
      'scripts/**',
      'dev/**',
      'test/**',
      'bench/**',
      'eval/**',
      'vitest.config.ts',
      '**/*.test.ts',
    ],
    rules: {
      ...{ 'no-restricted-properties': 'off', 'no-console': 'off', 'no-restricted-syntax': 'off' },
      'no-restricted-imports': ['error', { patterns: [climbing] }],
    },
  },
  {
    files: ['**/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
);
