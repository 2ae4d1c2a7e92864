import { toIterationId, toMissionId, toUserId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectChanges } from '#activities/projection/project-changes.ts';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { healIterations } from '#activities/runner/heal-iterations.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { healEventIdOf } from '#crypto/derived-ids.ts';
import { missionAt, type WebAppUser } from '#dev/web-app.ts';
import { mergeRecord } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { LoadRunInput, LoadRunResult } from '#domain/run/run.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query, tablesWith } from '#test/support/inspect.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('shared-spaces-test');
});
afterAll(() => harness.close());

type Fields = Readonly<Record<string, unknown>>;
const MINUTE_MS = 60_000;
const ahead = (ms: number): number => Date.now() + ms;

interface Shared {
  readonly owner: WebAppUser;
  readonly member: WebAppUser;
  readonly missionId: string;
  readonly spaceId: string;
}

const MISSION = {
  ...{ title: 'Mission', objective: 'Ziel', state: 'active', inputs: [], iterations: [] },
  cadence: { kind: 'interval', everyMinutes: 30 },
};

/** A mission that is due, in a space. */
async function shared(fields: Fields = {}): Promise<Shared> {
  const [owner, member] = [await harness.webApp.createUser(), await harness.webApp.createUser()];
  const told = { owner, member, missionId: randomUUID(), spaceId: `space-${randomUUID()}` };
  const data = { ...MISSION, nextRunAt: formatInstant(ahead(-MINUTE_MS)), ...fields };
  await write(told, owner, data, { op: 'insert' });
  return told;
}

interface How {
  readonly atMs?: number;
  readonly times?: Readonly<Record<string, string>>;
  readonly spaceId?: string | null;
  readonly op?: string;
  readonly missionId?: string;
}

/** A row of a user; an insert was made a while ago. */
function write(told: Shared, user: WebAppUser, data: Fields, how: How = {}): Promise<string> {
  const { atMs = Date.now(), spaceId = told.spaceId, op = 'update', missionId = told.missionId } = how;
  const time = formatInstant(atMs);
  const times = Object.fromEntries(Object.keys(data).map((field) => [field, how.times?.[field] ?? time]));
  return harness.webApp.insertRow(user.userId, {
    ...{ ...missionAt(missionId), op, spaceId },
    data: op === 'insert' ? { id: missionId, createdAt: formatInstant(atMs - MINUTE_MS), ...data } : data,
    fieldMeta: op === 'update' ? times : {},
  });
}

async function project(): Promise<void> {
  while ((await projectChanges(harness.projection)).changes > 0);
}

async function snapshot({ missionId }: Shared, user: WebAppUser): Promise<Fields | undefined> {
  const [row] = await query(
    harness.databases.superuser.syncUrl,
    `select exists_now, state, cadence, agent_id, version::int as version from mana_ai.mission_snapshots
     where user_id = $1 and mission_id = $2`,
    [user.userId, missionId],
  );
  return row;
}

const runOf = ({ owner, missionId }: Shared, user = owner): LoadRunInput => ({
  ...{
    userId: user.userId,
    missionId: toMissionId(missionId),
    trigger: 'projection',
    workflowId: randomUUID(),
  },
  ...{ runId: toWorkflowRunId(randomUUID()), startedAtMs: Date.now(), scheduledAtMs: null },
});
const load = (input: LoadRunInput): Promise<LoadRunResult> => loadRun(harness.runner, input);

/** Of each round asked what was sent. */
async function round(input: LoadRunInput, loaded: LoadRunResult, number = 1) {
  if (loaded.outcome !== 'ready') throw new Error(loaded.outcome);
  const counts = { totalTokens: 3, promptTokens: 2, completionTokens: 1, resolvedModel: null };
  const toolCalls = number > 1 ? [] : [{ id: 'c', name: 'create_task', arguments: { title: 'eins' } }];
  harness.runner.replies.splice(0, Infinity, {
    ...{ content: number > 1 ? 'Fertig.' : null, toolCalls, ...counts },
    finishReason: number > 1 ? 'stop' : 'tool_calls',
  });
  const sent: string[] = [];
  const { gateway } = harness.runner;
  const complete = (...args: Parameters<typeof gateway.complete>) => {
    sent.push(args[0]);
    return gateway.complete(...args);
  };
  const { iterationId, agentId, dueAtMs } = loaded;
  const result = await planOneRound(
    { ...harness.runner, gateway: { complete } },
    {
      ...{ ...input, iterationId, agentId, round: number, grantUsable: false },
      ...(dueAtMs === undefined ? {} : { dueAtMs }),
    },
    new AbortController().signal,
  );
  return { result, sent };
}

const end = (input: LoadRunInput, loaded: LoadRunResult) =>
  writeIteration(harness.runner, {
    ...{
      ...input,
      iterationId: loaded.iterationId ?? toIterationId(''),
      grantUsable: false,
      result: { kind: 'planned' },
    },
    agentId: null,
  });

/** A run of the owner's mission from its beginning to its end. */
async function run(told: Shared): Promise<string> {
  const input = runOf(told);
  const loaded = await load(input);
  await round(input, loaded);
  await round(input, loaded, 2);
  await end(input, loaded);
  await forgetRun(harness.runner.database, told.owner.userId, input);
  await project();
  return loaded.iterationId ?? toIterationId('');
}

type LogRow = ChangeRow & { readonly userId: string; readonly spaceId: string | null };

/** Has its owner make it due again. */
async function due(told: Shared): Promise<Shared> {
  await write(told, told.owner, { nextRunAt: formatInstant(ahead(-1_000)) }, { atMs: ahead(50) });
  return told;
}

/** All rows of the record in the space, as a device of any member pulls them. */
async function rows({ missionId, spaceId }: Shared): Promise<LogRow[]> {
  const found = await query(
    harness.databases.superuser.syncUrl,
    `select id, op, data, field_meta as "fieldMeta", client_id as "clientId", user_id as "userId", space_id as "spaceId",
       to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "createdAt"
     from public.sync_changes where record_id = $1 and space_id = $2 order by created_at, id`,
    [missionId, spaceId],
  );
  return found as unknown as LogRow[];
}
const ourRows = async (told: Shared): Promise<LogRow[]> =>
  (await rows(told)).filter(({ clientId }) => clientId === RUNNER_CLIENT_ID);
const onDevices = async (told: Shared): Promise<Fields[]> =>
  (mergeRecord(told.missionId, await rows(told))?.record['iterations'] ?? []) as Fields[];

/** Heals where the projection has it healed. */
async function follow({ owner, missionId }: Shared): Promise<number> {
  let restored = 0;
  for (let pass = 0; pass < 5; pass += 1) {
    await project();
    const mine = harness.projection.healings
      .splice(0)
      .filter((each) => each === `${owner.userId}/${missionId}`);
    if (mine.length === 0) return restored;
    restored += await healIterations(harness.runner, owner.userId, toMissionId(missionId));
  }
  throw new Error('healing does not end');
}

const DELETED = { deletedAt: '2026-11-28T12:00:00.000Z' };

describe('a member of the space', () => {
  it.each([
    ['pauses it', { state: 'paused' }, 'update', 'paused'],
    ['calls it done', { state: 'done' }, 'update', 'paused'],
    ['archives it', { state: 'archived' }, 'update', 'paused'],
    ['marks it as deleted', DELETED, 'update', 'deleted'],
    ['deletes it', { deletedAt: formatInstant(ahead(1_000)) }, 'delete', 'deleted'],
    ['removes it', {}, 'delete', 'deleted'],
  ])(
    '%s: it has no schedule any more, and a run of it ends before it claims',
    async (_what, data: Fields, op, outcome) => {
      const told = await shared();
      await project();
      const before = await snapshot(told, told.owner);
      expect(before).toMatchObject({ exists_now: true, state: 'active' });
      await write(told, told.member, data, { op });
      await project();
      const after = await snapshot(told, told.owner);
      expect(after).toMatchObject(
        outcome === 'deleted'
          ? { exists_now: false, state: null }
          : { exists_now: true, state: data['state'] },
      );
      expect(Number(after?.['version'])).toBe(Number(before?.['version']) + 1);
      expect(await load(runOf(told))).toMatchObject({ outcome });
      expect(await ourRows(told)).toEqual([]);
      // What the owner writes of something else changes nothing about it.
      await write(told, told.owner, { title: 'Neu' });
      await project();
      expect(await snapshot(told, told.owner)).toEqual(after);
    },
  );

  it.each([
    ['paused', { state: 'paused' }, { state: 'active' }],
    ['deleted', DELETED, { deletedAt: null }],
  ])('stopped it: the owner’s later word starts it again (%s)', async (_what, stop, start) => {
    const told = await shared();
    await write(told, told.member, stop, { atMs: ahead(1_000) });
    await write(told, told.owner, start, { atMs: ahead(500) });
    await project();
    expect((await load(runOf(told))).outcome).not.toBe('ready');
    await write(told, told.owner, start, { atMs: ahead(1_500) });
    await project();
    expect(await snapshot(told, told.owner)).toMatchObject({ exists_now: true, state: 'active' });
    expect(await load(runOf(told))).toMatchObject({ outcome: 'ready' });
  });

  it('who was erased stops nothing any more, from the owner’s next row on', async () => {
    const told = await shared();
    await write(told, told.member, { state: 'paused' });
    await project();
    expect(await snapshot(told, told.owner)).toMatchObject({ state: 'paused' });
    for (const step of ['enter_erased_user', 'erase_user_rows'])
      await query(harness.databases.urls.maintenance.sync, `select mana_ai.${step}($1)`, [
        told.member.userId,
      ]);
    await write(told, told.member, { state: 'paused' }, { atMs: ahead(500) });
    await write(told, told.owner, { title: 'Another title' }, { atMs: ahead(1_000) });
    await project();
    expect(await snapshot(told, told.owner)).toMatchObject({ exists_now: true, state: 'active' });
    expect(await load(runOf(told))).toMatchObject({ outcome: 'ready' });
  });

  it('takes its own stop back, and nobody else’s', async () => {
    const told = await shared();
    const other = await harness.webApp.createUser();
    await write(told, told.member, { state: 'paused' });
    await write(told, other, { state: 'active' }, { atMs: ahead(1_000) });
    await project();
    expect(await snapshot(told, told.owner)).toMatchObject({ state: 'paused' });
    await write(told, told.member, { state: 'active' }, { atMs: ahead(2_000) });
    await project();
    expect(await snapshot(told, told.owner)).toMatchObject({ state: 'active' });
    expect(await load(runOf(told))).toMatchObject({ outcome: 'ready' });
  });

  it.each([
    ['paused', { state: 'paused' }, { state: 'active', nextRunAt: formatInstant(ahead(-1_000)) }],
    ['deleted', DELETED, { deletedAt: null, state: 'active' }],
  ])('does not start what its owner has %s', async (_what, stop, start) => {
    const told = await shared();
    await write(told, told.owner, stop);
    await write(told, told.member, start, { atMs: ahead(5_000) });
    await project();
    expect((await load(runOf(told))).outcome).toBe(stop === DELETED ? 'deleted' : 'paused');
  });

  it('changes nothing else: neither words, inputs, cadence, instant, grant nor agent, and has no mission of its own', async () => {
    const told = await shared();
    await project();
    const before = await snapshot(told, told.owner);
    const canary = `CANARY-${randomUUID()}`;
    const changes = {
      ...{ title: canary, objective: canary, conceptMarkdown: canary, agentId: 'another', state: 'active' },
      ...{ inputs: [{ module: 'notes', table: 'notes', id: canary }], grant: { wrappedKey: canary } },
      ...{ cadence: { kind: 'interval', everyMinutes: 1 }, nextRunAt: formatInstant(ahead(-2 * MINUTE_MS)) },
      iterations: [
        {
          ...{ id: 'theirs', startedAt: formatInstant(Date.now()), summary: canary, userFeedback: canary },
          ...{
            plan: [{ id: 's', summary: canary, status: canary }],
            overallStatus: 'approved',
            source: 'browser',
          },
        },
      ],
      'cadence.everyMinutes': 2,
    };
    await write(told, told.member, changes, { atMs: ahead(5_000) });
    await project();
    expect(await snapshot(told, told.owner)).toEqual(before);
    const input = runOf(told);
    const loaded = await load(input);
    expect(loaded).toMatchObject({ outcome: 'ready', agentId: null, grant: 'absent' });
    const { sent } = await round(input, loaded);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toContain('Ziel');
    expect(sent[0]).not.toContain(canary);
    // What is kept of it names nothing of what it says.
    expect(await tablesWith(harness.databases.superuser.syncUrl, [canary])).toEqual([
      `public.sync_changes: ${canary}`,
    ]);
    expect(await snapshot(told, told.member)).toMatchObject({ exists_now: false });
    expect(await load(runOf(told, told.member))).toMatchObject({ outcome: 'deleted' });
  });

  it.each([
    ['in another space', { spaceId: 'space-of-others' }],
    ['in none', { spaceId: null }],
    ['of another record', { missionId: randomUUID() }],
    ['in a space without a name', { spaceId: '' }],
    ['in a space of a name that is longer than any', { spaceId: 's'.repeat(5_000) }],
  ])('is nobody who writes %s', async (_what, how) => {
    const told = await shared();
    await write(told, told.member, { state: 'paused', ...DELETED }, how);
    await project();
    expect(await snapshot(told, told.owner)).toMatchObject({ exists_now: true, state: 'active' });
    expect(await load(runOf(told))).toMatchObject({ outcome: 'ready' });
  });

  it('is nobody to a mission that its owner shares with nobody, or has moved to another space', async () => {
    const told = await shared();
    const alone = await harness.webApp.createUser();
    await write(
      told,
      alone,
      { ...MISSION, nextRunAt: formatInstant(ahead(-MINUTE_MS)) },
      { op: 'insert', spaceId: null },
    );
    await write(told, told.member, { state: 'paused' });
    await write(told, told.owner, { title: 'Umgezogen' }, { spaceId: 'space-of-today' });
    await project();
    expect(await load(runOf(told))).toMatchObject({ outcome: 'ready' });
    expect(await load(runOf(told, alone))).toMatchObject({ outcome: 'ready' });
  });

  it('that wrote before an update of ours counts as soon as the mission is taken in again', async () => {
    const told = await shared();
    await write(told, told.member, { state: 'paused' });
    await project();
    // As the version before left it: nothing was kept of spaces.
    for (const text of [
      `delete from mana_ai.space_writes where mission_id = $1`,
      `update mana_ai.mission_snapshots set state = 'active', exists_now = true, space_id = null,
         merge_state = merge_state - 'space' where mission_id = $1`,
    ]) {
      await query(harness.databases.superuser.syncUrl, text, [told.missionId]);
    }
    await write(told, told.owner, { title: 'Neu' });
    await project();
    expect(await snapshot(told, told.owner)).toMatchObject({ state: 'paused' });
    expect(await load(runOf(told))).toMatchObject({ outcome: 'paused' });
  });
});

describe('a mission that a member stops while its run is under way', () => {
  it.each([
    ['paused', { state: 'paused' }],
    ['deleted', DELETED],
  ])('%s: asks no further round, and nothing but the claim’s end is written', async (what, stop) => {
    const told = await shared();
    const input = runOf(told);
    const loaded = await load(input);
    await round(input, loaded);
    await write(told, told.member, stop);
    await project();
    const second = round(input, loaded, 2);
    if (what === 'paused') expect(await second).toMatchObject({ result: { status: 'stopped' }, sent: [] });
    else await expect(second).rejects.toThrow();
    expect(harness.runner.replies).toHaveLength(1);
    expect(await end(input, loaded)).toMatchObject({
      outcome: what === 'paused' ? 'stopped' : 'mission-gone',
    });
    await forgetRun(harness.runner.database, told.owner.userId, input);
    const written = await ourRows(told);
    expect(written.map(({ data }) => Object.keys(data as object).sort())).toEqual([
      ['iterations', 'nextRunAt'],
      ['iterations'],
    ]);
    await write(told, told.member, { deletedAt: null }, { atMs: ahead(1_000) });
    expect(await onDevices(told)).toMatchObject([
      { id: loaded.iterationId, overallStatus: 'failed', errorDetails: { name: 'run-stopped' }, plan: [] },
    ]);
  });
});

describe('iterations that a member overwrites', () => {
  const LATE = { iterations: '9999-12-31T23:59:59.999Z' };

  it.each([
    ['now', {}],
    ['with a clock that is ahead', { atMs: ahead(3_600_000) }],
    ['at the end of time', { times: LATE }],
  ])('%s are put back, once and on all devices', async (_when, how) => {
    const told = await shared();
    const id = await run(told);
    const written = await ourRows(told);
    await write(told, told.member, { iterations: [] }, how);
    expect(await onDevices(told)).toEqual([]);
    expect(await follow(told)).toBe(1);
    expect(await onDevices(told)).toMatchObject([
      { id, overallStatus: 'awaiting-review', plan: [{ status: 'planned' }] },
    ]);
    const [healing, ...more] = (await ourRows(told)).slice(written.length);
    expect(more).toEqual([]);
    expect(healing).toMatchObject({ userId: told.owner.userId, spaceId: told.spaceId });
    expect(await follow(told)).toBe(0);
  });

  it('are put back as they were: nothing that only the member wrote is in a row of ours', async () => {
    const told = await shared();
    const id = await run(told);
    const [ours] = await onDevices(told);
    const canary = `CANARY-${randomUUID()}`;
    const intent = { kind: 'toolCall', toolName: 'create_task', params: { title: canary } };
    const step = { ...((ours?.['plan'] as Fields[])[0] ?? {}), intent, status: 'planned' };
    const alien = {
      ...{
        id: canary,
        startedAt: formatInstant(Date.now()),
        plan: [{ id: canary, summary: canary, intent, status: 'planned' }],
      },
      ...{ overallStatus: 'awaiting-review', source: 'server', summary: canary },
    };
    await write(told, told.member, { iterations: [{ ...ours, plan: [step], userFeedback: canary }, alien] });
    expect(await follow(told)).toBe(1);
    await run(await due(told));
    expect(JSON.stringify(await ourRows(told))).not.toContain(canary);
    expect((await onDevices(told)).map((each) => each['id'])).toContain(id);
    expect((await onDevices(told))[0]).toEqual(ours);
  });

  it('keep the steps that a member’s device carried out, over our next run and over a stale array of the owner’s', async () => {
    const told = await shared();
    await run(told);
    const [ours] = await onDevices(told);
    const [step] = ours?.['plan'] as Fields[];
    const carriedOut = { ...ours, overallStatus: 'approved', plan: [{ ...step, status: 'approved' }] };
    await write(told, told.member, { iterations: [carriedOut] });
    expect(await follow(told)).toBe(0);
    await run(await due(told));
    const done = { overallStatus: 'approved', plan: [{ status: 'approved' }] };
    expect((await onDevices(told))[0]).toMatchObject(done);
    await write(told, told.owner, { iterations: [ours] }, { atMs: ahead(100) });
    await follow(told);
    expect((await onDevices(told))[0]).toMatchObject(done);
    expect(await onDevices(told)).toHaveLength(2);
  });

  it('take no status that we do not know, and never go back to planned', async () => {
    const told = await shared();
    await run(told);
    const [ours] = await onDevices(told);
    const [step] = ours?.['plan'] as Fields[];
    const iterations = [{ ...ours, overallStatus: 'planned', plan: [{ ...step, status: 'CANARY' }] }];
    await write(told, told.member, { iterations });
    await follow(told);
    await run(await due(told));
    expect((await onDevices(told))[0]).toEqual(ours);
    await write(
      told,
      told.owner,
      { iterations: [{ ...ours, plan: [{ ...step, status: 'rejected' }] }] },
      { atMs: ahead(100) },
    );
    await write(told, told.member, { iterations: [ours] }, { atMs: ahead(200) });
    await follow(told);
    expect((await onDevices(told))[0]).toMatchObject({ plan: [{ status: 'rejected' }] });
  });

  it('are put back under another id where the member foresaw ours', async () => {
    const told = await shared();
    await run(told);
    const [last] = (await ourRows(told)).slice(-1);
    const overwriting = await write(told, told.member, { iterations: [] });
    const foreseen = healEventIdOf(`${overwriting} ${last?.id ?? ''}`);
    await query(
      harness.databases.superuser.syncUrl,
      `insert into public.sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id)
       values ($1, 'ai', 'aiMissions', 'x', $2, 'update', '{}', 'device')`,
      [foreseen, told.member.userId],
    );
    expect(await follow(told)).toBe(1);
    expect(await onDevices(told)).toHaveLength(1);
  });

  it('at a time that nobody can write after stay as they are, and nothing is written for ever', async () => {
    const told = await shared();
    await run(told);
    const before = await ourRows(told);
    await write(
      told,
      told.member,
      { iterations: [] },
      { times: { iterations: '9999-12-31T23:59:59.999999Z' } },
    );
    expect(await follow(told)).toBe(0);
    expect(await ourRows(told)).toHaveLength(before.length);
  });

  it('are put back by a healing that finds what it is started for, and is tried again where it cannot be started', async () => {
    const told = await shared();
    await run(told);
    await write(told, told.member, { iterations: [] });
    const restored: number[] = [];
    const projection = {
      ...harness.projection,
      startHealing: async (userId: string, missionId: string) => {
        if (missionId === told.missionId)
          restored.push(await healIterations(harness.runner, toUserId(userId), toMissionId(missionId)));
        return true;
      },
    };
    const startHealing = () => Promise.reject(new Error('no answer'));
    await projectChanges({ ...projection, startHealing });
    await projectChanges(projection);
    expect(restored).toEqual([]);
    await query(
      harness.databases.superuser.syncUrl,
      `update mana_ai.mission_snapshots set heal_at = now() where mission_id = $1 and heal_at > now()`,
      [told.missionId],
    );
    await projectChanges(projection);
    expect(restored).toEqual([1]);
    await write(told, told.member, { iterations: [] }, { atMs: ahead(1_000) });
    await projectChanges(projection);
    expect(restored).toEqual([1, 1]);
    await projectChanges(projection);
    expect(restored).toEqual([1, 1]);
  });

  it('before any run of ours are the devices’ own affair', async () => {
    const told = await shared({
      iterations: [{ id: 'i', plan: [], source: 'browser', overallStatus: 'approved' }],
    });
    await write(told, told.member, { iterations: [] });
    expect(await follow(told)).toBe(0);
    expect(await ourRows(told)).toEqual([]);
  });
});

describe('a member who writes a lot', () => {
  it('costs what is new: of many rows and large arrays little is kept, and stops are found among them', async () => {
    const told = await shared();
    await run(told);
    const many = Array.from({ length: 40_000 }, (_each, n) => ({
      id: `i${n}`,
      plan: [{ id: 's', status: 'planned' }],
    }));
    await write(told, told.member, { iterations: many });
    await write(told, told.member, { iterations: many, note: 'x'.repeat(9_000_000) });
    const other = await harness.webApp.createUser();
    await write(told, other, { state: 'paused' }, { atMs: ahead(1_000) });
    await query(
      harness.databases.superuser.syncUrl,
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id)
       select 'ai', 'aiMissions', $1, $2, $3, 'update', '{"title": "x", "state": "active"}',
         '{"title": "2026-11-28T00:00:00.000Z", "state": "2026-11-28T00:00:00.000Z"}', 'device'
       from generate_series(1, 2000)`,
      [told.missionId, told.member.userId, told.spaceId],
    );
    await follow(told);
    const [kept] = await query(
      harness.databases.superuser.syncUrl,
      `select count(*)::int as rows, max(octet_length(merge_state::text) + coalesce(octet_length(outline::text), 0)) as bytes
       from mana_ai.space_writes where mission_id = $1`,
      [told.missionId],
    );
    expect(kept).toEqual({ rows: 3, bytes: expect.any(Number) as unknown });
    expect(Number(kept?.['bytes'])).toBeLessThan(2_000);
    expect(await snapshot(told, told.owner)).toMatchObject({ state: 'paused' });
    await write(told, told.owner, { state: 'active' }, { atMs: ahead(2_000) });
    await due(told);
    await project();
    // An array that is too large to be outlined is not put back at once, but by our next write.
    await run(told);
    expect((await onDevices(told)).length).toBe(2);
  });

  it('under many names reaches the mission with the first hundred', async () => {
    const told = await shared();
    await project();
    await query(
      harness.databases.superuser.syncUrl,
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id)
       select 'ai', 'aiMissions', $1, 'account-' || n || $2, $3, 'insert', '{"title": "x", "state": "active"}', '{}', 'device'
       from generate_series(1, 150) n`,
      [told.missionId, told.member.userId, told.spaceId],
    );
    await project();
    expect(await snapshot(told, told.owner)).toMatchObject({ exists_now: true, state: 'active', version: 1 });
    await write(told, told.member, { state: 'paused' });
    await project();
    expect(await load(runOf(told))).toMatchObject({ outcome: 'ready' });
  });
});
