import { limitOf, text, textParam, type Reader } from './reader.ts';
import { visibleText } from '#domain/base/text/prompt-text.ts';

const DEFAULT_LIMIT = 30;
const EXCERPTS_CHARS = 6_000;
const [SHORTEST_EXCERPT_CHARS, LONGEST_EXCERPT_CHARS] = [150, 2_000];

/** `list_notes`: the fewer there are, the longer their excerpts. */
export const answerAboutNotes: Reader = ({ records, params }) => {
  const query = (textParam(params['query']) ?? '').trim().toLowerCase();
  const found = records
    .filter((note) => params['includeArchived'] === true || note.fields['isArchived'] !== true)
    .filter(({ fields }) => [fields['title'], fields['content']].some((value) => holds(value, query)));
  const listed = found.slice(0, limitOf(params['limit'], DEFAULT_LIMIT));
  const excerptChars = Math.min(
    LONGEST_EXCERPT_CHARS,
    Math.max(SHORTEST_EXCERPT_CHARS, Math.floor(EXCERPTS_CHARS / Math.max(1, listed.length))),
  );
  const entries = listed.map((note) => ({
    id: note.id,
    title: text(note, 'title'),
    excerpt: text(note, 'content', excerptChars),
  }));
  return { facts: { found: found.length }, entries };
};

const holds = (value: unknown, query: string): boolean =>
  query === '' || (typeof value === 'string' && visibleText(value).toLowerCase().includes(query));
