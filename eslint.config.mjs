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

const nodeBuiltIns = {
  regex: '^(node:.*|fs|crypto|http|https|net|os|path|child_process|worker_threads|stream|buffer)$',
  message:
    'The workflow sandbox loads this folder: no Node built-ins (architecture section 4, style section 1).',
};

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
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
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
      eqeqeq: 'error',
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'Only config.ts reads the environment (style section 7).',
        },
      ],
    },
  },
  {
    files: ['workflows/**/*.ts', 'domain/**/*.ts', 'temporal/failure-converter.ts'],
    ignores: ['**/*.test.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [nodeBuiltIns] }] },
  },
  {
    files: ['domain/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Time comes in as an argument (style section 1).' },
        {
          object: 'Math',
          property: 'random',
          message: 'Randomness comes in as an argument (style section 1).',
        },
      ],
    },
  },
  {
    files: [
      'config.ts',
      'vitest.ui.config.ts',
      'scripts/**',
      'dev/**',
      'test/**',
      'bench/**',
      'vitest.config.ts',
      '**/*.test.ts',
    ],
    rules: { 'no-restricted-properties': 'off', 'no-console': 'off', 'no-restricted-syntax': 'off' },
  },
  {
    files: ['**/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
);
