/**
 * How a text is looked at for injected instructions: as a reader would take it, without the tricks that hide words from
 * a search, and with what is hidden in it in other alphabets of bytes.
 */

/** Latin look-alikes among Cyrillic and Greek letters: enough that a single swapped letter hides no word. */
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  ...{
    а: 'a',
    е: 'e',
    о: 'o',
    р: 'p',
    с: 'c',
    у: 'y',
    х: 'x',
    і: 'i',
    ј: 'j',
    ѕ: 's',
    к: 'k',
    м: 'm',
    т: 't',
  },
  ...{ н: 'h', в: 'b', г: 'r', п: 'n', ԁ: 'd', ո: 'n', ѵ: 'v', ӏ: 'l', ɡ: 'g' },
  ...{ α: 'a', ε: 'e', ο: 'o', ρ: 'p', ν: 'v', ι: 'i', κ: 'k', τ: 't', υ: 'u', χ: 'x' },
};
const LOOK_ALIKE = new RegExp(`[${Object.keys(LOOK_ALIKES).join('')}]`, 'gu');
const OTHER_ALPHABET = /[\u0370-\u058F]/u;
const MIXED_WORD = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}]+/gu;
const INVISIBLE = /(?![\n\t])[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cs}\uFFF9-\uFFFB]/gu;

/** Lower case, one form for each character, nothing invisible; blanks are single ones, line breaks stay. */
export function plainView(text: string): string {
  const visible = text
    .normalize('NFKC')
    .replace(/\r\n?|[\u2028\u2029\u0085]/g, '\n')
    .replace(INVISIBLE, '')
    .toLowerCase();
  const latin = OTHER_ALPHABET.test(visible) ? visible.replace(MIXED_WORD, withoutLookAlikes) : visible;
  return latin
    .replace(/[’`´]/g, "'")
    .replace(/[*_~]{2,}|(?<!\w)[*_]|[*](?!\w)/g, '')
    .replace(/[^\S\n]+/g, ' ');
}

/** Only in words that mix alphabets: a Russian note stays Russian. */
const withoutLookAlikes = (word: string): string =>
  /\p{Script=Latin}/u.test(word) ? word.replace(LOOK_ALIKE, (letter) => LOOK_ALIKES[letter] ?? letter) : word;

const SPACED_LETTERS = /(?<![\p{L}\d])(?:\p{L}[ .\-_·]{1,2}){7,}\p{L}(?!\p{L})/gu;
const LEET: Readonly<Record<string, string>> = {
  0: 'o',
  1: 'i',
  3: 'e',
  4: 'a',
  5: 's',
  7: 't',
  '@': 'a',
  $: 's',
};

/** Words spelled with blanks between their letters, put together. */
export const spacedWords = (plain: string): string[] =>
  [...plain.matchAll(SPACED_LETTERS)].map(([spelled]) => spelled.replace(/[^\p{L}]/gu, ''));

/** Lines with digits in the place of letters, read as the letters they look like; empty where there are none. */
export const leetView = (plain: string): string =>
  plain
    .split('\n')
    .flatMap((line) => {
      if (!LEET_WORD.test(line)) return [];
      const read = line.replace(WORD_WITH_DIGITS, (word) =>
        LEET_WORD.test(word) ? word.replace(/[013457@$]/g, (digit) => LEET[digit] ?? digit) : word,
      );
      return read === line ? [] : [read];
    })
    .join('\n');

const WORD_WITH_DIGITS = /[a-z013457@$]+/g;
const LEET_WORD = /[a-z][013457@$]+[a-z]|(?<![a-z\d@$])[013457@$]+[a-z]{2}/;

const BASE64 = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{28,}={0,2}/g;
const HEX = /(?<![0-9a-f])(?:[0-9a-f]{2}[ :]?){24,}/gi;
const MAX_DECODED = 20;
const MAX_DECODED_BYTES = 4_000;

/** Texts that stand in base64 or hexadecimal digits; keys, ids and hashes decode to no text and are none. */
export function encodedTexts(text: string): string[] {
  const base64 = [...text.matchAll(BASE64)].slice(0, MAX_DECODED).map(([found]) => decodeBase64(found));
  const hex = [...text.matchAll(HEX)].slice(0, MAX_DECODED).map(([found]) => decodeHex(found));
  return [...base64, ...hex].filter(isSentence);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function decodeBase64(encoded: string): string {
  const digits = encoded.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  const codes: number[] = [];
  let bits = 0;
  let bitCount = 0;
  for (const digit of digits.slice(0, (MAX_DECODED_BYTES * 4) / 3)) {
    bits = ((bits << 6) | ALPHABET.indexOf(digit)) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      codes.push((bits >> bitCount) & 0xff);
    }
  }
  return textOfBytes(codes);
}

const decodeHex = (encoded: string): string =>
  textOfBytes(
    (encoded.slice(0, 3 * MAX_DECODED_BYTES).match(/[0-9a-f]{2}/gi) ?? []).map((pair) =>
      Number.parseInt(pair, 16),
    ),
  );

/** UTF-8; escapes are all that is needed, since `domain/` has no decoder of the platform's. */
function textOfBytes(bytes: readonly number[]): string {
  try {
    return decodeURIComponent(bytes.map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''));
  } catch {
    return '';
  }
}

/** Words and blanks, and next to nothing else. */
function isSentence(text: string): boolean {
  const letters = text.match(/[\p{L} .,;:!?'"-]/gu)?.length ?? 0;
  return (text.match(/\p{L}{2,} /gu)?.length ?? 0) >= 2 && letters >= text.length * 0.85;
}
