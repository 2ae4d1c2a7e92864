import { toMissionId, type MissionId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forgetRun, sweepRuns } from '#activities/runner/forget-run.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { claimAgentSlot, claimMission } from '#activities/runner/slots.ts';
import type { Database } from '#db/client.ts';
import { agentAt, missionAt, type WebAppUser } from '#dev/web-app.ts';
import { DatabaseUnavailableError, SlotBusyError, WorkerLostError } from '#domain/base/errors.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { LoadRunInput } from '#domain/run/run.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import { countLeftovers, NOTHING_LEFT } from '#test/support/stored-rows.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('slots-test');
});
afterAll(() => harness.close());

const MINUTE_MS = 60_000;

/** A run that Temporal knows as open until `end`. */
function beginRun(user: WebAppUser, missionId: MissionId, more: Partial<LoadRunInput> = {}) {
  const runId = toWorkflowRunId(randomUUID());
  harness.runner.openRuns.add(runId);
  const input: LoadRunInput = {
    ...{ userId: user.userId, missionId, trigger: 'projection', workflowId: `w-${runId}`, runId },
    ...{ startedAtMs: Date.now(), scheduledAtMs: null },
    ...more,
  };
  return {
    ...input,
    load: () => loadRun(harness.runner, input),
    /** As when its worker and its workflow are gone. */
    die: () => harness.runner.openRuns.delete(runId),
    forget: () => forgetRun(harness.runner.database, user.userId, { missionId, runId }),
  };
}

async function dueMission(
  user: WebAppUser,
  more: Readonly<Record<string, unknown>> = {},
): Promise<MissionId> {
  const missionId = toMissionId(randomUUID());
  await harness.webApp.insert(user, missionAt(missionId), {
    ...{ title: 'x', state: 'active', cadence: { kind: 'interval', everyMinutes: 30 }, iterations: [] },
    ...{ nextRunAt: formatInstant(Date.now() - MINUTE_MS), ...more },
  });
  return missionId;
}

async function agent(user: WebAppUser, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const agentId = randomUUID();
  await harness.webApp.insert(user, agentAt(agentId), { name: 'A', state: 'active', ...more });
  return agentId;
}

const slotsOf = ({ userId }: WebAppUser) =>
  query(
    harness.databases.superuser.syncUrl,
    `select mission_id as "missionId", run_id as "runId", agent_id as "agentId" from mana_ai.run_slots
      where user_id = $1 order by mission_id`,
    [userId],
  );

const times = (count: number, text: string): string[] => Array.from({ length: count }, () => text);

describe('the slot of a mission', () => {
  it('goes to one of many runs that start at once; the others end', async () => {
    const user = await harness.webApp.createUser();
    const missionId = await dueMission(user);
    const runs = Array.from({ length: 8 }, () => beginRun(user, missionId));
    const results = await Promise.all(runs.map((run) => run.load()));
    const outcomes = results.map(({ outcome }) => outcome).sort();
    expect(outcomes).toEqual([...times(7, 'already-running'), 'ready']);
    const winner = runs[results.findIndex(({ outcome }) => outcome === 'ready')];
    expect(await slotsOf(user)).toEqual([{ missionId, runId: winner?.runId, agentId: null }]);
  });

  it('stays with a run that claims it again', async () => {
    const user = await harness.webApp.createUser();
    const missionId = await dueMission(user);
    const run = beginRun(user, missionId);
    const first = await run.load();
    expect(first.outcome).toBe('ready');
    // Though the claim has moved the instant on; the run's own start stands for it then.
    expect(await run.load()).toEqual({ ...first, dueAtMs: run.startedAtMs });
  });

  it('is no run’s that is given up because its first stage is done again and again, each time well', async () => {
    const user = await harness.webApp.createUser();
    const run = beginRun(user, await dueMission(user));
    for (let time = 0; time < 6; time += 1) expect(await run.load()).toMatchObject({ outcome: 'ready' });
  });

  it('of a run that is dead is taken over, by exactly one of those that find it', async () => {
    const user = await harness.webApp.createUser();
    const missionId = await dueMission(user);
    const dead = beginRun(user, missionId);
    await dead.load();
    dead.die();
    const heirs = Array.from({ length: 5 }, () => beginRun(user, missionId));
    const { runner } = harness;
    const claims = await Promise.all(heirs.map((heir) => claimMission(runner, user.userId, heir)));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await slotsOf(user)).toMatchObject([{ runId: heirs[claims.findIndex(Boolean)]?.runId }]);
  });

  it('of a run that is dead is taken over by one run whose first stage is tried twice at once: both tries are its own', async () => {
    const user = await harness.webApp.createUser();
    const missionId = await dueMission(user);
    const dead = beginRun(user, missionId);
    await dead.load();
    dead.die();
    const heir = beginRun(user, missionId, { trigger: 'run-now' });
    const { promise: bothAsked, resolve } = Promise.withResolvers<undefined>();
    let asked = 0;
    const deps = {
      ...harness.runner,
      // Both have found the dead one before either takes over.
      isRunOpen: async (_workflowId: string, runId: string) => {
        if (runId !== dead.runId) return true;
        asked += 1;
        if (asked === 2) resolve(undefined);
        await bothAsked;
        return false;
      },
    };
    const tries = await Promise.all([loadRun(deps, heir), loadRun(deps, heir)]);
    expect(tries.map(({ outcome }) => outcome)).toEqual(['ready', 'ready']);
    expect(tries[0]).toEqual(tries[1]);
  });

  it('of a run that is dead leaves nothing behind when the next one has nothing to do', async () => {
    const user = await harness.webApp.createUser();
    const missionId = await dueMission(user);
    const dead = beginRun(user, missionId);
    await dead.load();
    await query(
      harness.databases.superuser.syncUrl,
      `insert into mana_ai.run_grants (user_id, run_id, mission_id, mission_grant) values ($1, $2, $3, '{}')`,
      [user.userId, dead.runId, missionId],
    );
    dead.die();
    expect((await beginRun(user, missionId).load()).outcome).toBe('not-due');
    expect(await countLeftovers(harness.databases, missionId)).toEqual(NOTHING_LEFT);
  });

  it('is one run’s when its first stage is tried many times at once', async () => {
    const user = await harness.webApp.createUser();
    const missionId = await dueMission(user);
    const run = beginRun(user, missionId);
    const tries = await Promise.all([run.load(), run.load()]);
    expect(tries.map(({ outcome }) => outcome)).toEqual(['ready', 'ready']);
  });

  it('is not given up by a dead run that comes back to forget', async () => {
    const user = await harness.webApp.createUser();
    const missionId = await dueMission(user);
    const dead = beginRun(user, missionId);
    await dead.load();
    dead.die();
    const heir = beginRun(user, missionId, { trigger: 'run-now' });
    expect((await heir.load()).outcome).toBe('ready');
    await dead.forget();
    expect(await slotsOf(user)).toMatchObject([{ runId: heir.runId }]);
  });

  it.each([
    ['not due yet', 'not-due', { nextRunAt: formatInstant(Date.now() + 10 * MINUTE_MS) }],
    ['without an instant', 'not-due', { nextRunAt: null }],
    ['paused', 'paused', { state: 'paused' }],
    ['of a state that nobody knows', 'paused', { state: 7 }],
    ['deleted', 'deleted', { deletedAt: formatInstant(Date.now()) }],
  ])('is let go at once by a run of a mission that is %s', async (_, outcome, fields) => {
    const user = await harness.webApp.createUser();
    const run = beginRun(user, await dueMission(user, fields));
    expect(await run.load()).toEqual({ outcome, iterationId: null });
    expect(await slotsOf(user)).toEqual([]);
  });

  it('that a run has lost since it claimed it lets it claim nothing in the log, where nobody would end it', async () => {
    const user = await harness.webApp.createUser();
    const missionId = await dueMission(user);
    const lost = beginRun(user, missionId, { trigger: 'run-now' });
    const heir = beginRun(user, missionId, { trigger: 'run-now' });
    let transactions = 0;
    const { database } = harness.runner;
    const slow: Database = {
      ...database,
      asUser: async (userId, work) => {
        transactions += 1;
        // Its worker stands still with the claim in hand; meanwhile it is terminated, and the next run comes.
        if (transactions === 2) {
          lost.die();
          expect((await heir.load()).outcome).toBe('ready');
        }
        return database.asUser(userId, work);
      },
    };
    const late = await loadRun({ ...harness.runner, database: slow }, lost);
    expect(late).toEqual({ outcome: 'already-running', iterationId: null });
    expect(await slotsOf(user)).toMatchObject([{ runId: heir.runId }]);
    const record = await harness.webApp.read(user, missionAt(missionId));
    expect(record?.record['iterations']).toHaveLength(1);
  });

  it('another user’s mission of the same id has one of its own', async () => {
    const [ada, bob] = [await harness.webApp.createUser(), await harness.webApp.createUser()];
    const missionId = await dueMission(ada);
    expect((await beginRun(ada, missionId).load()).outcome).toBe('ready');
    expect((await beginRun(bob, missionId).load()).outcome).toBe('deleted');
    expect(await slotsOf(ada)).toHaveLength(1);
    expect(await slotsOf(bob)).toEqual([]);
  });
});

describe('a run whose database does not answer', () => {
  /** What becomes of the transactions that are asked for now, in turn; all others go well. */
  const answering = (answers: ('well' | 'down' | 'committed, unsaid')[]): Database => {
    const { database } = harness.runner;
    return {
      ...database,
      asUser: async (userId, work) => {
        const answer = answers.shift() ?? 'well';
        if (answer === 'down') throw new DatabaseUnavailableError();
        const result = await database.asUser(userId, work);
        if (answer === 'well') return result;
        throw new DatabaseUnavailableError();
      },
    };
  };
  const load = (run: LoadRunInput, database: Database): Promise<unknown> =>
    loadRun({ ...harness.runner, database }, run).then(
      ({ outcome }) => outcome,
      (error: unknown) => error,
    );

  it('does not count among those that end their workers, though it can say only later that it failed', async () => {
    const user = await harness.webApp.createUser();
    const run = beginRun(user, await dueMission(user));
    const failed = await load(run, answering(['well', 'down', 'down', 'down']));
    expect(failed).toBeInstanceOf(DatabaseUnavailableError);
    expect(
      await query(
        harness.databases.superuser.syncUrl,
        `select begun from mana_ai.run_slots where run_id = $1`,
        [run.runId],
      ),
    ).toEqual([{ begun: 0 }]);
  });

  it('has its last chance still when the count of it was committed and nobody heard', async () => {
    const user = await harness.webApp.createUser();
    const run = beginRun(user, await dueMission(user));
    // Its worker died twice.
    for (let lost = 0; lost < 2; lost += 1) await claimMission(harness.runner, user.userId, run);
    expect(await load(run, answering(['well', 'committed, unsaid']))).toBeInstanceOf(
      DatabaseUnavailableError,
    );
    expect((await run.load()).outcome).toBe('ready');
  });
});

describe('the gates', () => {
  it('a run that the user asked for needs no due instant', async () => {
    const user = await harness.webApp.createUser();
    const run = beginRun(user, await dueMission(user, { nextRunAt: null }), { trigger: 'run-now' });
    expect((await run.load()).outcome).toBe('ready');
  });

  it('a cron mission without an instant is due at its schedule’s', async () => {
    const user = await harness.webApp.createUser();
    const cron = { nextRunAt: null, cadence: { kind: 'cron', expression: '* * * * *' } };
    const missionId = await dueMission(user, cron);
    expect((await beginRun(user, missionId).load()).outcome).toBe('not-due');
    const scheduled = beginRun(user, missionId, { trigger: 'schedule', scheduledAtMs: Date.now() });
    expect((await scheduled.load()).outcome).toBe('ready');
  });

  it.each(['paused', 'archived', 5])(
    'a mission of an agent whose state is %j only moves on',
    async (state) => {
      const user = await harness.webApp.createUser();
      const agentId = await agent(user, { state });
      const loaded = await beginRun(user, await dueMission(user, { agentId })).load();
      expect(loaded).toEqual({ outcome: 'agent-paused', iterationId: expect.any(String) as unknown });
    },
  );

  it('a mission of an agent that is gone runs as one without', async () => {
    const user = await harness.webApp.createUser();
    const loaded = await beginRun(user, await dueMission(user, { agentId: 'gone' })).load();
    expect(loaded).toMatchObject({ outcome: 'ready', agentId: null });
  });

  it('an instant is the same iteration for whoever runs it, and only for its user', async () => {
    const [ada, bob] = [await harness.webApp.createUser(), await harness.webApp.createUser()];
    const nextRunAt = formatInstant(Date.now() - MINUTE_MS);
    const missionId = await dueMission(ada, { nextRunAt });
    const record = { state: 'active', cadence: { kind: 'manual' }, nextRunAt };
    await harness.webApp.insert(bob, missionAt(missionId), record);
    const first = beginRun(ada, missionId);
    const { iterationId } = await first.load();
    await first.forget();
    await harness.webApp.update(ada, missionAt(missionId), { nextRunAt }, { atMs: Date.now() + 10 });
    expect(await beginRun(ada, missionId).load()).toEqual({ outcome: 'already-written', iterationId });
    expect((await beginRun(bob, missionId).load()).iterationId).not.toBe(iterationId);
  });
});

describe('the places of an agent', () => {
  it('are one by default: a second mission is told to wait, and how long at most', async () => {
    const user = await harness.webApp.createUser();
    const agentId = await agent(user);
    const first = beginRun(user, await dueMission(user, { agentId }));
    const second = beginRun(user, await dueMission(user, { agentId }));
    await first.load();
    const busy: unknown = await second.load().catch((error: unknown) => error);
    expect(busy).toBeInstanceOf(SlotBusyError);
    expect(busy).toMatchObject({ longestWaitMs: 30 * MINUTE_MS, iterationId: expect.any(String) as unknown });
    await first.forget();
    expect((await second.load()).outcome).toBe('ready');
  });

  it('are never more than its limit, however many missions come at once', async () => {
    const user = await harness.webApp.createUser();
    const agentId = await agent(user, { maxConcurrentMissions: 3 });
    const missions = await Promise.all(Array.from({ length: 8 }, () => dueMission(user, { agentId })));
    const runs = missions.map((missionId) => beginRun(user, missionId));
    const results = await Promise.allSettled(runs.map((run) => run.load()));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect((await slotsOf(user)).filter((slot) => slot['agentId'] === agentId)).toHaveLength(3);
  });

  it('of dead runs are free again', async () => {
    const user = await harness.webApp.createUser();
    const agentId = await agent(user);
    const dead = beginRun(user, await dueMission(user, { agentId }));
    await dead.load();
    dead.die();
    const next = beginRun(user, await dueMission(user, { agentId }));
    expect((await next.load()).outcome).toBe('ready');
    expect(await slotsOf(user)).toMatchObject([{ runId: next.runId, agentId }]);
  });

  it('are not taken by missions of another agent or of another user’s agent of the same id', async () => {
    const [ada, bob] = [await harness.webApp.createUser(), await harness.webApp.createUser()];
    const agentId = await agent(ada);
    await harness.webApp.insert(bob, agentAt(agentId), { name: 'B', state: 'active' });
    await beginRun(ada, await dueMission(ada, { agentId })).load();
    const other = beginRun(ada, await dueMission(ada, { agentId: await agent(ada) }));
    expect((await other.load()).outcome).toBe('ready');
    const mission = await dueMission(bob, { agentId });
    const run = beginRun(bob, mission);
    await claimMission(harness.runner, bob.userId, run);
    expect(await claimAgentSlot(harness.runner, bob.userId, { ...run, agentId })).toBe(true);
  });
});

describe('the sweep', () => {
  const age = (runIds: readonly string[]) =>
    query(
      harness.databases.superuser.syncUrl,
      `update mana_ai.run_slots set claimed_at = claimed_at - interval '11 minutes' where run_id = any($1)`,
      [runIds],
    );
  const leftOf = async (user: WebAppUser) => (await slotsOf(user)).map((slot) => slot['runId']).sort();
  const open = async (user: WebAppUser, missionId: MissionId) => {
    const run = beginRun(user, missionId);
    expect((await run.load()).outcome).toBe('ready');
    return run;
  };

  it('forgets runs that ended without forgetting, and no open one, nor one that has just begun', async () => {
    const user = await harness.webApp.createUser();
    const dead = await open(user, await dueMission(user));
    const going = await open(user, await dueMission(user));
    const young = await open(user, await dueMission(user));
    dead.die();
    young.die();
    await age([dead.runId, going.runId]);
    await sweepRuns(harness.runner, (_run, error) => {
      throw error;
    });
    expect(await leftOf(user)).toEqual([going.runId, young.runId].sort());
  });

  it('deletes what has been kept for its time, of everybody, and nothing that is younger or still needed', async () => {
    const { syncUrl } = harness.databases.superuser;
    const statements = [
      `insert into mana_ai.token_usage (user_id, iteration_id, round, mission_id, prompt_tokens, completion_tokens,
         total_tokens, resolved_model, recorded_at)
       select 'u' || days, 'it', 1, 'm', 10, 1, 11, 'p/m', now() - days * interval '1 day' from unnest(array[399, 401]) days`,
      `insert into mana_ai.mission_grants (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, origin,
         issued_at, expires_at)
       select 'u' || days, sha256(convert_to(version, 'UTF8')), version || '-' || days, version, '{}', '{}', 'minted',
         now() - interval '300 days', now() - days * interval '1 day'
       from unnest(array['v1', 'v2']) version, unnest(array[179, 181]) days`,
      `insert into mana_ai.mission_snapshots
         (user_id, mission_id, exists_now, applied_version, applied_schedule, device_utc_offset_minutes, updated_at)
       select user_id, mission_id, exists_now, applied, schedule, shown, now() - days * interval '1 day' from (values
         ('u1', 'gone-young', false, 1, null::jsonb, null::int, 89), ('u1', 'gone', false, 1, null, null, 91),
         ('u1', 'gone-pending', false, 0, null, null, 91), ('u1', 'gone-scheduled', false, 1, '{}', null, 91),
         ('u1', 'gone-clock', false, 1, null, 60, 91), ('u1', 'living', true, 1, null, null, 91),
         ('u2', 'gone-clock-2', false, 1, null, 60, 91), ('u2', 'living-2', true, 1, null, 120, 91)
       ) rows (user_id, mission_id, exists_now, applied, schedule, shown, days)`,
      `insert into mana_ai.agent_snapshots (user_id, agent_id, exists_now, updated_at)
       select 'u1', 'a' || days || exists_now, exists_now, now() - days * interval '1 day'
       from unnest(array[89, 91]) days, unnest(array[true, false]) exists_now`,
    ];
    for (const text of statements) await query(syncUrl, text);
    expect(await sweepRuns(harness.runner, () => undefined)).toBe(0);
    const left = await query(
      syncUrl,
      `select array(select user_id from mana_ai.token_usage where iteration_id = 'it') as usage,
         array(select mission_id from mana_ai.mission_grants where user_id in ('u179', 'u181') order by 1) as grants,
         array(select mission_id from mana_ai.mission_snapshots where user_id in ('u1', 'u2') order by 1) as missions,
         array(select agent_id from mana_ai.agent_snapshots where user_id = 'u1' order by 1) as agents`,
    );
    expect(left).toEqual([
      {
        usage: ['u399'],
        grants: ['v1-179', 'v1-181', 'v2-179'],
        missions: ['gone-clock', 'gone-pending', 'gone-scheduled', 'gone-young', 'living', 'living-2'],
        agents: ['a89false', 'a89true', 'a91true'],
      },
    ]);
    // What is left an operator reads, with the figures added up.
    const costs = await query(
      harness.databases.urls.maintenance.sync,
      `select calls::int, prompt_tokens::int, total_tokens::int, resolved_model from mana_ai.token_usage_by_day where user_id = 'u399'`,
    );
    expect(costs).toEqual([{ calls: 1, prompt_tokens: 10, total_tokens: 11, resolved_model: 'p/m' }]);
  });

  it('goes on behind a run that it cannot forget, says so, and tries it again the next time', async () => {
    const user = await harness.webApp.createUser();
    const runs = [];
    for (let count = 0; count < 3; count += 1) runs.push(await open(user, await dueMission(user)));
    for (const run of runs) run.die();
    await age(runs.map(({ runId }) => runId));
    const [odd] = runs.sort((a, b) => (a.missionId < b.missionId ? -1 : 1));
    const { isRunOpen } = harness.runner;
    const deps = {
      ...harness.runner,
      isRunOpen: (workflowId: string, runId: string) =>
        runId === odd?.runId ? Promise.reject(new Error('odd')) : isRunOpen(workflowId, runId),
    };
    const unswept: string[] = [];
    expect(await sweepRuns(deps, ({ runId }) => unswept.push(runId))).toBe(2);
    expect(unswept).toEqual([odd?.runId]);
    expect(await leftOf(user)).toEqual([odd?.runId]);
    expect(await sweepRuns(harness.runner, () => undefined)).toBe(1);
  });

  it('finds a dead run behind more runs that go on than it reads at once', async () => {
    const user = await harness.webApp.createUser();
    const dead = await open(user, await dueMission(user));
    dead.die();
    await age([dead.runId]);
    // In the order of their age and of their names they come first.
    await query(
      harness.databases.superuser.syncUrl,
      `insert into mana_ai.run_slots (user_id, mission_id, workflow_id, run_id, iteration_id, claimed_at)
        select '!', 'm' || n, 'w', 'going', '', now() - interval '1 day' from generate_series(1, 1200) n`,
    );
    harness.runner.openRuns.add('going');
    expect(await sweepRuns(harness.runner, () => undefined)).toBe(1);
    expect(await leftOf(user)).toEqual([]);
  });

  it('puts a run aside that took three workers with it, without touching its mission, and sweeps the others', async () => {
    const user = await harness.webApp.createUser();
    const [pill, other] = [
      await open(user, await dueMission(user)),
      await open(user, await dueMission(user)),
    ];
    pill.die();
    other.die();
    await age([pill.runId, other.runId]);
    const { syncUrl } = harness.databases.superuser;
    await query(syncUrl, `update mana_ai.run_slots set ends_begun = 3 where run_id = $1`, [pill.runId]);
    const unswept: unknown[] = [];
    expect(await sweepRuns(harness.runner, ({ runId }, error) => unswept.push([runId, error]))).toBe(1);
    expect(unswept).toEqual([[pill.runId, new WorkerLostError()]]);
    expect(await leftOf(user)).toEqual([]);
    const aside = await query(
      syncUrl,
      'select mission_id as "missionId" from mana_ai.missions_put_aside where user_id = $1',
      [user.userId],
    );
    expect(aside).toEqual([{ missionId: pill.missionId }]);
    const ended = await query(
      syncUrl,
      `select record_id as "missionId" from public.sync_changes
        where user_id = $1 and data->'iterations' @> '[{"overallStatus":"failed"}]'`,
      [user.userId],
    );
    expect(ended).toEqual([{ missionId: other.missionId }]);
  });
});
