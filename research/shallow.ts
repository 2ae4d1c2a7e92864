import { isWorthRetrying } from '#http/replies.ts';
import { z } from 'zod';
import { exchange, routeOf } from './exchange.ts';
import { httpUrlSchema, readableItems, textSchema } from './lenient.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import { ResearchUnavailableError } from '#domain/base/errors.ts';
import type { FoundArticle } from '#domain/run/research-note.ts';

export type ShallowAnswer = { readonly articles: FoundArticle[] } | { readonly refusedWith: number };

export interface ShallowResearch {
  /**
   * Finds feeds for a query, then articles in them.
   *
   * @returns the status when the service refuses: asking again would give the same answer
   * @throws ResearchUnavailableError when another try may help
   * @throws the signal's reason when the signal ended it
   * @see docs/platform.md section 11
   */
  search(
    request: { readonly query: string; readonly language: PromptLanguage },
    signal: AbortSignal,
  ): Promise<ShallowAnswer>;
}

export interface ShallowResearchOptions {
  /** `MANA_API_URL`. */
  readonly baseUrl: string;
  /** For each of the two requests, 45 s by default. */
  readonly timeoutMs?: number;
}

const ROUTES = '/api/v1/news-research';
const DEFAULT_TIMEOUT_MS = 45_000;
const MAX_FEEDS = 8;
const MAX_ARTICLES = 12;

const feedSchema = z.object({ url: httpUrlSchema });
const articleSchema = z.object({
  url: httpUrlSchema,
  title: textSchema,
  excerpt: textSchema,
  publishedAt: textSchema,
});

/** The client of news-research; it takes no key, so it gets none, and no user id. */
export function createShallowResearch(options: ShallowResearchOptions): ShallowResearch {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const post = async (
    route: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<{ readonly found: unknown } | { readonly refusedWith: number }> => {
    const url = routeOf(options.baseUrl, `${ROUTES}/${route}`);
    const outcome = await exchange({ method: 'POST', url, body, timeoutMs }, signal);
    if (outcome.kind === 'answered') return { found: outcome.body };
    if (outcome.kind === 'refused' && !isWorthRetrying(outcome.status))
      return { refusedWith: outcome.status };
    throw new ResearchUnavailableError(outcome.kind === 'refused' ? outcome : null);
  };
  return {
    async search({ query, language }, signal) {
      const discovered = await post('discover', { query, language, limit: MAX_FEEDS }, signal);
      if ('refusedWith' in discovered) return discovered;
      const feeds = readableItems(discovered.found, 'feeds', feedSchema).slice(0, MAX_FEEDS);
      if (feeds.length === 0) return { articles: [] };
      const request = { feeds: feeds.map(({ url }) => url), query, limit: MAX_ARTICLES };
      const searched = await post('search', request, signal);
      return 'refusedWith' in searched
        ? searched
        : { articles: readableItems(searched.found, 'articles', articleSchema) };
    },
  };
}

/** 408 is a timeout that a proxy put into words. */
