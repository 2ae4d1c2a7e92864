import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { publicKeyId } from '#crypto/key-id.ts';
import { deriveMissionDataKey } from '#crypto/mission-data-key.ts';
import { unwrapGrant } from '#crypto/unwrap-grant.ts';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import { sha256OfWrappedKey } from '#crypto/wrap-grant.ts';
import { toUserId } from '#domain/base/ids.ts';
import {
  DAY_MS,
  HOUR_MS,
  admin,
  countRows,
  createOwner,
  createUser,
  createVault,
  grantOf,
  issuer,
  mint,
  request,
  rsa,
  setUpGrantApi,
  startApp,
  vaultAudit,
} from '#test/support/grant-api.ts';

setUpGrantApi();

describe('minting a grant', () => {
  it('answers with the four fields of the contract, and the runner can unwrap the key of the scope', async () => {
    const app = await startApp();
    const { userId, masterKey, token } = await createOwner();
    const body = {
      missionId: 'm-1',
      tables: ['tasks', 'notes'],
      recordIds: ['tasks:b', 'notes:z', 'notes:a'],
    };
    const grant = grantOf(await mint(app, token, { ...body, somethingNew: true }));

    expect(Object.keys(grant)).toEqual(['wrappedKey', 'derivation', 'issuedAt', 'expiresAt']);
    expect(grant.derivation).toEqual({
      version: 'v2',
      missionId: 'm-1',
      tables: ['notes', 'tasks'],
      recordIds: ['notes:a', 'notes:z', 'tasks:b'],
    });
    const unwrapped = unwrapGrant({
      privateKeys: [rsa.privateKey],
      userId: toUserId(userId),
      grant,
      nowMs: Date.now(),
    });
    const mdk = deriveMissionDataKey({ ...grant, userId: toUserId(userId), masterKey });
    expect(unwrapped).toEqual({ ok: true, mdk, keyId: publicKeyId(rsa.publicKey) });
  });

  it('writes one row of the mint log, one of the vault audit and the time zone, as its user', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    const before = await countRows();
    const grant = grantOf(await mint(app, token, { ...request, timeZone: 'Europe/Berlin' }));

    const after = await countRows();
    expect(after).toEqual({
      ...before,
      grants: (before['grants'] ?? 0) + 1,
      zones: (before['zones'] ?? 0) + 1,
      vaultAudit: (before['vaultAudit'] ?? 0) + 1,
    });
    const [row] = await admin.sync.system<Record<string, unknown>[]>`
      select wrapped_key_sha256, mission_id, version, tables, record_ids, key_id, origin, issued_at, expires_at,
        revoked_at, first_used_at, pinned_agent_id
      from mana_ai.mission_grants where user_id = ${userId}`;
    expect(row).toEqual({
      wrapped_key_sha256: sha256OfWrappedKey(grant.wrappedKey),
      mission_id: request.missionId,
      version: 'v2',
      tables: ['notes'],
      record_ids: ['notes:n1'],
      key_id: publicKeyId(rsa.publicKey),
      origin: 'minted',
      issued_at: new Date(grant.issuedAt),
      expires_at: new Date(grant.expiresAt),
      revoked_at: null,
      first_used_at: null,
      pinned_agent_id: null,
    });
    expect(await vaultAudit(userId)).toEqual([
      { action: 'ai-mission-grant', status: 200, context: 'mission mission-1', ip_address: '127.0.0.1' },
    ]);
  });

  it('keeps the last time zone that was named, and no request without one changes it', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    for (const timeZone of ['Europe/Berlin', 'America/New_York', undefined, null]) {
      grantOf(await mint(app, token, { ...request, timeZone }));
    }
    const rows = await admin.sync.system`
      select mission_id, time_zone from mana_ai.mission_time_zones where user_id = ${userId}`;
    expect(rows).toEqual([{ mission_id: 'mission-1', time_zone: 'America/New_York' }]);
  });

  it('as v1 gives the contract’s key: the same for the same scope', async () => {
    const app = await startApp({ grantMintVersion: 'v1' });
    const { userId, masterKey, token } = await createOwner();
    const grants = [grantOf(await mint(app, token)), grantOf(await mint(app, token))];
    const mdks = grants.map((grant) => {
      expect(grant.derivation.version).toBe('v1');
      const unwrapped = unwrapGrant({
        privateKeys: [rsa.privateKey],
        // A v1 grant is bound to no user.
        userId: toUserId('anybody'),
        grant,
        nowMs: Date.now(),
      });
      return unwrapped.ok ? unwrapped.mdk.toString('hex') : unwrapped.reason;
    });
    const [grant] = grants;
    const expected =
      grant && deriveMissionDataKey({ ...grant, userId: toUserId(userId), masterKey }).toString('hex');
    expect(mdks).toEqual([expected, expected]);
  });

  const nowMs = Date.UTC(2026, 0, 1);
  it.each([
    [undefined, 7 * DAY_MS],
    ['soon', 7 * DAY_MS],
    [null, 7 * DAY_MS],
    [0, HOUR_MS],
    [-1, HOUR_MS],
    [2 * HOUR_MS, 2 * HOUR_MS],
    [30 * DAY_MS + 1, 30 * DAY_MS],
    [1e300, 30 * DAY_MS],
  ])('a ttl of %s lives %i ms', async (ttlMs, livesMs) => {
    const app = await startApp({ readClock: () => Promise.resolve(nowMs) });
    const { token } = await createOwner();
    const grant = grantOf(await mint(app, token, { ...request, ttlMs }));
    expect(grant.issuedAt).toBe('2026-01-01T00:00:00.000Z');
    expect(Date.parse(grant.expiresAt) - nowMs).toBe(livesMs);
  });

  it('takes 1000 record ids of 300 characters and keeps duplicates', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    const recordIds = Array.from({ length: 999 }, (_, index) => `notes:${String(index).padStart(294, 'x')}`);
    const grant = grantOf(await mint(app, token, { ...request, recordIds: [...recordIds, recordIds[0]] }));
    expect(grant.derivation.recordIds).toHaveLength(1000);
    const opened = unwrapGrant({
      privateKeys: [rsa.privateKey],
      userId: toUserId(userId),
      grant,
      nowMs: Date.now(),
    });
    expect(opened.ok).toBe(true);
  });

  it('takes a vault under a KEK that is known by its id', async () => {
    const other = randomBytes(32);
    const app = await startApp({ keks: { default: randomBytes(32), byId: new Map([['env-v1', other]]) } });
    const userId = await createUser();
    await createVault(userId, wrapMasterKey(other, randomBytes(32)));
    grantOf(await mint(app, await issuer.issueToken({ sub: userId })));
  });

  it('needs neither mission nor records in the log, and reads none of them', async () => {
    const app = await startApp();
    const { token } = await createOwner();
    grantOf(await mint(app, token, { ...request, missionId: 'never-pushed', tables: ['notes', 'unused'] }));
  });

  it('two requests for one mission at once are two grants', async () => {
    const app = await startApp();
    const { userId, token } = await createOwner();
    const grants = await Promise.all(Array.from({ length: 8 }, async () => grantOf(await mint(app, token))));
    expect(new Set(grants.map((grant) => grant.wrappedKey)).size).toBe(8);
    const [row] = await admin.sync.system<{ count: number }[]>`
      select count(*)::int as count from mana_ai.mission_grants where user_id = ${userId}`;
    expect(row?.count).toBe(8);
  });
});
