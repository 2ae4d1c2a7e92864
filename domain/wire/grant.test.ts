import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalGrantEncoding,
  clampTtlMs,
  mdkInfo,
  parseGrant,
  scopeKey,
  sortUtf16,
  splitRecordId,
  type Grant,
  type GrantBinding,
} from './grant.ts';
import { toUserId } from '#domain/base/ids.ts';

const grant: Grant = {
  wrappedKey: '***',
  derivation: {
    version: 'v2',
    missionId: 'm1',
    tables: ['notes', 'tasks'],
    recordIds: ['notes:a', 'tasks:b'],
  },
  issuedAt: '2026-05-04T12:00:00.000Z',
  expiresAt: '2026-05-11T12:00:00.000Z',
};
const binding: GrantBinding = { userId: toUserId('u1'), ...grant };
const HOUR_MS = 3_600_000;

describe('parseGrant', () => {
  it('drops keys it does not know', () => {
    expect(parseGrant({ ...grant, note: 1, derivation: { ...grant.derivation, salt: 'x' } })).toEqual(grant);
  });

  it('keeps any text as key and dates, so that expired is found before malformed', () => {
    expect(parseGrant({ ...grant, wrappedKey: '', issuedAt: '', expiresAt: 'next week' })).not.toBeNull();
  });

  it.each([
    null,
    'text',
    [[]],
    {},
    { ...grant, wrappedKey: 7 },
    { ...grant, expiresAt: null },
    { ...grant, derivation: null },
    { ...grant, derivation: { ...grant.derivation, version: 'v3' } },
    { ...grant, derivation: { ...grant.derivation, tables: [] } },
    { ...grant, derivation: { ...grant.derivation, recordIds: [] } },
    { ...grant, derivation: { ...grant.derivation, recordIds: ['notes:a', 7] } },
    { ...grant, derivation: { ...grant.derivation, recordIds: Array(1001).fill('notes:a') } },
  ])('%j is no grant', (value) => {
    expect(parseGrant(value)).toBeNull();
  });
});

describe('record ids of a scope', () => {
  it('split at the first colon', () => {
    expect(splitRecordId('notes:a:b')).toEqual({ table: 'notes', id: 'a:b' });
    expect(splitRecordId('notes::')).toEqual({ table: 'notes', id: ':' });
  });

  it.each(['', 'notes', 'notes:', ':a', ':'])('%j is none', (recordId) => {
    expect(splitRecordId(recordId)).toBeNull();
  });
});

it('lists sort by UTF-16 code units, keep duplicates and leave the original alone', () => {
  const list = Object.freeze(['～', '🧩', 'b', 'B', 'ö', '10', '9', 'b']);
  expect(sortUtf16(list)).toEqual(['10', '9', 'B', 'b', 'b', 'ö', '🧩', '～']);
});

describe('scopeKey', () => {
  const { derivation } = grant;

  it('is one text for one scope in any order', () => {
    const reversed = { ...derivation, recordIds: derivation.recordIds.toReversed() };
    expect(scopeKey(reversed)).toBe(scopeKey(derivation));
  });

  it.each([
    { ...derivation, version: 'v1' as const },
    { ...derivation, missionId: 'm2' },
    { ...derivation, tables: ['notes'] },
    { ...derivation, recordIds: [...derivation.recordIds, 'tasks:b'] },
    { ...derivation, recordIds: ['notes:a,tasks:b'] },
  ])('differs for %j', (other) => {
    expect(scopeKey(other)).not.toBe(scopeKey(derivation));
  });
});

describe('mdkInfo', () => {
  it('of v1 is the contract text', () => {
    const v1 = {
      ...binding,
      derivation: { ...grant.derivation, version: 'v1' as const, tables: ['tasks', 'notes'] },
    };
    expect(mdkInfo(v1)).toBe('mana-ai-mission-grant:v1:tables=notes,tasks:ids=notes:a,tasks:b');
  });

  it('of v2 is the prefix and the canonical encoding', () => {
    expect(mdkInfo(binding)).toBe(
      'mana-ai-mission-grant:v2:["mana-missions/grant/v2","u1","v2","m1",["notes","tasks"],["notes:a","tasks:b"],' +
        '"2026-05-04T12:00:00.000Z","2026-05-11T12:00:00.000Z"]',
    );
  });
});

it('no two different grants have the same canonical encoding, even as UTF-8', () => {
  const hostileText = fc.string({
    unit: fc.constantFrom('a', ',', '"', ':', '[', ']', '\\', '\ud800', '\ufffd', '\u0000', 'd800', '\\u'),
    maxLength: 3,
  });
  const list = fc.array(hostileText, { maxLength: 3 });
  const bindings = fc.record({
    userId: hostileText.map((text) => toUserId(`u${text}`)),
    derivation: fc.record({
      version: fc.constant('v2' as const),
      missionId: hostileText,
      tables: list.map(sortUtf16),
      recordIds: list.map(sortUtf16),
    }),
    issuedAt: hostileText,
    expiresAt: hostileText,
  });
  const bytesOf = (value: GrantBinding): string =>
    Buffer.from(canonicalGrantEncoding(value), 'utf8').toString('hex');
  fc.assert(
    fc.property(bindings, bindings, (left, right) => {
      expect(bytesOf(left) === bytesOf(right)).toBe(JSON.stringify(left) === JSON.stringify(right));
    }),
    { numRuns: 2_000 },
  );
});

describe('clampTtlMs', () => {
  it.each([undefined, null, '3600000', NaN, Infinity, -Infinity, {}, [[5]], true])(
    '%s counts as absent: 7 days',
    (ttl) => {
      expect(clampTtlMs(ttl)).toBe(7 * 24 * HOUR_MS);
    },
  );

  it.each([
    [0, HOUR_MS],
    [-5, HOUR_MS],
    [HOUR_MS - 1, HOUR_MS],
    [HOUR_MS + 1.5, HOUR_MS + 1],
    [1e300, 720 * HOUR_MS],
    [720 * HOUR_MS, 720 * HOUR_MS],
  ])('%d becomes %d', (ttlMs, expected) => {
    expect(clampTtlMs(ttlMs)).toBe(expected);
  });
});
