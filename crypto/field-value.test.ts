import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decryptFieldValue, encryptFieldValue, isEncryptedValue } from './field-value.ts';

interface Enc1Case {
  name: string;
  stored: unknown;
  expect: { ok: boolean; value?: unknown };
}
const vectors = JSON.parse(readFileSync(new URL('../test/vectors/enc1.json', import.meta.url), 'utf8')) as {
  key: string;
  cases: Enc1Case[];
};

describe('the vectors', () => {
  const key = Buffer.from(vectors.key, 'base64');

  it('are 21', () => {
    expect(vectors.cases).toHaveLength(21);
  });

  it.each(vectors.cases)('$name', ({ stored, expect: expected }) => {
    expect(decryptFieldValue(key, stored)).toEqual(expected);
  });
});

describe('encrypted values', () => {
  const key = randomBytes(32);
  const json = fc.jsonValue().filter((value) => value !== null);

  it('decrypt to what was encrypted, under a new iv each time', () => {
    fc.assert(
      fc.property(json, (value) => {
        const stored = encryptFieldValue(key, value);
        expect(isEncryptedValue(stored)).toBe(true);
        expect(stored).not.toBe(encryptFieldValue(key, value));
        expect(decryptFieldValue(key, stored)).toEqual({
          ok: true,
          value: JSON.parse(JSON.stringify(value)) as unknown,
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('are never made of null and undefined', () => {
    for (const value of [null, undefined]) expect(() => encryptFieldValue(key, value)).toThrow(TypeError);
  });

  it('with a further part behind the two do not decrypt, whatever it holds', () => {
    const stored = encryptFieldValue(key, 'Einkaufen: Milch & Brot');
    for (const behind of ['.', '.AAAA', '.A', `.${stored.slice('enc:1:'.length)}`])
      expect(decryptFieldValue(key, stored + behind), behind).toEqual({ ok: false });
  });

  it('with any character after the prefix changed, added or cut do not decrypt', () => {
    const stored = encryptFieldValue(key, 'Einkaufen: Milch & Brot');
    const position = fc.integer({ min: 'enc:1:'.length, max: stored.length });
    const character = fc.constantFrom(...Array.from('ABCDwxyz0189+/=.-_ \n'));
    fc.assert(
      fc.property(position, character, fc.constantFrom(0, 1), (index, replacement, cut) => {
        const changed = stored.slice(0, index) + replacement + stored.slice(index + cut);
        fc.pre(changed !== stored);
        expect(decryptFieldValue(key, changed)).toEqual({ ok: false });
        if (index < stored.length)
          expect(decryptFieldValue(key, stored.slice(0, index))).toEqual({ ok: false });
      }),
      { numRuns: 2000 },
    );
  });

  it('do not decrypt under another key', () => {
    expect(decryptFieldValue(randomBytes(32), encryptFieldValue(key, 'x'))).toEqual({ ok: false });
  });

  it.each([null, undefined, () => 1])('%s is never encrypted', (value) => {
    expect(() => encryptFieldValue(key, value)).toThrow(TypeError);
  });

  it.each(
    ['', 'enc:', 'enc:1', 'ENC:1:x', ' enc:1:x', 'enc:2:x', 7, null, ['enc:1:x']].map((value) => ({ value })),
  )('$value is not one and passes through', ({ value }) => {
    expect(isEncryptedValue(value)).toBe(false);
    expect(decryptFieldValue(key, value)).toEqual({ ok: true, value });
  });
});
