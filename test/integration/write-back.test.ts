import { toMissionId, type MissionId, toIterationId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { claimEventIdOf, eventIdOf } from '#crypto/derived-ids.ts';
import { modelGateway } from '#dev/scripted-model.ts';
import { withClient } from '#dev/platform-schema.ts';
import { missionAt, type PulledRow, type WebAppUser } from '#dev/web-app.ts';
import { EventIdConflictError, RunKeyLostError } from '#domain/base/errors.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { IterationResult, LoadRunInput, RunRef, WriteIterationInput } from '#domain/run/run.ts';
import { registry } from '#metrics/registry.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { whileLocked } from '#test/support/held-lock.ts';
import { query } from '#test/support/inspect.ts';
import { countLeftovers, NOTHING_LEFT } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('write-back-test');
});
afterAll(() => harness.close());

const MINUTE_MS = 60_000;
const DEVICE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const reply = (
  calls: readonly Readonly<Record<string, unknown>>[],
  content: string | null = null,
): PlannerReply => ({
  content,
  toolCalls: calls.map((args, index) => ({ id: `c${index}`, name: 'create_task', arguments: { ...args } })),
  finishReason: calls.length === 0 ? 'stop' : 'tool_calls',
  totalTokens: 12,
  promptTokens: 10,
  completionTokens: 2,
  resolvedModel: 'scripted/planner',
});

interface Story {
  readonly user: WebAppUser;
  readonly missionId: MissionId;
  readonly run: RunRef;
}

/** A plaintext mission that is due, claimed by a run. */
async function story(mission: Readonly<Record<string, unknown>> = {}): Promise<Story> {
  const user = await harness.webApp.createUser();
  const missionId = toMissionId(randomUUID());
  await harness.webApp.insert(user, missionAt(missionId), {
    title: 'Mission',
    objective: 'Objective',
    state: 'active',
    cadence: { kind: 'interval', everyMinutes: 30 },
    nextRunAt: formatInstant(Date.now() - MINUTE_MS),
    inputs: [],
    iterations: [],
    ...mission,
  });
  return { user, missionId, run: await claim(user, missionId) };
}

async function claim(user: WebAppUser, missionId: MissionId): Promise<RunRef> {
  const input: LoadRunInput = {
    ...{ userId: user.userId, missionId, trigger: 'projection', workflowId: `w-${missionId}` },
    ...{ runId: toWorkflowRunId(randomUUID()), startedAtMs: Date.now(), scheduledAtMs: null },
  };
  const loaded = await loadRun(harness.runner, input);
  if (loaded.outcome !== 'ready') throw new Error(loaded.outcome);
  return { userId: user.userId, missionId, iterationId: loaded.iterationId, runId: input.runId };
}

/** One planner round for each reply; the last one ends the plan. */
async function plan({ run }: Story, replies: readonly PlannerReply[]): Promise<void> {
  for (const [index, each] of replies.entries()) {
    harness.runner.replies.push(each);
    const input = { ...run, round: index + 1, agentId: null, grantUsable: false };
    await planOneRound(harness.runner, input, new AbortController().signal);
  }
}

const write = ({ run }: Story, result: IterationResult = { kind: 'planned' }) => {
  const input: WriteIterationInput = { ...run, startedAtMs: Date.now(), grantUsable: false, result };
  return writeIteration(harness.runner, input);
};

const allOurRows = async ({ user, missionId }: Story): Promise<PulledRow[]> =>
  (await harness.webApp.rows(user, missionAt(missionId))).filter((row) => row.clientId === RUNNER_CLIENT_ID);

const claimOf = ({ run }: Story): string => claimEventIdOf(toIterationId(run.iterationId));

/** Besides the claim. */
const ourRows = async (told: Story): Promise<PulledRow[]> =>
  (await allOurRows(told)).filter(({ id }) => id !== claimOf(told));

const missionOf = async ({ user, missionId }: Story): Promise<Record<string, unknown>> =>
  (await harness.webApp.read(user, missionAt(missionId)))?.record ?? {};

const failure = (code: 'grant-absent' | 'gateway-rejected' = 'grant-absent'): IterationResult => ({
  kind: 'failed',
  failure: { code, phase: 'resolving-inputs' },
});

describe('the time of our rows', () => {
  const clock = async (): Promise<string> => {
    const [row] = await query(
      harness.databases.superuser.syncUrl,
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
    );
    return String(row?.['now']);
  };

  it('is the clock at the statement, not the beginning of a transaction that waited: a device that pulled meanwhile gets it', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }]), reply([], 'Fertig.')]);
    let pulledAt = '';
    const writing = Promise.withResolvers<unknown>();
    await whileLocked(harness.databases, told, async (untilAwaited) => {
      void write(told).then(writing.resolve, writing.reject);
      await untilAwaited();
      pulledAt = await clock();
    });
    await writing.promise;
    const [written] = await ourRows(told);
    expect(String(written?.createdAt) > pulledAt).toBe(true);
  });
});

const failedForGrants = async (): Promise<number> => {
  const metric = await registry.getSingleMetric('mana_run_outcomes_total')?.get();
  return metric?.values.find(({ labels }) => labels['reason'] === 'grant-absent')?.value ?? 0;
};

describe('a run that forgets as it writes back', () => {
  const writeAndForget = ({ run }: Story, onFailure: (error: unknown) => void) =>
    writeIteration(
      harness.runner,
      {
        ...{ ...run, startedAtMs: Date.now(), grantUsable: false },
        ...{ result: { kind: 'planned' }, thenForget: true },
      },
      onFailure,
    );
  const superuser = (text: string) => query(harness.databases.superuser.syncUrl, text);
  const planned = { outcome: 'planned', steps: 1, failureCode: null };

  it('leaves nothing behind, and says the same when it is asked again', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }]), reply([], 'Fertig.')]);
    const failures: unknown[] = [];
    const note = (error: unknown): number => failures.push(error);
    expect(await writeAndForget(told, note)).toMatchObject({ ...planned, forgotten: true });
    expect(await countLeftovers(harness.databases, told.missionId)).toEqual(NOTHING_LEFT);
    expect(await writeAndForget(told, note)).toEqual({ ...planned, forgotten: true });
    expect(await ourRows(told)).toHaveLength(1);
    expect(failures).toEqual([]);
  });

  it('has written all the same where it cannot forget, and says so', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }]), reply([], 'Fertig.')]);
    await superuser(
      `create function public.refuse() returns trigger language plpgsql as 'begin raise exception ''refused''; end';
       create trigger refuse before delete on mana_ai.model_calls for each row execute function public.refuse()`,
    );
    const failures: unknown[] = [];
    try {
      expect(await writeAndForget(told, (error) => failures.push(error))).not.toHaveProperty('forgotten');
    } finally {
      await superuser('drop function public.refuse() cascade');
    }
    expect(failures).toEqual([expect.objectContaining({ message: 'refused' })]);
    expect(await ourRows(told)).toHaveLength(1);
    await forgetRun(harness.runner.database, told.user.userId, told.run);
    expect(await countLeftovers(harness.databases, told.missionId)).toEqual(NOTHING_LEFT);
  });
});

describe('writing back', () => {
  it('is one update row that puts the iteration in the place of the claim', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }, { title: 'zwei' }]), reply([], 'Zwei Aufgaben.')]);
    expect(await write(told)).toEqual({
      ...{ outcome: 'planned', steps: 2, failureCode: null },
      ...{ rounds: 2, totalTokens: expect.any(Number) as unknown },
    });
    const [row, ...more] = await ourRows(told);
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      op: 'update',
      origin: 'agent',
      id: eventIdOf(toIterationId(told.run.iterationId)),
    });
    // The claim has moved the instant on.
    expect(Object.keys(row?.data as object)).toEqual(['iterations']);
    expect(row?.fieldMeta).toEqual({ iterations: expect.stringMatching(DEVICE_TIME) as unknown });
    expect((await missionOf(told))['iterations']).toMatchObject([
      {
        id: told.run.iterationId,
        summary: 'Zwei Aufgaben.',
        overallStatus: 'awaiting-review',
        source: 'server',
      },
    ]);
  });

  it('repeated, also at the same time and after forgetting, changes nothing', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }]), reply([])]);
    await Promise.all([write(told), write(told)]);
    const before = await ourRows(told);
    await forgetRun(harness.runner.database, told.user.userId, told.run);
    // What the row says counts, although the transcript is gone.
    expect(await write(told)).toEqual({ outcome: 'planned', steps: 1, failureCode: null });
    expect(before).toHaveLength(1);
    expect(await ourRows(told)).toEqual(before);
  });

  it('an empty plan is approved and says so', async () => {
    const told = await story();
    await plan(told, [reply([], 'Nichts zu tun.')]);
    expect(await write(told)).toMatchObject({ outcome: 'empty-plan', steps: 0, failureCode: null });
    expect((await missionOf(told))['iterations']).toMatchObject([
      { overallStatus: 'approved', plan: [], summary: 'Nichts zu tun.' },
    ]);
  });

  it('no words and no steps are no plan: it failed, and says why', async () => {
    const told = await story();
    await plan(told, [reply([], null), reply([], null)]);
    const failed = { outcome: 'failed', steps: 0, failureCode: 'empty-reply' };
    expect(await write(told)).toEqual(failed);
    expect((await missionOf(told))['iterations']).toMatchObject([
      { overallStatus: 'failed', plan: [], errorDetails: { name: 'empty-reply', phase: 'parsing-response' } },
    ]);
    // The same from the row, when the acknowledgement was lost.
    expect(await write(told)).toEqual(failed);
  });

  it('keeps iterations and feedback that were synced while the run planned', async () => {
    const old = { id: 'd1', plan: [], source: 'browser', overallStatus: 'approved' };
    const told = await story({ iterations: [old] });
    await plan(told, [reply([{ title: 'eins' }]), reply([])]);
    const synced = [
      { ...old, userFeedback: 'gut so' },
      { id: 'd2', plan: [], ofALaterVersion: { kept: [1, null] } },
    ];
    await harness.webApp.update(told.user, missionAt(told.missionId), { iterations: synced });
    await write(told);
    const iterations = (await missionOf(told))['iterations'];
    expect(iterations).toEqual([...synced, expect.objectContaining({ id: told.run.iterationId })]);
  });

  it('its times are later than what stands there, also where a device’s clock is ahead', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }]), reply([])]);
    const aheadMs = Date.now() + 60 * MINUTE_MS;
    await harness.webApp.update(told.user, missionAt(told.missionId), { iterations: [] }, { atMs: aheadMs });
    await write(told);
    const [row] = await ourRows(told);
    expect(row?.fieldMeta).toEqual({ iterations: formatInstant(aheadMs + 1) });
    expect((await missionOf(told))['iterations']).toHaveLength(1);
  });

  it('stores what jsonb refuses without it: NUL and lone surrogates in a plan', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'a\u0000b \ud800 c' }]), reply([], 'x\u0000y \udfff')]);
    expect(await write(told)).toMatchObject({ outcome: 'planned' });
    const [iteration] = (await missionOf(told))['iterations'] as Record<string, unknown>[];
    expect(JSON.stringify(iteration)).not.toMatch(/\\u0000|\\ud/);
    expect(iteration).toMatchObject({ plan: [{ intent: { params: { title: 'ab \ufffd c' } } }] });
  });

  it('leaves a nextRunAt that the user moved ahead meanwhile', async () => {
    const told = await story();
    await plan(told, [reply([])]);
    const moved = formatInstant(Date.now() + 7 * MINUTE_MS);
    await harness.webApp.update(
      told.user,
      missionAt(told.missionId),
      { nextRunAt: moved },
      { atMs: Date.now() + 10 },
    );
    await write(told);
    const [row] = await ourRows(told);
    expect(Object.keys(row?.data as object)).toEqual(['iterations']);
    expect((await missionOf(told))['nextRunAt']).toBe(moved);
  });

  it('clears the nextRunAt that was set by hand on a manual mission', async () => {
    const told = await story({ cadence: { kind: 'manual' } });
    await plan(told, [reply([])]);
    await write(told);
    expect(await missionOf(told)).toMatchObject({ nextRunAt: null });
  });

  it('advances on the grid of the old nextRunAt', async () => {
    const oldMs = Date.now() - 100 * MINUTE_MS - 123;
    const told = await story({ nextRunAt: formatInstant(oldMs) });
    await plan(told, [reply([])]);
    await write(told);
    const nextMs = Date.parse(String((await missionOf(told))['nextRunAt']));
    expect(nextMs - oldMs).toBe(120 * MINUTE_MS);
  });

  it('stands in the space of the mission', async () => {
    const user = await harness.webApp.createUser();
    const missionId = toMissionId(randomUUID());
    const data = {
      title: 'x',
      state: 'active',
      nextRunAt: formatInstant(Date.now() - 1),
      cadence: { kind: 'manual' },
    };
    await harness.webApp.insertRow(user.userId, {
      ...missionAt(missionId),
      op: 'insert',
      data,
      spaceId: 'space-1',
    });
    const told = { user, missionId, run: await claim(user, missionId) };
    await write(told, failure());
    expect(await ourRows(told)).toMatchObject([{ spaceId: 'space-1' }]);
  });

  it('takes the place of the same failure, not of another one', async () => {
    const told = await story();
    await write(told, failure());
    const again = async (result: IterationResult): Promise<Story> => {
      await forgetRun(harness.runner.database, told.user.userId, told.run);
      const nextRunAt = formatInstant(Date.now() - 1);
      await harness.webApp.update(
        told.user,
        missionAt(told.missionId),
        { nextRunAt },
        { atMs: Date.now() + 10 },
      );
      const next = { ...told, run: await claim(told.user, told.missionId) };
      await write(next, result);
      await forgetRun(harness.runner.database, told.user.userId, next.run);
      return next;
    };
    const second = await again(failure());
    expect((await missionOf(told))['iterations']).toMatchObject([{ id: second.run.iterationId }]);
    await again(failure('gateway-rejected'));
    expect((await missionOf(told))['iterations']).toHaveLength(2);
  });

  it('a plan whose rounds are gone becomes a failed iteration', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }])]);
    await forgetRun(harness.runner.database, told.user.userId, told.run);
    expect(await write(told)).toEqual({ outcome: 'failed', steps: 0, failureCode: 'run-interrupted' });
  });

  it('leaves no key where the run holds nothing any more: nobody would forget it', async () => {
    const told = await story();
    // As after a reset: the slot was another execution's, and has gone with it.
    await query(
      harness.databases.superuser.syncUrl,
      'delete from mana_ai.run_slots where mission_id = $1 returning 1',
      [told.missionId],
    );
    const before = await failedForGrants();
    expect(await write(told, failure())).toMatchObject({ outcome: 'failed', failureCode: 'grant-absent' });
    expect(await failedForGrants()).toBe(before + 1);
    // Found again, it is not counted again.
    await write(told, failure());
    expect(await failedForGrants()).toBe(before + 1);
    expect(await countLeftovers(harness.databases, told.missionId)).toEqual(NOTHING_LEFT);
  });

  it('only advancing writes no iteration, as the system', async () => {
    const told = await story();
    await plan(told, [reply([])]);
    await write(told);
    // A device has put an old instant back.
    const nextRunAt = formatInstant(Date.now() - MINUTE_MS);
    await harness.webApp.update(
      told.user,
      missionAt(told.missionId),
      { nextRunAt },
      { atMs: Date.now() + 10 },
    );
    expect(await write(told, { kind: 'advance-only' })).toMatchObject({ outcome: 'advanced' });
    await write(told, { kind: 'advance-only' });
    const [, ...rows] = await ourRows(told);
    expect(rows).toMatchObject([
      { origin: 'system', actor: { kind: 'system', principalId: 'system:mission-runner' } },
    ]);
    expect(Object.keys(rows[0]?.data as object)).toEqual(['nextRunAt']);
  });

  it('a late attempt of a run that is over moves no instant on: that is the next run’s', async () => {
    const told = await story();
    await plan(told, [reply([])]);
    await write(told);
    await forgetRun(harness.runner.database, told.user.userId, told.run);
    const nextRunAt = formatInstant(Date.now() - MINUTE_MS);
    const atMs = Date.now() + 10;
    await harness.webApp.update(told.user, missionAt(told.missionId), { nextRunAt }, { atMs });
    const rows = await allOurRows(told);
    await write(told, { kind: 'advance-only' });
    expect(await allOurRows(told)).toEqual(rows);
    expect(await missionOf(told)).toMatchObject({ nextRunAt });
  });

  it('a mission that was deleted meanwhile gets nothing', async () => {
    const told = await story();
    await harness.webApp.insertRow(told.user.userId, {
      ...missionAt(told.missionId),
      op: 'delete',
      data: {},
    });
    expect(await write(told, failure())).toMatchObject({ outcome: 'mission-gone' });
    expect(await ourRows(told)).toEqual([]);
  });

  it('another user’s row with the event id is a conflict, and nothing is overwritten', async () => {
    const told = await story();
    await query(
      harness.databases.superuser.syncUrl,
      `insert into public.sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id)
       values ($1, 'ai', 'aiMissions', $2, 'squatter', 'update', '{"title": "squatted"}', 'device-x')`,
      [eventIdOf(toIterationId(told.run.iterationId)), told.missionId],
    );
    await expect(write(told, failure())).rejects.toBeInstanceOf(EventIdConflictError);
    expect(await ourRows(told)).toEqual([]);
    const [row] = await query(
      harness.databases.superuser.syncUrl,
      'select data from public.sync_changes where id = $1',
      [eventIdOf(toIterationId(told.run.iterationId))],
    );
    expect(row).toEqual({ data: { title: 'squatted' } });
  });
});

describe('a planner round', () => {
  it('that is stored is not asked again: its reply was paid for', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }])]);
    const input = { ...told.run, round: 1, agentId: null, grantUsable: false };
    // No reply is left: asking the gateway again would fail.
    const repeated = await planOneRound(harness.runner, input, new AbortController().signal);
    expect(repeated).toEqual({ status: 'continue', steps: 1, totalTokens: 12 });
  });

  it('answered twice at once counts the tokens of the first answer, and keeps its steps', async () => {
    const told = await story();
    const replies = [reply([{ title: 'eins' }]), reply([{ title: 'zwei' }, { title: 'drei' }])];
    const sent: unknown[] = [];
    const gateway = modelGateway(async ({ bodyText }, { idempotencyKey }) => {
      const mine = replies[sent.push({ bodyText, idempotencyKey }) - 1] ?? reply([]);
      // Both are under way before one is answered.
      await waitUntil('both are asked', () => Promise.resolve(sent.length > 1 || undefined));
      return mine;
    });
    const input = { ...told.run, round: 1, agentId: null, grantUsable: false };
    const signal = new AbortController().signal;
    const deps = { ...harness.runner, gateway };
    const results = await Promise.all([1, 2].map(() => planOneRound(deps, input, signal)));
    expect(results[0]).toEqual(results[1]);
    expect(sent[1]).toEqual(sent[0]);
    const usage = await query(
      harness.databases.superuser.syncUrl,
      `select total_tokens::float8, resolved_model from mana_ai.token_usage
        where mission_id = $1 and purpose = 'plan'`,
      [told.missionId],
    );
    expect(usage).toEqual([{ total_tokens: 12, resolved_model: 'scripted/planner' }]);
  });

  it('and its run’s end, at once, wait for each other and never both', async () => {
    const told = await story();
    const { superuser } = harness.databases;
    const untilWaiting = (count: number) =>
      waitUntil(`${count} wait`, async () => {
        const waiting = await query(
          superuser.syncUrl,
          `select from pg_stat_activity where wait_event = 'transactionid' and datname = current_database()`,
        );
        return waiting.length === count;
      });
    await withClient(superuser.syncUrl, async (held) => {
      await held.query('begin');
      await held.query(
        `insert into mana_ai.token_usage
           (user_id, iteration_id, round, mission_id, prompt_tokens, completion_tokens, total_tokens)
         values ($1, $2, 1, $3, 1, 1, 2)`,
        [told.user.userId, told.run.iterationId, told.missionId],
      );
      const planning = plan(told, [reply([{ title: 'eins' }])]);
      await untilWaiting(1);
      const writing = write(told, {
        kind: 'failed',
        failure: { code: 'run-interrupted', phase: 'calling-llm' },
      });
      await untilWaiting(2);
      await held.query('rollback');
      const [, written] = await Promise.all([planning, writing]);
      // The round had begun to be kept first.
      expect(written).toMatchObject({ outcome: 'planned', steps: 1 });
    });
  });

  it('whose run key was wrapped under a codec key that is gone is lost, and nothing of it is deleted', async () => {
    const told = await story();
    await plan(told, [reply([{ title: 'eins' }])]);
    const codecKeys = { primaryKeyId: 'k2', keys: new Map([['k2', Buffer.alloc(32, 2)]]) };
    const input = { ...told.run, round: 2, agentId: null, grantUsable: false };
    const { signal } = new AbortController();
    await expect(planOneRound({ ...harness.runner, codecKeys }, input, signal)).rejects.toBeInstanceOf(
      RunKeyLostError,
    );
    const write = {
      ...told.run,
      startedAtMs: Date.now(),
      grantUsable: false,
      result: { kind: 'planned' } as const,
    };
    // Another process, which has the codec key still, finds everything in its place.
    harness.runner.replies.push(reply([]));
    expect(await planOneRound(harness.runner, input, signal)).toMatchObject({ status: 'finished', steps: 1 });
    expect(await writeIteration({ ...harness.runner, codecKeys }, write)).toEqual({
      ...{ outcome: 'failed', steps: 0, failureCode: 'run-interrupted' },
    });
  });
});
