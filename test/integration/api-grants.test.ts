import type { FastifyInstance } from 'fastify';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256OfWrappedKey } from '#crypto/wrap-grant.ts';
import { startDocumentedProxy } from '#test/support/documented-proxy.ts';
import {
  startGrantingApi,
  bearer,
  GRANT_URL,
  mint,
  revoke,
  show,
  type GrantingApi,
  type Owner,
} from '#test/support/granting-api.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let granting: GrantingApi;
let app: FastifyInstance;
beforeAll(async () => {
  granting = await startGrantingApi();
  app = await granting.startApp();
});
afterAll(() => granting.close());

let owner: Owner;
let missionId: string;
beforeEach(async () => {
  owner = await granting.createOwner();
  missionId = randomUUID();
});

const scope = { tables: ['notes'], recordIds: ['notes:n1'] };
const mintFor = (mission: string, more: object = {}, who = owner) =>
  mint(app, who.token, { missionId: mission, ...scope, ...more });
const stateOf = async (mission = missionId, who = owner): Promise<Record<string, unknown>> => {
  const response = await show(app, who.token, mission);
  expect(response.statusCode, response.body).toBe(200);
  return response.json();
};

interface Snapshot {
  readonly nextRunAtMs?: number;
  readonly state?: string;
  readonly exists?: boolean;
}
/** As the projection writes it. */
const snapshot = (
  mission: string,
  { nextRunAtMs, state = 'active', exists = true }: Snapshot = {},
  who = owner,
) =>
  granting.admin.sync.system`
    insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, state, next_run_at, applied_version)
    values (${who.userId}, ${mission}, ${exists}, ${state},
      to_timestamp(${nextRunAtMs === undefined ? null : nextRunAtMs / 1000}::float8), 1)
    on conflict (user_id, mission_id) do update set
      exists_now = excluded.exists_now, state = excluded.state, next_run_at = excluded.next_run_at`;
const versionOf = async (mission: string, who = owner): Promise<number | undefined> => {
  const [row] = await granting.admin.sync.system<{ version: number }[]>`
    select version::int as version from mana_ai.mission_snapshots
    where user_id = ${who.userId} and mission_id = ${mission}`;
  return row?.version;
};

describe('a grant request with a time zone', () => {
  it('makes the schedule of its mission follow, whenever the zone changes', async () => {
    await snapshot(missionId);
    const seen: (number | undefined)[] = [];
    for (const timeZone of ['Europe/Berlin', 'Europe/Berlin', 'America/New_York', undefined, null]) {
      await mintFor(missionId, { timeZone });
      seen.push(await versionOf(missionId));
    }
    expect(seen).toEqual([2, 2, 3, 3, 3]);
  });

  it('also makes missions of that user follow that have no zone of their own, and nobody else’s', async () => {
    const [zoned, zoneless] = [randomUUID(), randomUUID()];
    const other = await granting.createOwner();
    await mintFor(zoned, { timeZone: 'Asia/Tokyo' });
    await snapshot(zoned);
    await snapshot(zoneless);
    await snapshot(missionId, {}, other);
    await mintFor(missionId, { timeZone: 'Europe/Berlin' });
    expect(await versionOf(zoneless)).toBe(2);
    expect(await versionOf(zoned)).toBe(1);
    expect(await versionOf(missionId, other)).toBe(1);
  });

  it('keeps the zone of a mission that is not visible yet', async () => {
    await mintFor(missionId, { timeZone: 'Pacific/Auckland' });
    const rows = await granting.admin.sync.system`
      select time_zone from mana_ai.mission_time_zones where user_id = ${owner.userId}`;
    expect(rows).toEqual([{ time_zone: 'Pacific/Auckland' }]);
    expect(await versionOf(missionId)).toBeUndefined();
  });
});

it('fields that a request has besides are ignored, whatever they are called and hold', async () => {
  const grant = await mintFor(missionId, {
    userId: 'somebody-else',
    derivation: { version: 'v1', recordIds: ['notes:all'] },
    expiresAt: '2999-01-01T00:00:00.000Z',
    version: 'v1',
    constructor: { prototype: { polluted: true } },
    list: [1, { deep: [null] }],
  });
  expect(grant.derivation).toEqual({ version: 'v2', missionId, ...scope });
  expect(Date.parse(grant.expiresAt) - Date.parse(grant.issuedAt)).toBe(7 * DAY_MS);
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
});

describe('the state of a mission’s grant', () => {
  const none = {
    state: 'none',
    scope: null,
    issuedAt: null,
    expiresAt: null,
    expiresBeforeNextRun: null,
  };

  it('is none for a mission without one, also for one of somebody else', async () => {
    expect(await stateOf()).toEqual(none);
    await mintFor(missionId);
    expect(await stateOf(missionId, await granting.createOwner())).toEqual(none);
  });

  it('is active with scope and times while it can be used', async () => {
    const grant = await mintFor(missionId);
    expect(await stateOf()).toEqual({
      state: 'active',
      scope,
      issuedAt: grant.issuedAt,
      expiresAt: grant.expiresAt,
      expiresBeforeNextRun: null,
    });
  });

  it('is expired from the instant of its expiry on, and active again once renewed', async () => {
    await mintFor(missionId, { ttlMs: HOUR_MS });
    await granting.admin.sync.system`
      update mana_ai.mission_grants set issued_at = issued_at - interval '1 hour', expires_at = clock_timestamp()
      where user_id = ${owner.userId}`;
    expect(await stateOf()).toMatchObject({ state: 'expired', scope });
    await mintFor(missionId);
    expect((await stateOf())['state']).toBe('active');
  });

  it('is that of the latest grant that still opens something', async () => {
    const first = await mintFor(missionId, { ttlMs: 2 * DAY_MS });
    const second = await mintFor(missionId, { ttlMs: DAY_MS });
    expect((await stateOf())['expiresAt']).toBe(second.expiresAt);
    await granting.admin.sync.system`
      update mana_ai.mission_grants set revoked_at = clock_timestamp()
      where wrapped_key_sha256 = ${sha256OfWrappedKey(second.wrappedKey)}`;
    expect(await stateOf()).toMatchObject({ state: 'active', expiresAt: first.expiresAt });
  });

  it.each([
    ['weekly, with the default of 7 days issued before the last run', 8 * DAY_MS, true],
    ['daily', DAY_MS, false],
  ])('says whether it ends before the next run: %s', async (_what, aheadMs, ends) => {
    await mintFor(missionId);
    await snapshot(missionId, { nextRunAtMs: Date.now() + aheadMs });
    expect((await stateOf())['expiresBeforeNextRun']).toBe(ends);
  });

  it('does not last until the next run if it ends at that very instant', async () => {
    const { expiresAt } = await mintFor(missionId);
    await snapshot(missionId, { nextRunAtMs: Date.parse(expiresAt) });
    expect((await stateOf())['expiresBeforeNextRun']).toBe(true);
    await snapshot(missionId, { nextRunAtMs: Date.parse(expiresAt) - 1 });
    expect((await stateOf())['expiresBeforeNextRun']).toBe(false);
  });

  it('leaves the next run open of a mission that is paused, deleted or has none', async () => {
    await mintFor(missionId);
    const nextRunAtMs = Date.now() + 30 * DAY_MS;
    for (const snapped of [{ nextRunAtMs, state: 'paused' }, { nextRunAtMs, exists: false }, {}]) {
      await snapshot(missionId, snapped);
      expect((await stateOf())['expiresBeforeNextRun']).toBeNull();
    }
  });

  it('can be asked for a mission id of any characters that can be stored', async () => {
    for (const id of ['a/b?c#d', 'Ziel-ß-🎯', '%2e', '"; drop table', 'x'.repeat(256), '🎯'.repeat(128)]) {
      await mintFor(id);
      expect((await stateOf(id))['state'], id).toBe('active');
      expect((await revoke(app, owner.token, id)).statusCode).toBe(204);
      expect((await stateOf(id))['state'], id).toBe('revoked');
    }
  });

  it('needs a token and a mission id that can exist', async () => {
    const withoutToken = await app.inject(`${GRANT_URL}/m1`);
    expect(withoutToken.statusCode).toBe(401);
    expect(withoutToken.json()).toMatchObject({ code: 'UNAUTHORIZED' });
    for (const id of ['x'.repeat(257), 'nul\0']) {
      for (const response of [await show(app, owner.token, id), await revoke(app, owner.token, id)]) {
        expect(response.statusCode).toBe(400);
        expect(response.json()).toMatchObject({ code: 'BAD_REQUEST' });
      }
    }
  });
});

describe('revoking', () => {
  it('ends every grant of the mission, and a second time changes nothing', async () => {
    await mintFor(missionId);
    await mintFor(missionId);
    const revokedAt = () => granting.admin.sync.system<{ revoked_at: Date | null }[]>`
      select revoked_at from mana_ai.mission_grants where user_id = ${owner.userId} order by issued_at`;
    const response = await revoke(app, owner.token, missionId);
    expect({ status: response.statusCode, body: response.body }).toEqual({ status: 204, body: '' });
    const first = await revokedAt();
    expect(first.map((row) => row.revoked_at !== null)).toEqual([true, true]);
    expect((await stateOf())['state']).toBe('revoked');
    expect((await revoke(app, owner.token, missionId)).statusCode).toBe(204);
    expect(await revokedAt()).toEqual(first);
  });

  it('for a mission that nobody knows is answered alike', async () => {
    expect((await revoke(app, owner.token, 'never-heard-of')).statusCode).toBe(204);
    expect((await stateOf('never-heard-of'))['state']).toBe('none');
  });

  it('leaves other missions and other users alone', async () => {
    const other = await granting.createOwner();
    const otherMission = randomUUID();
    await mintFor(missionId);
    await mintFor(otherMission);
    await mintFor(missionId, {}, other);
    await revoke(app, owner.token, missionId);
    expect((await stateOf(otherMission))['state']).toBe('active');
    expect((await stateOf(missionId, other))['state']).toBe('active');
  });

  it('deletes what was sealed for the mission, and nothing else', async () => {
    const other = await granting.createOwner();
    const otherMission = randomUUID();
    for (const [userId, mission] of [
      [owner.userId, missionId],
      [owner.userId, otherMission],
      [other.userId, missionId],
    ] as const) {
      await granting.admin.sync.system`
        with audited as (
          insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status)
          values (${userId}, ${mission}, 'it', 'notes', 'n1', 'ok') returning id
        )
        insert into mana_ai.sealed_inputs (user_id, run_id, table_name, record_id, mission_id, sealed, audit_id)
        select ${userId}, ${`run-${mission}`}, 'notes', 'n1', ${mission}, ${randomBytes(16)}, id from audited`;
    }
    await revoke(app, owner.token, missionId);
    const left = await granting.admin.sync.system`
      select user_id, mission_id from mana_ai.sealed_inputs
      where user_id in (${owner.userId}, ${other.userId}) order by user_id = ${owner.userId}`;
    expect(left).toEqual([
      { user_id: other.userId, mission_id: missionId },
      { user_id: owner.userId, mission_id: otherMission },
    ]);
    const audit = await granting.admin.sync.system`
      select 1 from mana_ai.decrypt_audit where user_id = ${owner.userId} and mission_id = ${missionId}`;
    expect(audit).toHaveLength(1);
  });

  it('does not touch a grant that is minted afterwards', async () => {
    await mintFor(missionId);
    await revoke(app, owner.token, missionId);
    await mintFor(missionId);
    expect((await stateOf())['state']).toBe('active');
  });

  it('takes a request as browsers send it: with a content type and no body', async () => {
    await mintFor(missionId);
    const response = await app.inject({
      method: 'DELETE',
      url: `${GRANT_URL}/${missionId}`,
      headers: { ...bearer(owner.token), 'content-type': 'application/json' },
    });
    expect(response.statusCode, response.body).toBe(204);
  });

  it('is limited by user like minting', async () => {
    const limited = await granting.startApp({
      rateLimits: { perAddress: 1000, perUser: 1000, mintsPerUser: 2 },
    });
    for (let count = 0; count < 2; count++) {
      expect((await revoke(limited, owner.token, missionId)).statusCode).toBe(204);
    }
    const refused = await revoke(limited, owner.token, missionId);
    expect(refused.statusCode).toBe(429);
    expect(refused.json()).toMatchObject({ code: 'RATE_LIMITED' });
  });

  it('that fails revokes nothing and says so', async () => {
    await mintFor(missionId);
    const response = await revoke(
      await granting.startApp({
        syncDatabase: {
          ...granting.admin.sync,
          asUser: (user, work) =>
            granting.admin.sync.asUser(user, async (tx) => {
              await tx`set transaction read only`;
              return work(tx);
            }),
        },
      }),
      owner.token,
      missionId,
    );
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect((await stateOf())['state']).toBe('active');
  });
});

describe('behind the reverse proxy of mana-auth’s address, by the rule of docs/upgrade-from-before.md', () => {
  it('the web app’s dialog reaches us, and everything else mana-auth', async () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/upgrade-from-before.md'), 'utf8');
    const manaAuth = createServer((request, response) => response.writeHead(418).end(request.url));
    await new Promise<void>((done) => manaAuth.listen(0, '127.0.0.1', done));
    const ours = await granting.startApp({ trustedProxies: ['loopback'] });
    const proxy = await startDocumentedProxy(/^```nginx\n(.*?)^```/ms.exec(page)?.[1] ?? '', {
      'http://mana-missions-api:3566': await ours.listen({ host: '127.0.0.1', port: 0 }),
      'http://mana-auth:3001': `http://127.0.0.1:${(manaAuth.address() as AddressInfo).port}`,
    });
    try {
      const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: object) =>
        fetch(`${proxy.url}${path}`, {
          ...{ method, headers: { origin: 'https://app.test', ...headers } },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        });
      const preflight = await ask('OPTIONS', GRANT_URL, {
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      });
      expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([204, 'https://app.test']);
      const recordIds = Array.from({ length: 1_000 }, () => `notes:${randomUUID()}`);
      const headers = { authorization: `Bearer ${owner.token}`, 'content-type': 'application/json' };
      const granted = await ask('POST', GRANT_URL, headers, { missionId, tables: ['notes'], recordIds });
      expect(await granted.json()).toMatchObject({ derivation: { version: 'v2', missionId } });
      expect(await stateOf()).toMatchObject({ state: 'active' });
      const revoked = await ask('DELETE', `${GRANT_URL}/${missionId}?from=dialog`, { authorization: `Bearer ${owner.token}` });
      expect([revoked.status, (await stateOf())['state']]).toEqual([204, 'revoked']);
      for (const path of ['/', '/api/v1/auth/jwks', `${GRANT_URL}s`, `/x${GRANT_URL}`]) {
        const other = await ask('GET', path);
        expect([other.status, await other.text()]).toEqual([418, path]);
      }
    } finally {
      await proxy.close();
      manaAuth.closeAllConnections();
      await new Promise((done) => manaAuth.close(done));
    }
  });
}); // prettier-ignore
