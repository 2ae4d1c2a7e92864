import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ESLint } from 'eslint';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { attacksOn } from '#test/support/pattern-attacks.ts';
import { growthOf } from '#test/support/work-growth.ts';

/**
 * Every regular expression of the repository runs in linear time. The linter proves part of it (it sees that a quantifier
 * can be entered in two ways, and that one begins at every character of the same run); what it cannot see, such as
 * `<!--[^]*-->` in a text of many `<!--`, is tried here with texts made of each pattern's own parts.
 */
const root = resolve(import.meta.dirname, '..');
const FOLDERS =
  '{activities,api,commands,config,crypto,db,dev,domain,health,http,llm,logging,metrics,research,runs,schedules,scripts,temporal,vault,worker,workflows}';

interface Found {
  readonly place: string;
  readonly pattern: RegExp;
}

function patternsOf(file: string): Found[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest);
  const found: Found[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) {
      const end = node.text.lastIndexOf('/');
      const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
      found.push({
        place: `${file}:${line} ${node.text.slice(0, 60)}`,
        pattern: new RegExp(node.text.slice(1, end), node.text.slice(end + 1)),
      });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const PATTERNS = globSync([`${FOLDERS}/**/*.ts`, '*.ts'], { cwd: root })
  .filter((file) => !file.endsWith('.test.ts'))
  .sort()
  .flatMap(patternsOf);

describe('every pattern', () => {
  it('is known: there are as many as a look at the repository finds', () =>
    expect(PATTERNS.length).toBeGreaterThan(100));

  it.each(PATTERNS)('$place does no more than twice the work for twice the text', ({ pattern }) => {
    for (const attack of attacksOn(pattern, 4711))
      expect(
        growthOf(attack, (text) => {
          pattern.lastIndex = 0;
          text.replace(pattern, '');
        }),
      ).toBe('linear');
  });
});

describe('what is looked for', () => {
  const isCaught = (pattern: RegExp): boolean =>
    attacksOn(pattern, 4711).some(
      (attack) => growthOf(attack, (text) => text.replace(pattern, '')) !== 'linear',
    );

  // As strings: the linter would refuse them.
  it.each([
    ['exponential backtracking', String.raw`(?:a+)+b`],
    ['words and separators that overlap', String.raw`ignore(?:[^\p{L}\d]+[\p{L}\d'-]+){0,3}[^\p{L}\d]+rules`],
    ['quadratic backtracking', String.raw`x\s*\n?\s*y`],
    ['quadratic moves', String.raw`\s+$`],
    ['quadratic moves that no linter sees', String.raw`<!--[^]*?-->`],
    ['the same behind longer words', String.raw`secret:[^@]*@`],
  ])('is found: %s', (_, source) => expect(isCaught(new RegExp(source, 'u'))).toBe(true));
});

it('the linter refuses super-linear backtracking and moving, and patterns that it cannot see', async () => {
  const eslint = new ESLint({ cwd: root });
  const [result] = await eslint.lintText(
    [
      String.raw`export const backtracking = (text: string): boolean => /^(?:a+)+b$/.test(text);`,
      String.raw`export const moving = (text: string): string => text.replace(/\s+$/, '');`,
      String.raw`export const hidden = (part: string): RegExp => new RegExp(part);`,
      '',
    ].join('\n'),
    { filePath: join(root, 'domain/planner/injection/known-urls.ts') },
  );
  expect(result?.messages.map(({ ruleId, line }) => [line, ruleId])).toEqual([
    [1, 'regexp/no-super-linear-backtracking'],
    [2, 'regexp/no-super-linear-move'],
    [3, 'no-restricted-syntax'],
  ]);
}, 120_000);
