import { holdsCallText } from '#domain/planner/tools/call-as-text.ts';
import { withoutEchoes } from '#domain/planner/model/model-notices.ts';

/** Names under which models write what they think; `seed:think`, `antThinking`, Magistral's brackets and Kimi's included. */
const THOUGHT =
  /(?<!`)(?:(?:<|&lt;)(\/?)(?:[a-z]{1,8}:)?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|antthinking)(?:\s[^<>]{0,100})?(?:>|&gt;)|\[(\/?)THINK\]|◁(\/?)think▷|<\|(begin|end)_of_thought\|>)/gi;

/**
 * Cuts what the model thought, so that the rest is what it says.
 *
 * Thoughts without an end reach to the end of the text (it was cut off in them); an end without a beginning ends
 * thoughts that began with the text (the server's template opened them). Every character is looked at once.
 */
function withoutThoughts(text: string): string {
  let said = '';
  let from = 0;
  let depth = 0;
  for (const match of text.matchAll(THOUGHT)) {
    // Of the ways to write a tag, one took part.
    const ends: readonly (string | undefined)[] = match.slice(1);
    const isEnd = ends.some((end) => end === '/' || end?.toLowerCase() === 'end');
    if (isEnd) {
      if (depth === 0) said = '';
      depth = Math.max(0, depth - 1);
    } else {
      if (depth === 0) said += text.slice(from, match.index);
      depth += 1;
    }
    from = match.index + match[0].length;
  }
  return depth === 0 ? said + text.slice(from) : said;
}

/** Begins a message of the model in gpt-oss's format. */
const START = /<\|start\|>[\w ]{0,40}/g;
/** Begins a part of it: `<|channel|>analysis<|message|>…<|end|>`. */
const CHANNEL = /<\|channel\|?>/;
/** What stands there when a server cuts the markup and leaves its words. */
const [BARE_ANALYSIS, BARE_FINAL] = ['analysis', 'assistantfinal'];
const IS_THOUGHT = /^\s{0,4}(?:analysis|thought)/;
const HEADER = /^[^<]{0,200}<\|message\|>/;
const IS_CALL = /^[^<]{0,200}\bto=/;

/** The parts of other channels than that of thoughts. A call stays as it is, markup included: it is no word to the user. */
function withoutAnalysis(text: string): string {
  const final = text.startsWith(BARE_ANALYSIS) ? text.lastIndexOf(BARE_FINAL) : -1;
  if (final >= 0) return text.slice(final + BARE_FINAL.length);
  if (!CHANNEL.test(text)) return text;
  const [before = '', ...parts] = text.replace(START, '').split(CHANNEL);
  return [before, ...parts.filter((part) => !IS_THOUGHT.test(part)).map(partOf)].join('\n');
}

const partOf = (part: string): string => (IS_CALL.test(part) ? `<|call|>${part}` : part.replace(HEADER, ''));

/** Control tokens of chat templates: no words, and a provider may take them for its own when they come back. */
const CONTROL_TOKEN = /<\|[^|<>]{1,40}\|>|<｜[^｜<>]{1,40}｜>/g;
export const withoutControlTokens = (text: string): string => text.replace(CONTROL_TOKEN, '').trim();

/**
 * What a model says, of what it wrote: without thoughts and without echoes of what it was told. A call that it wrote as
 * text keeps its markup, by which it is known (`holdsCallText`).
 *
 * @returns empty when it said nothing
 */
export function wordsOf(content: string): string {
  const said = withoutAnalysis(withoutThoughts(content.replaceAll('\u0000', '').toWellFormed()));
  return withoutEchoes(holdsCallText(said) ? said : withoutControlTokens(said));
}
