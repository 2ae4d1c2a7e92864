import { resolve } from 'node:path';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';
import { PRODUCT_FOLDERS } from './draw-rooms.ts';

/**
 * What the linter forbids where, tried on texts that stand in no file. Without types, which would need files: the rules
 * tried here look at the syntax alone.
 */
const eslint = new ESLint({
  cwd: resolve(import.meta.dirname, '..'),
  overrideConfig: [
    { ...tseslint.configs.disableTypeChecked },
    { languageOptions: { parserOptions: { projectService: false, project: null } } },
  ],
});

async function objections(filePath: string, text: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath });
  return (result?.messages ?? []).map(({ ruleId, message }) => ruleId ?? message);
}

const IMPURE: readonly (readonly [rule: string, text: string])[] = [
  ['no-restricted-properties', 'export const x = process.env;'],
  ['no-restricted-properties', 'const { env } = process;\nexport { env };'],
  ['no-restricted-properties', 'export const x = () => Date.now();'],
  ['no-restricted-properties', 'export const x = () => Math.random();'],
  [
    'no-restricted-properties',
    "import { Temporal } from 'temporal-polyfill';\nexport const x = Temporal.Now;",
  ],
  ['no-restricted-syntax', 'export const x = () => new Date();'],
  ['no-restricted-syntax', 'export const x = () => Date();'],
  ['no-restricted-syntax', 'export const x = (text: string) => new RegExp(text);'],
  ['no-restricted-globals', "export const x = () => fetch('https://a.example');"],
  ['no-restricted-globals', 'export const x = () => process.pid;'],
  ['no-restricted-globals', 'export const x = () => globalThis;'],
  ['no-restricted-globals', 'export const x = () => crypto.randomUUID();'],
  ['no-restricted-globals', 'export const x = () => performance.now();'],
  ['no-restricted-globals', 'export const x = () => setTimeout(() => undefined, 1);'],
  ['no-restricted-imports', "import { randomUUID } from 'node:crypto';\nexport const x = randomUUID;"],
  ['no-restricted-imports', "import { env } from 'node:process';\nexport { env };"],
  ['no-restricted-imports', "import { lookup } from 'dns/promises';\nexport { lookup };"],
  ['no-console', "console.log('x');"],
];

describe('domain/', () => {
  it.each(IMPURE)('is refused by %s: %s', async (rule, text) => {
    expect(await objections('domain/made-up.ts', text)).toContain(rule);
  });

  it('may do what is pure', async () => {
    const text = 'export const x = (atMs: number): string => new Date(atMs).toISOString();\n';
    expect(await objections('domain/made-up.ts', text)).toEqual([]);
  });
});

describe('every other folder of the product', () => {
  /** Commands print, and read what their operator's environment says. */
  const PRODUCT = PRODUCT_FOLDERS.filter((folder) => !['commands', 'domain'].includes(folder));
  it.each(PRODUCT.map((folder) => `${folder}/made-up.ts`).concat('worker.ts'))(
    '%s reads no environment, logs to no console, and writes patterns as literals',
    async (file) => {
      expect(await objections(file, 'export const x = process.env;')).toEqual(['no-restricted-properties']);
      const imported = "import { env } from 'node:process';\nexport { env };";
      expect(await objections(file, imported)).toEqual(['no-restricted-imports']);
      expect(await objections(file, "console.log('x');")).toEqual(['no-console']);
      const built = 'export const x = (text: string) => RegExp(text);';
      expect(await objections(file, built)).toEqual(['no-restricted-syntax']);
    },
  );

  it('config.ts reads the environment, and has no other privilege', async () => {
    expect(await objections('config.ts', 'export const x = process.env;')).toEqual([]);
    expect(await objections('config.ts', "console.log('x');")).toEqual(['no-console']);
    const built = 'export const x = (text: string) => RegExp(text);';
    expect(await objections('config.ts', built)).toEqual(['no-restricted-syntax']);
  });

  it.each(['workflows/made-up.ts', 'temporal/failure-converter.ts'])(
    '%s, which the sandbox loads, uses no part of Node',
    async (file) => {
      for (const name of ['node:fs', 'fs/promises', 'crypto', 'node:timers', 'util', 'process'])
        expect(await objections(file, `import x from '${name}';\nexport { x };`), name).toEqual([
          'no-restricted-imports',
        ]);
    },
  );
});

it.each(['domain/base/made-up.ts', 'api/a/made-up.ts', 'commands/a/made-up.ts', 'test/a/made-up.ts'])(
  '%s names a folder instead of climbing to it',
  async (file) => {
    expect(await objections(file, "import { x } from '../../a/b.ts';\nexport { x };")).toEqual([
      'no-restricted-imports',
    ]);
    expect(await objections(file, "import { x } from '../b.ts';\nexport { x };")).toEqual([]);
  },
);

it('no pattern may take more than linear time, wherever it stands', async () => {
  const texts = ['export const x = /^(a+)+$/;', 'export const x = /a+$/;'];
  for (const text of texts)
    expect(await objections('api/made-up.ts', text)).toEqual([
      expect.stringMatching(/^regexp\/no-super-linear/),
    ]);
});
