import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Client } from 'pg';
import { missionAt, noteAt } from '#dev/web-app.ts';
import { withClient } from '#dev/platform-schema.ts';
import type { UserTransaction } from '#db/client.ts';
import { sql } from '#db/sql.ts';
import { UserErasedError } from '#domain/base/errors.ts';
import { toUserId } from '#domain/base/ids.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';

type RoleName = 'api' | 'vault' | 'runner' | 'projection';

let harness: ActivityHarness;
const [ada, bob] = [`ada-${randomUUID()}`, `bob-${randomUUID()}`];

/** One row of each user in every per-user table. */
beforeAll(async () => {
  harness = await createActivityHarness('isolation-test');
  for (const userId of [ada, bob]) {
    const user = await harness.webApp.createUser({ userId });
    await harness.webApp.insert(user, missionAt('m'), { title: 'x' });
    await harness.webApp.insert(user, noteAt('n'), { title: 'x' });
    await query(
      harness.databases.superuser.syncUrl,
      `with audited as (
         insert into mana_ai.decrypt_audit (user_id, mission_id, table_name, record_id, status)
         values ('${userId}', 'm', 'notes', 'n', 'ok') returning id
       ), sealed as (
         insert into mana_ai.sealed_inputs (user_id, run_id, table_name, record_id, mission_id, sealed, audit_id)
         select '${userId}', 'r', 'notes', 'n', 'm', 'x', id from audited
       ), ciphertext as (
         insert into mana_ai.own_ciphertexts (user_id, table_name, record_id, sha256, elsewhere)
         values ('${userId}', 'aiMissions', 'm', sha256('x'), false)
       ), granted as (
         insert into mana_ai.mission_grants
           (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, origin, issued_at, expires_at)
         values ('${userId}', sha256('${userId}'), 'm', 'v2', '{}', '{}', 'minted', now(), now())
       ), revocation as (
         insert into mana_ai.mission_revocations (user_id, mission_id) values ('${userId}', 'm')
       ), checkpoint as (
         insert into mana_ai.audit_checkpoints (user_id, seq, hash, key_id, signature)
         values ('${userId}', 1, sha256('x'), 'k', sha512('x'))
       ), run_grant as (
         insert into mana_ai.run_grants (user_id, run_id, mission_id, mission_grant) values ('${userId}', 'r', 'm', '{}')
       ), transcript as (
         insert into mana_ai.run_transcripts (user_id, iteration_id, round, mission_id, entry)
         values ('${userId}', 'i', 1, 'm', 'x')
       ), call as (
         insert into mana_ai.model_calls (user_id, iteration_id, key_id, round, purpose, mission_id)
         values ('${userId}', 'i', '12345678', 1, 'plan', 'm')
       ), key as (
         insert into mana_ai.run_keys (user_id, iteration_id, mission_id, wrapped_key)
         values ('${userId}', 'i', 'm', 'x')
       ), note as (
         insert into mana_ai.run_notes (user_id, iteration_id, kind, mission_id, entry)
         values ('${userId}', 'i', 'research', 'm', 'x')
       ), research as (
         insert into mana_ai.research_tasks (user_id, iteration_id, mission_id, kind, state)
         values ('${userId}', 'i', 'm', 'deep', 'submitting')
       ), research_before as (
         insert into mana_ai.research_before (user_id, mission_id, task_id) values ('${userId}', 'm', 't')
       ), slot as (
         insert into mana_ai.run_slots (user_id, mission_id, workflow_id, run_id, iteration_id)
         values ('${userId}', 'm', 'w', 'r', 'i')
       ), put_aside as (
         insert into mana_ai.missions_put_aside (user_id, mission_id, put_aside_at) values ('${userId}', 'm', now())
       ), usage as (
         insert into mana_ai.token_usage
           (user_id, iteration_id, round, mission_id, prompt_tokens, completion_tokens, total_tokens)
         values ('${userId}', 'i', 1, 'm', 1, 1, 2)
       ), reservation as (
         insert into mana_ai.budget_reservations
           (user_id, iteration_id, round, purpose, mission_id, agent_id, workflow_id, run_id, reserved_tokens, estimated_tokens)
         values ('${userId}', 'i', 1, 'plan', 'm', 'a', 'w', 'r', 2, 1)
       ), zone as (
         insert into mana_ai.mission_time_zones (user_id, mission_id, time_zone) values ('${userId}', 'm', 'UTC')
       ), opted_out as (
         insert into mana_ai.schedule_opt_outs (user_id, mission_id) values ('${userId}', 'm')
       ), backlog as (
         insert into mana_ai.projection_backlogs (user_id, after_at, after_id, is_first_build)
         values ('${userId}', now(), gen_random_uuid(), false)
       ), agent as (
         insert into mana_ai.agent_snapshots (user_id, agent_id, exists_now) values ('${userId}', 'a', true)
       ), shared as (
         insert into mana_ai.space_writes (user_id, mission_id, space_id, merge_state)
         values ('${userId}', 'm', 'made-up', '{}')
       )
       insert into mana_ai.mission_snapshots (user_id, mission_id, exists_now, space_id)
       values ('${userId}', 'm', true, 'space-of-${userId}')`,
    );
  }
});
afterAll(() => harness.close());

/** Works as a production user in a transaction that is rolled back. */
const as = <T>(role: RoleName, userId: string | null, work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(harness.databases.urls[role].sync, async (client) => {
    await client.query('begin');
    if (userId !== null) await client.query(`select set_config('app.current_user_id', $1, true)`, [userId]);
    try {
      return await work(client);
    } finally {
      await client.query('rollback');
    }
  });

/** Whose rows a role sees, or `denied`. */
const seen = (role: RoleName, userId: string | null, table: string): Promise<string[] | 'denied'> =>
  as(role, userId, async (client) => {
    try {
      const { rows } = await client.query<{ user_id: string }>(
        `select distinct user_id from ${table} order by 1`,
      );
      return rows.map((row) => row.user_id);
    } catch (error) {
      expect(error).toMatchObject({ code: '42501' });
      return 'denied';
    }
  });

const OWN = 'own';
const ALL = 'all';
const NONE = 'denied';

/** Rows of which users each role sees with a user set. What is `all` names ids, states and times, and no content. */
const VISIBLE: Readonly<Record<string, Readonly<Record<RoleName, string>>>> = {
  'public.sync_changes': { api: NONE, vault: OWN, runner: OWN, projection: ALL },
  'mana_ai.mission_grants': { api: OWN, vault: OWN, runner: OWN, projection: OWN },
  'mana_ai.decrypt_audit': { api: OWN, vault: OWN, runner: NONE, projection: ALL },
  'mana_ai.audit_checkpoints': { api: OWN, vault: NONE, runner: NONE, projection: ALL },
  'mana_ai.mission_revocations': { api: OWN, vault: OWN, runner: NONE, projection: NONE },
  'mana_ai.sealed_inputs': { api: OWN, vault: OWN, runner: OWN, projection: NONE },
  'mana_ai.own_ciphertexts': { api: NONE, vault: OWN, runner: NONE, projection: NONE },
  'mana_ai.run_grants': { api: NONE, vault: OWN, runner: OWN, projection: NONE },
  'mana_ai.run_transcripts': { api: NONE, vault: NONE, runner: OWN, projection: NONE },
  'mana_ai.model_calls': { api: NONE, vault: NONE, runner: OWN, projection: NONE },
  'mana_ai.run_keys': { api: NONE, vault: NONE, runner: OWN, projection: NONE },
  'mana_ai.run_notes': { api: NONE, vault: NONE, runner: OWN, projection: NONE },
  'mana_ai.research_tasks': { api: NONE, vault: NONE, runner: OWN, projection: NONE },
  'mana_ai.research_before': { api: NONE, vault: NONE, runner: OWN, projection: NONE },
  'mana_ai.run_slots': { api: OWN, vault: OWN, runner: ALL, projection: ALL },
  'mana_ai.missions_put_aside': { api: NONE, vault: NONE, runner: OWN, projection: ALL },
  'mana_ai.token_usage': { api: OWN, vault: NONE, runner: OWN, projection: NONE },
  'mana_ai.token_usage_by_day': { api: NONE, vault: NONE, runner: NONE, projection: NONE },
  'mana_ai.budget_reservations': { api: NONE, vault: NONE, runner: ALL, projection: NONE },
  'mana_ai.mission_time_zones': { api: OWN, vault: NONE, runner: OWN, projection: ALL },
  'mana_ai.schedule_opt_outs': { api: OWN, vault: NONE, runner: NONE, projection: ALL },
  'mana_ai.mission_snapshots': { api: OWN, vault: NONE, runner: OWN, projection: ALL },
  'mana_ai.projection_backlogs': { api: NONE, vault: NONE, runner: NONE, projection: ALL },
  'mana_ai.space_writes': { api: NONE, vault: NONE, runner: OWN, projection: ALL },
  'mana_ai.agent_snapshots': { api: OWN, vault: NONE, runner: NONE, projection: ALL },
};
const ROLES: readonly RoleName[] = ['api', 'vault', 'runner', 'projection'];
const CASES = Object.entries(VISIBLE).flatMap(([table, byRole]) =>
  ROLES.map((role) => [role, byRole[role], table] as const),
);

describe('what a role sees', () => {
  it.each(CASES)('%s: %s rows of %s', async (role, expected, table) => {
    const both = [ada, bob].sort();
    const answers = {
      [OWN]: { withUser: [ada], without: [] },
      [ALL]: { withUser: both, without: both },
      [NONE]: { withUser: NONE, without: NONE },
    }[expected];
    expect(await seen(role, ada, table)).toEqual(answers?.withUser);
    expect(await seen(role, null, table)).toEqual(answers?.without);
    expect(await seen(role, '', table)).toEqual(answers?.without);
  });

  it('the matrix names every per-user table', async () => {
    const rows = await query(
      harness.databases.superuser.syncUrl,
      `select table_schema || '.' || table_name as name from information_schema.columns
        where column_name = 'user_id' and table_schema in ('mana_ai', 'public')`,
    );
    expect(rows.map((row) => row['name']).sort()).toEqual(Object.keys(VISIBLE).sort());
  });

  it('the projection sees missions and agents of app ai, and nothing else', async () => {
    const tables = await as('projection', ada, async (client) => {
      const { rows } = await client.query<Record<string, unknown>>(
        'select distinct app_id, table_name from public.sync_changes',
      );
      return rows;
    });
    expect(tables).toEqual([{ app_id: 'ai', table_name: 'aiMissions' }]);
  });

  it.each(['vault', 'runner'] as const)('%s sees the tables of inputs only', async (role) => {
    const user = await harness.webApp.createUser();
    const elsewhere = { appId: 'finance', table: 'accounts', id: 'x' };
    await harness.webApp.insert(user, elsewhere, { title: 'x' });
    await harness.webApp.insert(user, { appId: 'calendar', table: 'events', id: 'x' }, { title: 'x' });
    const tables = await as(role, user.userId, async (client) => {
      const { rows } = await client.query<{ table_name: string }>(
        'select table_name from public.sync_changes',
      );
      return rows.map((row) => row.table_name);
    });
    expect(tables).toEqual(['events']);
  });

  it('the API sees which records are sealed, to let them go, and not what they hold', async () => {
    const look = as('api', ada, (client) => client.query('select sealed from mana_ai.sealed_inputs'));
    await expect(look).rejects.toMatchObject({ code: '42501' });
  });

  it('a pooled connection comes back without a user', async () => {
    const { database } = harness.runner;
    await database.asUser(toUserId(ada), (tx) => tx`select 1`);
    for (let look = 0; look < 4; look += 1) {
      const [row] = await database.system`select current_setting('app.current_user_id', true) as "user"`;
      expect(row?.['user'] ?? '').toBe('');
    }
  });

  it('no statement is sent for an empty user id', async () => {
    const empty = ' ' as ReturnType<typeof toUserId>;
    await expect(harness.runner.database.asUser(empty, (tx) => tx`select 1`)).rejects.toThrow(TypeError);
  });
});

describe('a transaction that is sent ahead of its answers', () => {
  const noteOf = (iterationId: string) => sql`
    insert into mana_ai.run_notes (user_id, iteration_id, kind, mission_id, entry)
    values (${ada}, ${iterationId}, 'research', 'm', 'x')`;
  const notesOf = async (iterationId: string): Promise<number> =>
    (
      await harness.runner.database.asUser(
        toUserId(ada),
        (tx) => tx`
      select from mana_ai.run_notes where user_id = ${ada} and iteration_id = ${iterationId}`,
      )
    ).length;

  it('tells nothing about a user who was erased, and commits nothing that was not waited for', async () => {
    const { database } = harness.runner;
    const gone = toUserId(`gone-${randomUUID()}`);
    await query(harness.databases.superuser.syncUrl, `select mana_ai.enter_erased_user('${gone}')`);
    const told: unknown[] = [];
    await expect(
      database.asUser(gone, async (tx) => {
        told.push(await tx`select 1`);
      }),
    ).rejects.toThrow(UserErasedError);
    expect(told).toEqual([]);
    await expect(database.asUser(gone, () => Promise.resolve('done'))).rejects.toThrow(UserErasedError);
  });

  it('commits what it did not wait for', async () => {
    await harness.runner.database.asUser(toUserId(ada), (tx) => {
      tx.ahead`${noteOf('ahead')}`;
      return Promise.resolve();
    });
    expect(await notesOf('ahead')).toBe(1);
  });

  it('fails by its first failure, whoever hears of it, and leaves nothing behind', async () => {
    const { database } = harness.runner;
    const failing = (tx: UserTransaction): void => {
      tx.ahead`${noteOf('undone')}`;
      tx.ahead`select 1 / 0`;
    };
    const byZero = { code: '22012' };
    await expect(
      database.asUser(toUserId(ada), async (tx) => {
        failing(tx);
        await tx`select 1`;
      }),
    ).rejects.toMatchObject(byZero);
    await expect(
      database.asUser(toUserId(ada), (tx) => {
        failing(tx);
        return Promise.resolve();
      }),
    ).rejects.toMatchObject(byZero);
    await expect(
      database.asUser(toUserId(ada), async (tx) => {
        failing(tx);
        await tx.savepoint((inner) => inner`select 1`);
      }),
    ).rejects.toMatchObject(byZero);
    expect(await notesOf('undone')).toBe(0);
  });

  it('goes on behind a savepoint in which something failed that was not waited for', async () => {
    await harness.runner.database.asUser(toUserId(ada), async (tx) => {
      const inner = tx.savepoint((saved) => {
        saved.ahead`${noteOf('undone')}`;
        saved.ahead`select 1 / 0`;
        return Promise.resolve();
      });
      await expect(inner).rejects.toMatchObject({ code: '22012' });
      tx.ahead`${noteOf('behind')}`;
    });
    expect(await notesOf('behind')).toBe(1);
    expect(await notesOf('undone')).toBe(0);
  });
});

describe('what a role writes into the change log', () => {
  const row = {
    app_id: 'ai',
    table_name: 'aiMissions',
    record_id: 'm',
    user_id: ada,
    op: 'update',
    data: '{"iterations": []}',
    field_meta: '{"iterations": "2026-01-01T00:00:00.000Z"}',
    client_id: RUNNER_CLIENT_ID,
    actor: '{}',
    origin: 'agent',
  };
  const insert = (role: RoleName, changed: Partial<typeof row> = {}) =>
    as(role, ada, async (client) => {
      const values = { ...row, ...changed };
      const columns = Object.keys(values);
      const places = columns.map((_, index) => `$${index + 1}`);
      const { rowCount } = await client.query(
        `insert into public.sync_changes (${columns.join(', ')}) values (${places.join(', ')})`,
        Object.values(values),
      );
      return rowCount;
    });

  it('the runner writes updates of missions, of its user, as itself', async () => {
    expect(await insert('runner')).toBe(1);
    expect(await insert('runner', { origin: 'system' })).toBe(1);
  });

  it.each<[string, Partial<typeof row>]>([
    ['an insert', { op: 'insert' }],
    ['a delete', { op: 'delete' }],
    ['an agent', { table_name: 'agents' }],
    ['a note', { app_id: 'notes', table_name: 'notes' }],
    ['a mission of another app', { app_id: 'notes' }],
    ['as a device', { client_id: 'device-1' }],
    ['as a user', { origin: 'user' }],
    ['for another user', { user_id: bob }],
  ])('the runner does not write %s', async (_, changed) => {
    await expect(insert('runner', changed)).rejects.toMatchObject({ code: '42501' });
  });

  it.each(['api', 'vault', 'projection'] as const)('%s writes nothing there', async (role) => {
    await expect(insert(role)).rejects.toMatchObject({ code: '42501' });
  });

  it.each(ROLES)('%s changes and deletes nothing there', async (role) => {
    for (const statement of [
      `update public.sync_changes set data = '{}'`,
      'delete from public.sync_changes',
    ]) {
      await expect(as(role, ada, (client) => client.query(statement))).rejects.toMatchObject({
        code: '42501',
      });
    }
  });
});

describe('what a role writes elsewhere', () => {
  const write = (role: RoleName, statement: string) => as(role, ada, (client) => client.query(statement));
  const forUser = (userId: string): string =>
    `insert into mana_ai.run_keys (user_id, iteration_id, mission_id, wrapped_key) values ('${userId}', 'j', 'm', 'x')`;

  it('nobody writes rows for another user', async () => {
    expect((await write('runner', forUser(ada))).rowCount).toBe(1);
    await expect(write('runner', forUser(bob))).rejects.toMatchObject({ code: '42501' });
  });

  it('deleting and updating reach the own rows only', async () => {
    expect((await write('runner', 'delete from mana_ai.run_transcripts')).rowCount).toBe(1);
    expect((await write('runner', `update mana_ai.run_slots set run_id = 'mine'`)).rowCount).toBe(1);
    expect((await write('vault', 'update mana_ai.mission_grants set revoked_at = now()')).rowCount).toBe(1);
  });

  it.each<[RoleName, string]>([
    ['runner', `insert into mana_ai.sealed_inputs (user_id) values ('x')`],
    ['runner', `insert into mana_ai.decrypt_audit (user_id) values ('x')`],
    ['runner', 'update mana_ai.mission_grants set revoked_at = null'],
    ['vault', 'delete from mana_ai.sealed_inputs'],
    ['vault', 'update mana_ai.mission_grants set expires_at = now()'],
    ['api', 'delete from mana_ai.mission_grants'],
    ['projection', 'update mana_ai.mission_grants set expires_at = now()'],
    ['projection', `insert into mana_ai.run_slots (user_id) values ('x')`],
  ])('%s may not: %s', async (role, statement) => {
    await expect(write(role, statement)).rejects.toMatchObject({ code: '42501' });
  });
});
