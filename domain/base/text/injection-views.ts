import { decodeHTML } from 'entities';
import { withoutInvisible } from './prompt-text.ts';

/**
 * How a text is looked at for injected instructions: as a reader would take it, without the tricks that hide words from
 * a search, and with what is hidden in it in other alphabets of bytes. Everything here takes time in proportion to the
 * text, whatever it is.
 */

/** An entity of an entity of an entity is as far as anybody reads. */
const MAX_ENTITY_LEVELS = 3;

/** What the text says once HTML entities (named, decimal, hexadecimal) are characters and invisible ones are gone. */
export function readableView(text: string): string {
  let decoded = text;
  for (let level = 0; level < MAX_ENTITY_LEVELS && decoded.includes('&'); level += 1)
    decoded = decodeHTML(decoded);
  return withoutInvisible(withoutInvisible(decoded).normalize('NFKC'));
}

/**
 * Letters that look like plain Latin ones, in pairs: small capitals, letters with strokes (which have no accent to take
 * off), and those of the Cyrillic, Greek and Armenian alphabets: enough that a single swapped letter hides no word.
 */
const LATIN_FORMS =
  'ᴀa ʙb ᴄc ᴅd ᴇe ꜰf ɢg ʜh ɪi ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ǫq ꞯq ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz øo łl đd ħh ŧt ıi ȷj ƀb ɡg ɑa ɩi';
const OTHER_ALPHABETS =
  'аa еe оo рp сc уy хx іi јj ѕs кk мm тt нh вb гr пn ԁd ѵv ӏl һh ԛq ԝw ոn αa εe οo ρp νv ιi κk τt υu χx';
const formsOf = (pairs: string): ReadonlyMap<string, string> =>
  new Map(pairs.split(' ').map((pair) => [pair.slice(0, -1), pair.slice(-1)]));
const [LATIN_FORM, OTHER_FORM] = [formsOf(LATIN_FORMS), formsOf(OTHER_ALPHABETS)];
const WORD_OF_ALPHABETS = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}]+/gu;

/**
 * One form for each character: lower case, no accents (`ü` is `u`, `ß` is `ss`), Latin letters for what looks like them,
 * single blanks. Line breaks stay, without blanks around them.
 *
 * @param readable as `readableView` makes it
 */
export const plainView = (readable: string): string =>
  readable
    .toLowerCase()
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(WORD_OF_ALPHABETS, withoutLookAlikes)
    .replace(/[’`´‘]/g, "'")
    .replace(/[*_~]{2,}|(?<!\w)[*_]|[*_](?!\w)/g, '')
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n[ \n]*/g, '\n');

const ASCII_WORD = /^[a-z]+$/;

/** Other alphabets only in words that mix them with Latin: a Russian note stays Russian. */
function withoutLookAlikes(word: string): string {
  if (ASCII_WORD.test(word)) return word;
  const latin = word.replace(/./gsu, (letter) =>
    letter === 'ß' ? 'ss' : (LATIN_FORM.get(letter) ?? letter),
  );
  return /[a-z]/.test(latin) ? latin.replace(/./gsu, (letter) => OTHER_FORM.get(letter) ?? letter) : latin;
}

const BASE64 = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{28,}/g;
const HEX = /(?<![0-9a-f])(?:[0-9a-f]{2}[ :]?){24,}/gi;

/**
 * Texts that stand in base64 or hexadecimal digits; keys, ids and hashes decode to no text and are none.
 *
 * @param readable as `readableView` makes it: letter case counts
 */
export const encodedTexts = (readable: string): string[] => [
  ...decodedParts(readable, BASE64, decodeBase64),
  ...decodedParts(readable, HEX, decodeHex),
];

function decodedParts(readable: string, pattern: RegExp, decode: (encoded: string) => string): string[] {
  const texts: string[] = [];
  for (const [encoded] of readable.matchAll(pattern)) {
    const text = readableView(decode(encoded));
    if (isSentence(text)) texts.push(text);
  }
  return texts;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function decodeBase64(encoded: string): string {
  const digits = encoded.replaceAll('-', '+').replaceAll('_', '/');
  const codes: number[] = [];
  let bits = 0;
  let bitCount = 0;
  for (const digit of digits) {
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
  textOfBytes((encoded.match(/[0-9a-f]{2}/gi) ?? []).map((pair) => Number.parseInt(pair, 16)));

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
  const letters = text.match(/[\p{L}\s.,;:!?'"-]/gu)?.length ?? 0;
  return (text.match(/\p{L}{2} /gu)?.length ?? 0) >= 2 && letters >= text.length * 0.85;
}
