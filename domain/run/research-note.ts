import type { PromptLanguage } from '#domain/base/language.ts';
import { cutAtSentence } from '#domain/base/text/prompt-text.ts';
import type { ResearchNote } from './research.ts';

/** An article as the news search found it (docs/platform.md section 11). */
export interface FoundArticle {
  readonly url: string;
  readonly title: string;
  readonly excerpt: string;
  /** As the service sent it; empty when unknown. */
  readonly publishedAt: string;
}

/** The result of a deep task. */
export interface DeepAnswer {
  readonly answer: string;
  readonly citations: readonly { readonly url: string; readonly title: string; readonly snippet: string }[];
}

const MAX_NOTE_CHARS = 10_000;
const MAX_ARTICLES = 12;
const MAX_EXCERPT_CHARS = 700;
const MAX_LINE_CHARS = 300;
const MAX_CITATIONS = 40;
const MAX_SNIPPET_CHARS = 300;

const NO_ARTICLES: Readonly<Record<PromptLanguage, string>> = {
  de: 'Die Suche hat keine Artikel gefunden.',
  en: 'The search found no articles.',
};

/** What a news search found, best first as the service sent it; that it found nothing is a result as well. */
export function noteOfArticles(articles: readonly FoundArticle[], language: PromptLanguage): ResearchNote {
  const shown = articles.slice(0, MAX_ARTICLES);
  const text = shown.map(({ title, excerpt, publishedAt, url }) =>
    lines([line(title), line(publishedAt), cutAtSentence(excerpt, MAX_EXCERPT_CHARS), url]),
  );
  return {
    kind: 'shallow',
    outcome: 'done',
    text: shown.length === 0 ? NO_ARTICLES[language] : cutAtSentence(text.join('\n\n'), MAX_NOTE_CHARS),
    urls: shown.map(({ url }) => url),
  };
}

/** The report of a deep task, with what it cites. */
export function noteOfAnswer({ answer, citations }: DeepAnswer): ResearchNote {
  const shown = citations.slice(0, MAX_CITATIONS);
  const cited = shown.map(({ title, snippet, url }) =>
    lines([line(title), cutAtSentence(snippet, MAX_SNIPPET_CHARS), url]),
  );
  // The report comes first, and its sources may not push it out.
  const report = cutAtSentence(answer, MAX_NOTE_CHARS);
  return {
    kind: 'deep',
    outcome: 'done',
    text: cutAtSentence([report, ...cited].join('\n\n'), MAX_NOTE_CHARS),
    urls: shown.map(({ url }) => url),
  };
}

const line = (text: string): string => cutAtSentence(text.replace(/\s+/g, ' '), MAX_LINE_CHARS);
const lines = (parts: readonly string[]): string => parts.filter((part) => part !== '').join('\n');
