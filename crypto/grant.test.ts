import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Grant } from '#domain/wire/grant.ts';
import { toMissionId, toUserId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { publicKeyId } from './key-id.ts';
import { deriveMissionDataKey } from './mission-data-key.ts';
import { unwrapGrant, type UnwrappedGrant } from './unwrap-grant.ts';
import { mintGrant, sha256OfWrappedKey, type MintedGrant, type MintGrantInput } from './wrap-grant.ts';

interface GrantCase {
  name: string;
  grant: Grant;
  expect: { ok: true; mdk: string } | { ok: false; reason: string };
  privateKey?: null;
}
const vectors = JSON.parse(readFileSync(new URL('../test/vectors/grant.json', import.meta.url), 'utf8')) as {
  publicKeyPem: string;
  privateKeyPem: string;
  otherPublicKeyPem: string;
  masterKey: string;
  cases: GrantCase[];
};
const publicKey = createPublicKey(vectors.publicKeyPem);
const privateKey = createPrivateKey(vectors.privateKeyPem);
const masterKey = Buffer.from(vectors.masterKey, 'base64');
const userId = toUserId('user-1');

describe('the vectors', () => {
  it('are 15', () => {
    expect(vectors.cases).toHaveLength(15);
  });

  it.each(vectors.cases)('$name', (testCase) => {
    const privateKeys = testCase.privateKey === null ? [] : [privateKey];
    const unwrapped = unwrapGrant({ privateKeys, userId, grant: testCase.grant, nowMs: Date.now() });
    const seen = unwrapped.ok ? { ok: true, mdk: unwrapped.mdk.toString('base64') } : unwrapped;
    expect(seen).toEqual(testCase.expect);
  });
});

const HOUR_MS = 3_600_000;
const issuedAtMs = Date.UTC(2026, 4, 4, 12);
const mint = (change: Partial<MintGrantInput> = {}): MintedGrant =>
  mintGrant({
    version: 'v2',
    masterKey,
    userId,
    missionId: toMissionId('mission-1'),
    tables: ['tasks', 'notes'],
    recordIds: ['tasks:b', 'notes:a'],
    issuedAtMs,
    ttlMs: HOUR_MS,
    publicKey,
    ...change,
  });
const unwrap = (grant: unknown, nowMs = issuedAtMs, user = userId): UnwrappedGrant =>
  unwrapGrant({ privateKeys: [privateKey], userId: user, grant, nowMs });
const rejected = { ok: false, reason: 'wrap-rejected' };
const malformed = { ok: false, reason: 'malformed' };
const expired = { ok: false, reason: 'expired' };

describe.each(['v1', 'v2'] as const)('a grant of %s', (version) => {
  it('gives the runner the key that the vault derives, and no more than the contract says', () => {
    const { grant, keyId, wrappedKeySha256 } = mint({ version });
    expect(grant).toEqual({
      wrappedKey: expect.any(String) as unknown,
      derivation: {
        version,
        missionId: 'mission-1',
        tables: ['notes', 'tasks'],
        recordIds: ['notes:a', 'tasks:b'],
      },
      issuedAt: '2026-05-04T12:00:00.000Z',
      expiresAt: '2026-05-04T13:00:00.000Z',
    });
    const mdk = deriveMissionDataKey({ ...grant, userId, masterKey });
    expect(unwrap(grant)).toEqual({ ok: true, mdk, keyId });
    expect(wrappedKeySha256).toEqual(createHash('sha256').update(grant.wrappedKey, 'utf8').digest());
    expect(sha256OfWrappedKey(grant.wrappedKey)).toEqual(wrappedKeySha256);
  });

  it('survives storage as JSON with unknown keys', () => {
    const stored = { ...(JSON.parse(JSON.stringify(mint({ version }).grant)) as Grant), later: 1 };
    expect(unwrap(stored)).toMatchObject({ ok: true });
  });

  it('ends at the instant it names', () => {
    const { grant } = mint({ version });
    expect(unwrap(grant, issuedAtMs + HOUR_MS - 1)).toMatchObject({ ok: true });
    expect(unwrap(grant, issuedAtMs + HOUR_MS)).toEqual(expired);
  });

  it('unwraps with any of the configured keys', () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { grant, keyId } = mint({ version });
    const input = { userId, grant, nowMs: issuedAtMs };
    for (const privateKeys of [
      [privateKey, other.privateKey],
      [other.privateKey, privateKey],
    ]) {
      expect(unwrapGrant({ ...input, privateKeys })).toMatchObject({ ok: true, keyId });
    }
    expect(unwrapGrant({ ...input, privateKeys: [other.privateKey] })).toEqual(rejected);
    const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    expect(unwrapGrant({ ...input, privateKeys: [elliptic] })).toEqual(rejected);
  });

  it('with any byte of the wrapped key changed is rejected', () => {
    const { grant } = mint({ version });
    const bytes = Buffer.from(grant.wrappedKey, 'base64');
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: bytes.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (index, mask) => {
          const changed = Buffer.from(bytes);
          changed[index] = (changed[index] ?? 0) ^ mask;
          expect(unwrap({ ...grant, wrappedKey: changed.toString('base64') })).toEqual(rejected);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('with a key that is cut, lengthened or not canonical base64 is refused', () => {
    // One that begins with a zero: as a number it is the same without.
    let { grant } = mint({ version });
    while (Buffer.from(grant.wrappedKey, 'base64')[0] !== 0) ({ grant } = mint({ version }));
    const bytes = Buffer.from(grant.wrappedKey, 'base64');
    for (const changed of [bytes.subarray(1), bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.of(0)])]) {
      expect(unwrap({ ...grant, wrappedKey: changed.toString('base64') })).toEqual(rejected);
    }
    for (const wrappedKey of [
      '',
      `${grant.wrappedKey}\n`,
      grant.wrappedKey.replaceAll('=', ''),
      Buffer.from(bytes).toString('base64url'),
    ]) {
      expect(unwrap({ ...grant, wrappedKey })).toEqual(malformed);
    }
  });
});

describe('a v2 grant', () => {
  const { grant } = mint();
  const text = fc.string({ minLength: 1 });
  const list = fc.array(fc.oneof(fc.constantFrom('notes', 'notes:a', 'tasks:b'), text), {
    minLength: 1,
    maxLength: 3,
  });
  const laterMs = fc.integer({ min: issuedAtMs + 1, max: issuedAtMs + 1000 * HOUR_MS });
  type Change = { readonly user: typeof userId; readonly grant: Grant };
  const withDerivation = (change: Partial<Grant['derivation']>): Change => ({
    user: userId,
    grant: { ...grant, derivation: { ...grant.derivation, ...change } },
  });
  const changes: fc.Arbitrary<Change> = fc.oneof(
    text.map((suffix) => ({ user: toUserId(userId + suffix), grant })),
    text.map((missionId) => withDerivation({ missionId })),
    list.map((tables) => withDerivation({ tables })),
    list.map((recordIds) => withDerivation({ recordIds })),
    text.map((recordId) => withDerivation({ recordIds: [...grant.derivation.recordIds, recordId] })),
    text.map((issuedAt) => ({ user: userId, grant: { ...grant, issuedAt } })),
    laterMs.map((ms) => ({ user: userId, grant: { ...grant, expiresAt: formatInstant(ms) } })),
  );

  it('with any field changed is rejected', () => {
    fc.assert(
      fc.property(changes, (changed) => {
        fc.pre(JSON.stringify(changed) !== JSON.stringify({ user: userId, grant }));
        fc.pre(JSON.stringify(sorted(changed.grant)) !== JSON.stringify(grant) || changed.user !== userId);
        expect(unwrap(changed.grant, issuedAtMs, changed.user)).toEqual(rejected);
      }),
      { numRuns: 1500 },
    );
  });

  it('does not unwrap as v1, nor a v1 grant as v2', () => {
    expect(unwrap({ ...grant, derivation: { ...grant.derivation, version: 'v1' } })).toEqual(rejected);
    const v1 = mint({ version: 'v1' }).grant;
    expect(unwrap({ ...v1, derivation: { ...v1.derivation, version: 'v2' } })).toEqual(rejected);
  });

  it('has a key of its own, while v1 grants of one scope share theirs', () => {
    const keyOf = (version: 'v1' | 'v2', issued: number): string => {
      const unwrapped = unwrap(mint({ version, issuedAtMs: issued }).grant);
      return unwrapped.ok ? unwrapped.mdk.toString('hex') : expect.unreachable();
    };
    expect(keyOf('v2', issuedAtMs)).not.toBe(keyOf('v2', issuedAtMs + 1));
    expect(keyOf('v1', issuedAtMs)).toBe(keyOf('v1', issuedAtMs + 1));
  });
});

/** The order of a scope's lists has no meaning. */
const sorted = (grant: Grant): Grant => ({
  ...grant,
  derivation: {
    ...grant.derivation,
    tables: grant.derivation.tables.toSorted(),
    recordIds: grant.derivation.recordIds.toSorted(),
  },
});

describe('unwrapGrant', () => {
  it('never throws, whatever stands in the mission', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.record({ ...anyGrantFields() })), (value) => {
        expect(unwrap(value).ok).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([null, undefined, 'text', 7])('%s is malformed', (value) => {
    expect(unwrap(value)).toEqual(malformed);
  });

  it('finds expired before malformed, and not configured before both', () => {
    expect(unwrap({})).toEqual(expired);
    expect(unwrap({ expiresAt: 7 })).toEqual(expired);
    expect(unwrap({ ...mint().grant, derivation: null, expiresAt: 'x' })).toEqual(expired);
    expect(unwrap({ ...mint().grant, derivation: null })).toEqual(malformed);
    expect(unwrapGrant({ privateKeys: [], userId, grant: null, nowMs: issuedAtMs })).toEqual({
      ok: false,
      reason: 'not-configured',
    });
  });
});

function anyGrantFields(): Record<keyof Grant, fc.Arbitrary<unknown>> {
  const { grant } = mint();
  return {
    wrappedKey: fc.oneof(fc.constant(grant.wrappedKey), fc.base64String(), fc.jsonValue()),
    derivation: fc.oneof(
      fc.record({
        version: fc.constantFrom('v1', 'v2'),
        missionId: fc.string(),
        tables: fc.array(fc.string()),
        recordIds: fc.array(fc.string()),
      }),
      fc.jsonValue(),
    ),
    issuedAt: fc.oneof(fc.constant(grant.issuedAt), fc.jsonValue()),
    expiresAt: fc.oneof(fc.constant('2999-01-01T00:00:00Z'), fc.jsonValue()),
  };
}

describe('mintGrant', () => {
  it('leaves the master key to its owner', () => {
    const own = randomBytes(32);
    const before = Buffer.from(own);
    mint({ masterKey: own });
    expect(own).toEqual(before);
  });

  it('wraps anew each time', () => {
    expect(mint().grant.wrappedKey).not.toBe(mint().grant.wrappedKey);
  });
});

describe('publicKeyId', () => {
  it('is the same 16 hex digits for both halves of a pair', () => {
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    const expected = createHash('sha256').update(spki).digest().subarray(0, 8).toString('hex');
    expect(publicKeyId(publicKey)).toBe(expected);
    expect(publicKeyId(privateKey)).toBe(expected);
    expect(publicKeyId(createPublicKey(vectors.otherPublicKeyPem))).not.toBe(expected);
  });
});
