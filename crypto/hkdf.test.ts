import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { toUserId } from '#domain/base/ids.ts';
import { sortUtf16 } from '#domain/wire/grant.ts';
import { deriveSubkey, hkdfSha256 } from './hkdf.ts';
import { deriveMissionDataKey } from './mission-data-key.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const range = (from: number, to: number): Buffer =>
  Buffer.from(Array.from({ length: to - from }, (_, index) => from + index));

describe('RFC 5869 appendix A', () => {
  it.each([
    {
      name: 'A.1 basic',
      ikm: Buffer.alloc(22, 0x0b),
      salt: range(0, 0x0d),
      info: range(0xf0, 0xfa),
      lengthBytes: 42,
      okm: '3cb25f25faacd57a90434f64d0362f2a 2d2d0a90cf1a5a4c5db02d56ecc4c5bf 34007208d5b887185865',
    },
    {
      name: 'A.2 longer inputs and output',
      ikm: range(0, 0x50),
      salt: range(0x60, 0xb0),
      info: range(0xb0, 0x100),
      lengthBytes: 82,
      okm:
        'b11e398dc80327a1c8e7f78c596a4934 4f012eda2d4efad8a050cc4c19afa97c 59045a99cac7827271cb41c65e590e09' +
        'da3275600c2f09b8367793a9aca3db71 cc30c58179ec3e87c14c01d5c1f3434f 1d87',
    },
    {
      name: 'A.3 empty salt and info',
      ikm: Buffer.alloc(22, 0x0b),
      salt: Buffer.alloc(0),
      info: Buffer.alloc(0),
      lengthBytes: 42,
      okm: '8da4e775a563c18f715f802a063c5a31 b8a11f5c5ee1879ec3454e5f3c738d2d 9d201395faa4b61a96c8',
    },
  ])('$name', ({ okm, ...input }) => {
    expect(hkdfSha256(input)).toEqual(hex(okm));
  });
});

describe('hkdfSha256', () => {
  it('agrees with the built-in function where that one works', () => {
    for (const lengthBytes of [1, 31, 32, 33, 64, 8160]) {
      const [ikm, salt, info] = [range(1, 33), range(5, 9), range(0, 200)];
      expect(hkdfSha256({ ikm, salt, info, lengthBytes })).toEqual(
        Buffer.from(hkdfSync('sha256', ikm, salt, info, lengthBytes)),
      );
    }
  });

  it.each([0, -1, 1.5, NaN, 8161])('refuses a length of %d bytes', (lengthBytes) => {
    const empty = Buffer.alloc(0);
    expect(() => hkdfSha256({ ikm: empty, salt: empty, info: empty, lengthBytes })).toThrow(RangeError);
  });

  it('gives each purpose a key of its own', () => {
    expect(deriveSubkey(range(0, 32), 'one')).not.toEqual(deriveSubkey(range(0, 32), 'two'));
  });
});

interface HkdfCase {
  name: string;
  masterKey: string;
  missionId: string;
  tables: string[];
  recordIds: string[];
  mdk: string;
}
const vectors = JSON.parse(readFileSync(new URL('../test/vectors/hkdf.json', import.meta.url), 'utf8')) as {
  cases: HkdfCase[];
};
const unused = { userId: toUserId('user-1'), issuedAt: '', expiresAt: '' };

describe('mission data keys', () => {
  it.each(vectors.cases)('vector: $name', ({ masterKey, missionId, tables, recordIds, mdk }) => {
    const derived = deriveMissionDataKey({
      ...unused,
      masterKey: Buffer.from(masterKey, 'base64'),
      derivation: { version: 'v1', missionId, tables, recordIds },
    });
    expect(derived.toString('base64')).toBe(mdk);
  });

  it.each([23, 100, 1000])('of %d records have an info that the built-in function refuses', (count) => {
    const recordIds = Array.from(
      { length: count },
      (_, index) => `notes:00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
    );
    const masterKey = range(0, 32);
    for (const version of ['v1', 'v2'] as const) {
      const derivation = { version, missionId: 'm', tables: ['notes'], recordIds };
      const key = deriveMissionDataKey({ ...unused, masterKey, derivation });
      const reversed = { ...derivation, recordIds: recordIds.toReversed() };
      expect(key).toEqual(deriveMissionDataKey({ ...unused, masterKey, derivation: reversed }));
      const fewer = { ...derivation, recordIds: recordIds.slice(1) };
      expect(key).not.toEqual(deriveMissionDataKey({ ...unused, masterKey, derivation: fewer }));
    }
    const info = `mana-ai-mission-grant:v1:tables=notes:ids=${sortUtf16(recordIds).join(',')}`;
    expect(() => hkdfSync('sha256', masterKey, 'm', info, 32)).toThrow();
  });

  it('of v2 differ by user, issue and expiry; those of v1 do not', () => {
    const keyOf = (version: 'v1' | 'v2', change: Partial<typeof unused>): string =>
      deriveMissionDataKey({
        ...unused,
        ...change,
        masterKey: range(0, 32),
        derivation: { version, missionId: 'm', tables: ['notes'], recordIds: ['notes:1'] },
      }).toString('hex');
    const changes = [{}, { userId: toUserId('user-2') }, { issuedAt: 'x' }, { expiresAt: 'x' }];
    expect(new Set(changes.map((change) => keyOf('v2', change))).size).toBe(4);
    expect(new Set(changes.map((change) => keyOf('v1', change))).size).toBe(1);
  });

  it('come from 32-byte master keys only, and the error holds no bytes', () => {
    const derivation = { version: 'v1' as const, missionId: 'm', tables: ['notes'], recordIds: ['notes:1'] };
    expect(() => deriveMissionDataKey({ ...unused, derivation, masterKey: Buffer.alloc(16, 0xab) })).toThrow(
      new TypeError('master key: found 16 bytes, expected 32'),
    );
  });
});
