/**
 * Text preparation for the planner: what is read from records is bounded, visible and free of ciphertext before it
 * reaches a prompt or a plan. Lengths are UTF-16 code units throughout.
 */

/** Stands where a text was cut, so that neither the model nor the user takes a part for the whole. */
export const CUT_MARK = ' […cut]';
/** Stands where ciphertext was found. It must never reach the gateway (docs/architecture.md section 4). */
export const UNREADABLE_MARK = '[unreadable: encrypted]';

/** Marks and cuts at the last word that fits; a text of one endless word is cut between two characters. */
export function cutAtWord(text: string, maxChars: number, mark: string = CUT_MARK): string {
  if (text.length <= maxChars) return text;
  const room = maxChars - mark.length;
  if (room <= 0) return '';
  const head = text.slice(0, room);
  const lastSpace = Math.max(head.lastIndexOf(' '), head.lastIndexOf('\n'));
  const whole = lastSpace > room / 2 ? head.slice(0, lastSpace) : head.replace(/[\uD800-\uDBFF]$/, '');
  return whole.trimEnd() + mark;
}

/** A whole thought is worth some room: up to this share of it is given up for the end of a paragraph or a sentence. */
const GIVEN_UP = 0.3;

/** The same, at the end of a paragraph or of a sentence if there is one near the limit. */
export function cutAtSentence(text: string, maxChars: number, mark: string = CUT_MARK): string {
  if (text.length <= maxChars) return text;
  const room = maxChars - mark.length;
  if (room <= 0) return '';
  // One more, to see the blank after a sentence that just fits.
  const head = text.slice(0, room + 1);
  const least = room * (1 - GIVEN_UP);
  const paragraph = head.lastIndexOf('\n\n');
  const end = paragraph >= least ? paragraph : Math.max(lastSentenceEnd(head), head.lastIndexOf('\n'));
  return end >= least ? head.slice(0, end).trimEnd() + mark : cutAtWord(text, maxChars, mark);
}

function lastSentenceEnd(text: string): number {
  const last = [...text.matchAll(/[.!?…][)"'»“”]?(?=\s)/gu)].at(-1);
  return last === undefined ? -1 : last.index + last[0].length;
}

// Default-ignorable code points are where instructions hide from the user's eyes: zero-width and bidirectional
// controls, tag characters, variation selectors. Lone surrogates would make the request body invalid UTF-8.
const INVISIBLE = /(?![\n\t])[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cs}\uFFF9-\uFFFB]/gu;
const LINE_BREAKS = /\r\n?|[\u2028\u2029\u0085]/g;
const CIPHERTEXT = /enc:1:[A-Za-z0-9+/=]+\.[A-Za-z0-9+/=]+/g;

/** With what an encrypted field begins (docs/platform.md section 5). */
export const CIPHERTEXT_PREFIX = 'enc:1:';

/** Whether a stored value is ciphertext; such a value is unreadable for a prompt. */
export const looksEncrypted = (text: string): boolean => text.startsWith(CIPHERTEXT_PREFIX);

/** Plain line breaks, and nothing that no reader sees. */
export const withoutInvisible = (text: string): string =>
  text.replace(LINE_BREAKS, '\n').replace(INVISIBLE, '');

/** One text as the model may see it: visible characters only, no ciphertext anywhere, plain line breaks. */
export function visibleText(text: string): string {
  const visible = withoutInvisible(text).trim();
  return looksEncrypted(visible) ? UNREADABLE_MARK : visible.replace(CIPHERTEXT, UNREADABLE_MARK);
}

/** The same on one line, for headings and lists. */
export const visibleLine = (text: string, maxChars: number): string =>
  cutAtWord(visibleText(text).replace(/\s+/g, ' '), maxChars, '…');

/** The length at which texts must be cut so that all of them fit into the total. */
export function evenShare(lengths: readonly number[], total: number): number {
  let left = total;
  const ascending = [...lengths].sort((a, b) => a - b);
  for (const [index, length] of ascending.entries()) {
    const share = Math.floor(left / (ascending.length - index));
    if (length > share) return share;
    left -= length;
  }
  return total;
}
