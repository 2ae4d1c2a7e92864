import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { drawText } from './draw-text.ts';

const textsOf = (svg: string): string[] =>
  [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text);

it('every line is drawn, below the title, with what SVG would take for its own escaped', () => {
  const svg = drawText('$ bin/demo', ['a <b> & "c"', '', '  d']);
  expect(textsOf(svg)).toEqual(['$ bin/demo', 'a &lt;b&gt; &amp; "c"', '  d']);
});

it('a line that is too long goes on in the next, and loses no word', () => {
  const words = Array.from({ length: 60 }, (_, index) => `word${index}`);
  const [, first = '', ...others] = textsOf(drawText('t', [`  ${words.join(' ')}`, 'x'.repeat(250)]));
  expect(first).toMatch(/^ {2}word0 /);
  expect([first, ...others].every((line) => line.length <= 104)).toBe(true);
  const all = [first, ...others].map((line) => line.trim()).join(' ');
  expect(all.slice(0, words.join(' ').length)).toBe(words.join(' '));
  expect(all.match(/x/g)).toHaveLength(250);
});

it('the pages show a run in which all was well', () => {
  const read = (name: string) => readFileSync(join(resolve(import.meta.dirname, '..'), 'docs', name), 'utf8');
  expect(read('demo.svg')).toMatch(/\{"ok":true,"missions":3,"iterations":3,.*"leaks":0/);
  expect(read('iteration.svg')).toContain('"overallStatus": "awaiting-review"');
});
