import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/**
 * A clone stands alone: what code and docs cite by section is a page of this repository that has such a section, or a
 * published document.
 */
const root = resolve(import.meta.dirname, '..');
const FILES = globSync('**/*.{ts,mjs,md,sql,yml,yaml,sh,py}', {
  cwd: root,
  exclude: [
    ...['node_modules/**', '.git/**', '.tools/**', '.yarn/**', 'dist/**'],
    // Never edited: docs/platform.md and docs/architecture.md say what these mean.
    'migrations/**/*.sql',
    'test/replay/histories/**',
  ],
})
  .concat('.env.example', 'Dockerfile', 'bin/demo', 'bin/test', 'bin/yarn')
  .sort();

interface Citation {
  readonly place: string;
  readonly page: string;
  readonly sections: readonly number[];
}

/** Comments and paragraphs go on in the next line. */
const flattened = (file: string): string =>
  readFileSync(join(root, file), 'utf8').replace(/ ?\n[ \t]*(?:(?:\*|\/\/|--|#|>) )?/g, ' ');

const TEXTS = new Map(FILES.map((file) => [file, flattened(file)]));

const SECTIONS = /\bsections? (?<sections>\d+(?:(?:, | and | to )\d+)*)/g;
const PAGE_BEFORE = /\bdocs\/(?<page>[\w-]+\.md) $/;
const PUBLISHED_BEFORE = /\b(?:RFC \d+,?|SP 800-\w+) $/;

/** `1 and 6`, `2, 3`, `1 to 3` */
function numbersIn(text: string): number[] {
  const [first = 0, last = first] = text.split(' to ').map(Number);
  if (text.includes(' to ')) return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return text.split(/, | and /).map(Number);
}

/** What is cited by section; the page is null where none is named. */
function citationsIn(file: string, text: string): (Omit<Citation, 'page'> & { page: string | null })[] {
  return [...text.matchAll(SECTIONS)].flatMap((match) => {
    const before = text.slice(Math.max(0, match.index - 60), match.index);
    if (PUBLISHED_BEFORE.test(before)) return [];
    const page = PAGE_BEFORE.exec(before)?.groups?.['page'];
    // A numbered page may cite itself.
    const own = headingsOf(file).length > 0 ? file : null;
    return {
      place: `${file}: ${text.slice(match.index - 40, match.index + 20)}`,
      page: page === undefined ? own : `docs/${page}`,
      sections: numbersIn(match.groups?.['sections'] ?? ''),
    };
  });
}

/** The numbers of a page's sections; none of a page without numbers, or of no page at all. */
function headingsOf(page: string): number[] {
  if (!page.startsWith('docs/') || !FILES.includes(page)) return [];
  const headings = readFileSync(join(root, page), 'utf8').matchAll(/^## (?<number>\d+)\. /gm);
  return [...headings].map((match) => Number(match.groups?.['number']));
}

const CITATIONS = FILES.flatMap((file) => citationsIn(file, TEXTS.get(file) ?? ''));

describe('what is cited by section', () => {
  it('is found: there are as many citations as a look at the repository finds', () =>
    expect(CITATIONS.length).toBeGreaterThan(100));

  it('is a section that its page has', () => {
    const wrong = CITATIONS.filter(({ page, sections }) => {
      const headings = page === null ? [] : headingsOf(page);
      return !sections.every((section) => headings.includes(section));
    });
    expect(wrong.map(({ place }) => place)).toEqual([]);
  });

  it('is called by the name of its page', () => {
    const OLD_NAMES =
      /\b(?:contract|architecture|style),? sections? \d|platform-contract\.md|\b(?:runs?|entries|requests|prompts) of before issue \d/i;
    const left = [...TEXTS].flatMap(([file, text]) => {
      const match = OLD_NAMES.exec(text);
      return match === null ? [] : `${file}: ${match[0]}`;
    });
    expect(left).toEqual([]);
  });
});

describe('a page', () => {
  const PAGES = FILES.filter((file) => file.endsWith('.md'));

  it('links to nothing that is not there', () => {
    const broken = PAGES.flatMap((page) =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?<target>[^)#\s:]+)(?:#[^)]*)?\)/g)]
        .map((match) => normalize(join(dirname(page), match.groups?.['target'] ?? '')))
        .filter((target) => globSync(target, { cwd: root }).length === 0)
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('is listed in docs/README.md', () => {
    const list = readFileSync(join(root, 'docs/README.md'), 'utf8');
    const pages = globSync('docs/*.md', { cwd: root }).map((page) => page.slice('docs/'.length));
    expect(pages.filter((page) => page !== 'README.md' && !list.includes(`(${page})`))).toEqual([]);
  });

  it('that names a file names one that is there', () => {
    const PATHS = ['docs/map.md', 'docs/architecture.md', 'docs/contributing.md', 'docs/platform.md'];
    const missing = PATHS.flatMap((page) =>
      [
        ...readFileSync(join(root, page), 'utf8').matchAll(
          /`(?<path>[a-z][\w-]*\/[\w./-]*\.(?:ts|md|sql|json|py|mjs))`/g,
        ),
      ]
        .map((match) => match.groups?.['path'] ?? '')
        .filter((path) => globSync(path, { cwd: root }).length === 0 && path !== 'docs/adr/NNNN-title.md')
        .map((path) => `${page}: ${path}`),
    );
    expect(missing).toEqual([]);
  });
});
