import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { unwrapMasterKey, type VaultRow } from './unwrap-master-key.ts';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';

interface VaultCase {
  name: string;
  row: { wrapped_mk: string | null; wrap_iv: string | null; kek_id: string | null; zero_knowledge: boolean };
  expect: { masterKey: string } | { error: 'zero-knowledge' | 'unwrap-failed' };
}
const vectors = JSON.parse(readFileSync(new URL('../test/vectors/vault.json', import.meta.url), 'utf8')) as {
  kek: string;
  cases: VaultCase[];
};

describe('the vectors', () => {
  it.each(vectors.cases)('$name', ({ row, expect: expected }) => {
    const keks = { default: Buffer.from(vectors.kek, 'base64'), byId: new Map<string, Buffer>() };
    const unwrapped = unwrapMasterKey(keks, {
      wrappedMkBase64: row.wrapped_mk,
      wrapIvBase64: row.wrap_iv,
      kekId: row.kek_id,
      zeroKnowledge: row.zero_knowledge,
    });
    expect(unwrapped).toEqual(
      'error' in expected
        ? { ok: false, reason: expected.error }
        : { ok: true, masterKey: Buffer.from(expected.masterKey, 'base64') },
    );
  });
});

describe('a master key', () => {
  const [oldKek, newKek, masterKey] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const byId = new Map([['kek-old', oldKek]]);
  const rowOf = (kek: Buffer, kekId: string | null): VaultRow => ({
    ...wrapMasterKey(kek, masterKey),
    kekId,
    zeroKnowledge: false,
  });

  it('unwraps with the KEK that the row names', () => {
    expect(unwrapMasterKey({ default: newKek, byId }, rowOf(oldKek, 'kek-old'))).toEqual({
      ok: true,
      masterKey,
    });
    expect(unwrapMasterKey({ default: null, byId }, rowOf(oldKek, 'kek-old'))).toEqual({
      ok: true,
      masterKey,
    });
  });

  it.each(['kek-old', 'unknown', null])('unwraps with the default KEK where the row names %s', (kekId) => {
    expect(unwrapMasterKey({ default: newKek, byId }, rowOf(newKek, kekId))).toEqual({ ok: true, masterKey });
  });

  it('does not unwrap with a KEK of another id', () => {
    const failed = { ok: false, reason: 'unwrap-failed' };
    expect(unwrapMasterKey({ default: newKek, byId }, rowOf(oldKek, 'unknown'))).toEqual(failed);
    expect(unwrapMasterKey({ default: null, byId: new Map() }, rowOf(oldKek, 'kek-old'))).toEqual(failed);
  });

  it('in zero-knowledge mode does not unwrap, even if a wrapped key is there', () => {
    const row = { ...rowOf(newKek, null), zeroKnowledge: true };
    expect(unwrapMasterKey({ default: newKek, byId }, row)).toEqual({ ok: false, reason: 'zero-knowledge' });
  });

  it.each([
    { wrappedMkBase64: null },
    { wrapIvBase64: null },
    { wrappedMkBase64: '' },
    { wrappedMkBase64: '*' },
    { wrapIvBase64: 'AAAA' },
  ])('of a row with %j does not unwrap', (change) => {
    const row = { ...rowOf(newKek, null), ...change };
    expect(unwrapMasterKey({ default: newKek, byId }, row)).toEqual({ ok: false, reason: 'unwrap-failed' });
  });
});
