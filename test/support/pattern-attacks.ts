import { parseRegExpLiteral, type AST } from '@eslint-community/regexpp';

/** Texts of about so many characters. */
export type Attack = (chars: number) => string;

/** Enough ways through a pattern that each of its parts is pumped in some of them. */
const WALKS = 12;
/** No pattern of ours takes it, so that a match must fail behind it. */
const REJECTED = '\u0001';

/**
 * Texts made of a pattern's own parts, on which it takes long if it can: the beginning of a match over and over, a part of
 * it over and over behind that beginning, with an end that it cannot take.
 *
 * @param seed the same one gives the same texts
 */
export function attacksOn(pattern: RegExp, seed: number): Attack[] {
  const random = randomOf(seed);
  const { pattern: ast } = parseRegExpLiteral(pattern);
  const attacks: Attack[] = [];
  for (let walk = 0; walk < WALKS; walk += 1) {
    const pieces: string[] = [];
    write(pick(ast.alternatives, random), pieces, random);
    const cut = Math.floor(random() * (pieces.length + 1));
    const begin = pieces.slice(0, cut).join('');
    const from = Math.floor(random() * pieces.length);
    const pumped = pieces.slice(from, from + 1 + Math.floor(random() * 3)).join('');
    if (begin !== '') attacks.push((chars) => repeated(begin, chars) + REJECTED);
    if (pumped !== '') {
      attacks.push((chars) => begin + repeated(pumped, chars) + REJECTED);
      attacks.push((chars) => repeated(begin + pumped + pumped, chars) + REJECTED);
    }
  }
  return attacks;
}

const repeated = (part: string, chars: number): string => part.repeat(Math.ceil(chars / part.length));

/** A way through an alternative, one piece for each character. */
function write(alternative: AST.Alternative, pieces: string[], random: () => number): void {
  for (const element of alternative.elements) writeElement(element, pieces, random);
}

function writeElement(element: AST.Element, pieces: string[], random: () => number): void {
  switch (element.type) {
    case 'Quantifier': {
      const more = Math.floor(random() * 3);
      const count = Math.min(element.max, Math.min(element.min, 30) + more);
      for (let time = 0; time < count; time += 1) writeElement(element.element, pieces, random);
      return;
    }
    case 'Group':
    case 'CapturingGroup':
      write(pick(element.alternatives, random), pieces, random);
      return;
    case 'Character':
      pieces.push(String.fromCodePoint(element.value));
      return;
    case 'CharacterSet':
    case 'CharacterClass':
    case 'ExpressionCharacterClass':
      pieces.push(memberOf(element, random));
      return;
    // What stands around a match is no part of it.
    case 'Assertion':
    case 'Backreference':
      return;
  }
}

/** Of every kind that classes tell apart. */
const CANDIDATES = [
  ...'aez019 _-.,:;@/\\#<>[](){}"\'=+*~|&%$!?\n\t'.split(''),
  ...[
    'ä',
    'ı',
    'д',
    'α',
    '中',
    '\u0301',
    '\u200b',
    '\u00a0',
    '\u{E0041}',
    '\ufe0f',
    '\u202e',
    '\ud800',
    '\u0001',
  ],
];

function memberOf(
  set: AST.CharacterSet | AST.CharacterClass | AST.ExpressionCharacterClass,
  random: () => number,
): string {
  const member = new RegExp(`^(?:${set.raw})$`, /\\[pu]\{/.test(set.raw) ? 'su' : 's');
  const members = CANDIDATES.filter((candidate) => member.test(candidate));
  if (members.length > 0) return pick(members, random);
  const [first] = set.type === 'CharacterClass' ? set.elements : [];
  if (first?.type === 'Character') return String.fromCodePoint(first.value);
  return first?.type === 'CharacterClassRange' ? String.fromCodePoint(first.min.value) : 'x';
}

const pick = <T>(items: readonly T[], random: () => number): T =>
  items[Math.floor(random() * items.length)] as T;

/** Mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
