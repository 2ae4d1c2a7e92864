import { toMissionId, toWorkflowRunId } from '#domain/base/ids.ts';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectChanges } from '#activities/projection/project-changes.ts';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import {
  createBarePlatform,
  createLogin,
  inDatabase,
  withClient,
  type BarePlatform,
} from '#dev/platform-schema.ts';
import { startPostgres, type EmbeddedCluster } from '#dev/postgres.ts';
import { missionAt, noteAt } from '#dev/web-app.ts';
import type { PlatformDatabases } from '#dev/databases.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { migrateAuthDatabase, migrateSyncDatabase, platformSql } from '#migrations/migrate.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { runAuditScript } from '#test/support/operator-commands.ts';
import { addAuditRows } from '#test/support/audit-rows.ts';

/**
 * The platform as operated: mana-sync and mana-auth own their tables, we own schema mana_ai and nothing else, nobody is a
 * superuser, and the others' owners may not even make roles. In a cluster of its own, where no role of ours exists.
 */
let cluster: EmbeddedCluster;
let platform: BarePlatform;
let ours: { readonly sync: string; readonly auth: string };
const names = { sync: 'mana_sync', auth: 'mana_platform' };

const asSuperuser = <T>(database: string, work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(cluster.superuserUrl(database), work);

beforeAll(async () => {
  cluster = await startPostgres();
  platform = await createBarePlatform(cluster, names);
  ours = await asSuperuser(names.sync, async (client) => {
    await client.query('alter role mana_sync_owner nocreaterole');
    await client.query('alter role mana_auth_owner nocreaterole');
    const url = await createLogin(client, cluster.superuserUrl(names.sync), 'missions_owner', 'createrole');
    await client.query('grant create on database mana_sync to missions_owner');
    await client.query('grant create on database mana_platform to missions_owner');
    return { sync: url, auth: inDatabase(url, names.auth) };
  });
});
afterAll(() => cluster.stop());

/** As psql does: one statement after the other, each in a transaction of its own. */
async function runAsOwner(url: string, sql: string): Promise<void> {
  await withClient(url, async (client) => {
    const text = sql.replaceAll(/^--.*$/gm, '');
    for (const statement of text.split(/;\n(?![^$]*end \$\$)/)) {
      if (statement.trim() !== '') await client.query(statement);
    }
  });
}

/** The users of production, made by the operator. */
async function createUsers(): Promise<PlatformDatabases> {
  const url = cluster.superuserUrl(names.sync);
  const users = await asSuperuser(names.sync, async (client) => {
    const member = async (role: string): Promise<string> => {
      const user = await createLogin(client, url, `${role}_user`);
      await client.query(`grant mana_missions_${role} to ${role}_user`);
      return user;
    };
    return {
      api: await member('api'),
      vault: await member('vault'),
      runner: await member('runner'),
      projection: await member('projection'),
      maintenance: await member('maintenance'),
      webApp: await createLogin(client, url, 'web_app_user'),
    };
  });
  await withClient(platform.syncOwnerUrl, (client) =>
    client.query('grant select, insert on public.sync_changes to web_app_user'),
  );
  await withClient(platform.authOwnerUrl, async (client) => {
    await client.query('grant usage on schema auth to web_app_user');
    await client.query('grant select, insert, update, delete on all tables in schema auth to web_app_user');
  });
  const both = (user: string) => ({ sync: user, auth: inDatabase(user, names.auth) });
  return {
    ...platform,
    urls: {
      api: both(users.api),
      vault: both(users.vault),
      runner: { sync: users.runner },
      projection: { sync: users.projection },
      maintenance: { sync: users.maintenance },
    },
    asWebApp: { syncUrl: users.webApp, authUrl: inDatabase(users.webApp, names.auth) },
    superuser: { syncUrl: url, authUrl: cluster.superuserUrl(names.auth) },
  };
}

describe('where mana-sync and mana-auth own their tables and we do not', () => {
  it('our migration makes what is ours, and says what their owners have to run', async () => {
    await expect(migrateSyncDatabase(ours.sync)).rejects.toThrow(
      /not the owner of public\.sync_changes.*--print-platform-sql/s,
    );
    const { rows } = await asSuperuser(names.sync, (client) =>
      client.query<{ name: string; owner: string }>(
        `select nspname || '.' || relname as name, pg_get_userbyid(relowner) as owner
         from pg_class join pg_namespace on pg_namespace.oid = relnamespace
         where relname in ('sync_changes', 'decrypt_audit') order by 1`,
      ),
    );
    expect(rows).toEqual([
      { name: 'mana_ai.decrypt_audit', owner: 'missions_owner' },
      { name: 'public.sync_changes', owner: 'mana_sync_owner' },
    ]);
  });

  it('their owners run the printed SQL, without superuser and without the right to make roles', async () => {
    const [syncSql = '', authSql = ''] = platformSql().split('-- ==== database mana_platform');
    await runAsOwner(platform.syncOwnerUrl, syncSql);
    await runAsOwner(platform.authOwnerUrl, `-- ${authSql}`);
    await migrateSyncDatabase(ours.sync);
    await migrateAuthDatabase(ours.auth);
    for (const url of [platform.syncOwnerUrl, platform.authOwnerUrl, ours.sync]) {
      const { rows } = await withClient(url, (client) =>
        client.query('select rolsuper, rolbypassrls from pg_roles where rolname = current_user'),
      );
      expect(rows).toEqual([{ rolsuper: false, rolbypassrls: false }]);
    }
  });

  it('we reach nothing of theirs as our own owner', async () => {
    for (const [url, table] of [
      [ours.sync, 'public.sync_changes'],
      [ours.auth, 'auth.encryption_vaults'],
    ] as const) {
      await expect(withClient(url, (client) => client.query(`select from ${table}`))).rejects.toMatchObject({
        code: '42501',
      });
    }
  });
});

describe('in that split', () => {
  let databases: PlatformDatabases;
  let harness: ActivityHarness;
  beforeAll(async () => {
    databases = await createUsers();
    harness = await createActivityHarness('split-test', { ...databases, drop: () => Promise.resolve() });
  });
  afterAll(() => harness.close());

  it('a mission is projected, sealed, planned and written back by the users of production', async () => {
    const { webApp } = harness;
    const user = await webApp.createUser();
    const [missionId, noteId] = [toMissionId(randomUUID()), randomUUID()];
    await webApp.insert(user, noteAt(noteId), { title: user.encrypt('Packing list') });
    const grant = await harness.grantFor(user, missionId, [`notes:${noteId}`]);
    await webApp.insert(user, missionAt(missionId), {
      title: user.encrypt('Plan the holiday'),
      objective: user.encrypt('Pack'),
      conceptMarkdown: '',
      state: 'active',
      cadence: { kind: 'interval', everyMinutes: 30 },
      nextRunAt: formatInstant(Date.now() - 1000),
      inputs: [{ module: 'notes', table: 'notes', id: noteId }],
      iterations: [],
      grant,
    });
    expect(await projectChanges(harness.projection)).toMatchObject({ projected: true, records: 1 });
    expect(harness.projection.warnings).toEqual([]);

    const runId = toWorkflowRunId(randomUUID());
    const mission = { userId: user.userId, missionId, runId };
    const startedAtMs = Date.now();
    const loaded = await loadRun(harness.runner, {
      ...mission,
      trigger: 'schedule',
      workflowId: 'w',
      startedAtMs,
      scheduledAtMs: null,
    });
    if (loaded.outcome !== 'ready') throw new Error(`found outcome ${loaded.outcome}, expected ready`);
    expect(loaded.grant).toBe('usable');
    const run = { ...mission, iterationId: loaded.iterationId };
    expect(await sealInputs(harness.vault, run)).toEqual({
      problem: null,
      sealed: 2,
      failed: 0,
      scopeViolations: 0,
      ownFieldsReadable: true,
    });
    harness.runner.replies.push({
      content: 'All is planned.',
      toolCalls: [],
      finishReason: 'stop',
      promptTokens: 1,
      completionTokens: 1,
      totalTokens: 2,
      resolvedModel: null,
    });
    const round = { ...run, round: 1, agentId: null, grantUsable: true };
    const planned = await planOneRound(harness.runner, round, new AbortController().signal);
    expect(planned.status).toBe('finished');
    const written = await writeIteration(harness.runner, {
      ...run,
      startedAtMs,
      grantUsable: true,
      result: { kind: 'planned' },
    });
    expect(written).toMatchObject({ outcome: 'empty-plan', failureCode: null });
    await forgetRun(harness.runner.database, user.userId, run);

    const read = await webApp.read(user, missionAt(missionId));
    expect(read?.record['iterations']).toMatchObject([
      { id: loaded.iterationId, overallStatus: 'approved', source: 'server', summary: 'All is planned.' },
    ]);
    expect(await projectChanges(harness.projection)).toMatchObject({ projected: true, records: 1 });
  });

  it('the audit of the run verifies, and the maintenance user prunes and erases it', async () => {
    const maintenance = { MAINTENANCE_DATABASE_URL: databases.urls.maintenance.sync };
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const signing = {
      AUDIT_CHECKPOINT_PRIVATE_KEY_PEM: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
    const verifying = {
      AUDIT_CHECKPOINT_PUBLIC_KEY_PEM: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    };
    await addAuditRows(databases, 'somebody', 3, 60);
    expect(await runAuditScript('verify', maintenance)).toMatchObject({
      code: 0,
      lines: [{ users: 2, rows: 5 }],
    });
    const before = new Date(Date.now() - 30 * 86_400_000).toISOString();
    const pruned = await runAuditScript('prune', { ...maintenance, ...signing }, ['--before', before]);
    expect(pruned).toMatchObject({ code: 0, lines: [{ userId: 'somebody', rows: 3 }, { ok: true }] });
    expect((await runAuditScript('verify', { ...maintenance, ...verifying })).code).toBe(0);
    expect(await runAuditScript('erase', maintenance, ['--user', 'somebody'])).toMatchObject({
      code: 0,
      lines: [{ rows: 0, lastSeq: '3' }],
    });
  });
});
