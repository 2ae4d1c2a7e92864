import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mintGrant } from '#crypto/wrap-grant.ts';
import {
  agentAt,
  missionAt,
  noteAt,
  renewedGrantFields,
  taskAt,
  type PulledRow,
  type WebAppUser,
} from '#dev/web-app.ts';
import { parseGrant, type Grant } from '#domain/wire/grant.ts';
import { toMissionId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { checkArguments, TOOL_CATALOG } from '#domain/planner/tools/tool-catalog.ts';
import { exposeMetrics } from '#metrics/registry.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { objectionsTo, openDevice, type Device } from '#test/support/device.ts';
import type { WrittenMission } from '#test/support/granted-mission.ts';
import { countRows, query, rawHistories, serverLogs, tablesWith, textsIn } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { countLeftovers, NOTHING_LEFT, readAudit, readPaidRounds } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let system: MissionSystem;
let device: Device;
beforeAll(async () => {
  system = await startMissionSystem({ script: replyOfTwoRounds });
  device = openDevice(system.webApp, system.databases);
});
afterAll(() => system.close());

const PERIOD_MS = 30 * 60_000;
const past = (): string => formatInstant(Date.now() - 1_000);
const note = (id: string) => ({ module: 'notes', table: 'notes', id });

async function grantOf(user: WebAppUser, body: Readonly<Record<string, unknown>>): Promise<Grant> {
  const grant = parseGrant(await system.requestGrant(user.userId, body));
  if (grant === null) throw new Error('the API gave no grant');
  return grant;
}

/** A text that occurs nowhere else. */
const secret = (name: string): string => `${name}-${randomUUID()}`;

describe('a due mission with a grant', () => {
  const granted = {
    missionTitle: secret('mission-title'),
    objective: secret('objective'),
    noteTitle: secret('note-title'),
    noteContent: secret('note-content'),
  };
  const taskTitle = secret('task-title');
  const others = {
    noInput: secret('no-input'),
    anotherUsers: secret('another-user'),
    theirNote: secret('their-note'),
  };
  const [missionId, noteId, taskId] = [randomUUID(), randomUUID(), randomUUID()];
  let ada: WrittenMission;
  let nextRunAt: string;
  let scheduledForMs: number;
  let beforeTheRun: readonly PulledRow[];
  let row: PulledRow;
  let run: { readonly startedAtMs: number; readonly workflowId: string; readonly result: unknown };

  beforeAll(async () => {
    const { webApp, client } = system;
    const user = await webApp.createUser();
    const bob = await webApp.createUser();
    ada = { user, missionId };
    await webApp.insert(user, noteAt(noteId), {
      title: user.encrypt(granted.noteTitle),
      content: user.encrypt(granted.noteContent),
    });
    await webApp.insert(user, taskAt(taskId), { title: taskTitle, isCompleted: false });
    await webApp.insert(user, noteAt('another'), {
      title: user.encrypt(others.noInput),
      content: others.noInput,
    });
    // The same ids under another user, encrypted and in clear.
    await webApp.insert(bob, noteAt(noteId), {
      title: bob.encrypt(others.anotherUsers),
      content: others.theirNote,
    });
    await webApp.insert(bob, taskAt(taskId), { title: others.anotherUsers });

    // The mission is in nobody's log yet.
    const grant = await grantOf(user, {
      missionId,
      tables: ['notes', 'tasks'],
      recordIds: [`notes:${noteId}`, `tasks:${taskId}`],
      timeZone: 'Europe/Berlin',
    });
    nextRunAt = formatInstant(Date.now() + 2_500);
    await webApp.insert(user, missionAt(missionId), {
      title: user.encrypt(granted.missionTitle),
      objective: user.encrypt(granted.objective),
      conceptMarkdown: '',
      state: 'active',
      cadence: { kind: 'interval', everyMinutes: 30 },
      nextRunAt,
      inputs: [note(noteId), { module: 'tasks', table: 'tasks', id: taskId }],
      iterations: [],
    });
    await webApp.update(user, missionAt(missionId), { grant });
    beforeTheRun = await webApp.rows(user, missionAt(missionId));

    const schedule = client.schedule.getHandle(missionScheduleId(user.userId, missionId));
    const created = await waitUntil('the schedule is there', () => schedule.describe());
    scheduledForMs = created.info.nextActionTimes[0]?.getTime() ?? 0;
    const action = await waitUntil(
      'the schedule has fired',
      async () => (await schedule.describe()).info.recentActions[0],
    );
    const handle = client.workflow.getHandle(action.action.workflow.workflowId);
    const result: unknown = await handle.result();
    const { startTime } = await handle.describe();
    run = { startedAtMs: startTime.getTime(), workflowId: handle.workflowId, result };
    const [written] = await device.endRows(ada);
    if (written === undefined) throw new Error('nothing was written back');
    row = written;
  });

  const iteration = (): Readonly<Record<string, unknown>> =>
    ((row.data as Record<string, unknown>)['iterations'] as Record<string, unknown>[])[0] ?? {};

  it('has its schedule made by itself, for nextRunAt rounded up to the second', () => {
    expect(scheduledForMs).toBe(Math.ceil(Date.parse(nextRunAt) / 1_000) * 1_000);
  });

  it('runs when its schedule fires, and not before nextRunAt', () => {
    expect(run.startedAtMs).toBeGreaterThanOrEqual(Date.parse(nextRunAt));
    expect(run.result).toEqual({
      outcome: 'planned',
      rounds: 2,
      steps: 1,
      totalTokens: 240,
      failureCode: null,
    });
  });

  it('claims its instant in a row that devices accept, and moves it on', async () => {
    const [claim, end, ...more] = await device.ourRows(ada);
    expect(more).toEqual([]);
    expect(end).toEqual(row);
    if (claim === undefined) throw new Error('no claim');
    expect(objectionsTo(claim, beforeTheRun, missionId)).toEqual([]);
    expect(claim.data).toMatchObject({
      iterations: [{ id: iteration()['id'], overallStatus: 'running', plan: [] }],
    });
    expect(Object.keys(claim.data as object).sort()).toEqual(['iterations', 'nextRunAt']);
  });

  it('is written back as exactly one row that devices accept', async () => {
    const [claim] = await device.ourRows(ada);
    expect(await device.endRows(ada)).toHaveLength(1);
    expect(objectionsTo(row, [...beforeTheRun, ...(claim === undefined ? [] : [claim])], missionId)).toEqual(
      [],
    );
    expect(row).toMatchObject({ op: 'update', origin: 'agent', clientId: 'mana-ai-runner' });
    expect(Object.keys(row.data as object)).toEqual(['iterations']);
    expect(Date.parse(row.createdAt)).toBeGreaterThanOrEqual(run.startedAtMs);
  });

  it('names its actor, with a rationale that holds none of the texts', () => {
    expect(row.actor).toEqual({
      kind: 'ai',
      principalId: 'legacy:ai-default',
      displayName: 'Mana',
      missionId,
      iterationId: iteration()['id'],
      rationale: expect.stringMatching(/\S/) as unknown,
    });
    expect(textsIn(row.actor, [...Object.values(granted), taskTitle])).toEqual([]);
  });

  it('is an iteration of planned steps from the tool catalog, with valid params', () => {
    expect(iteration()).toMatchObject({
      source: 'server',
      overallStatus: 'awaiting-review',
      summary: 'One task is planned.',
      plan: [{ status: 'planned', intent: { kind: 'toolCall', toolName: 'create_task' } }],
    });
    expect(Date.parse(String(iteration()['startedAt']))).toBe(run.startedAtMs);
    for (const step of iteration()['plan'] as {
      intent: { toolName: string; params: Record<string, unknown> };
    }[]) {
      const tool = TOOL_CATALOG.get(step.intent.toolName);
      if (tool === undefined) throw new Error(`not in the catalog: ${step.intent.toolName}`);
      expect(checkArguments(tool, step.intent.params)).toEqual({ ok: true, params: step.intent.params });
    }
  });

  it('advances nextRunAt on its grid, into the future', async () => {
    const nextMs = Date.parse(String((await device.mission(ada))['nextRunAt']));
    expect((nextMs - Date.parse(nextRunAt)) % PERIOD_MS).toBe(0);
    expect(nextMs).toBeGreaterThan(run.startedAtMs);
    expect(nextMs).toBeLessThanOrEqual(run.startedAtMs + PERIOD_MS);
  });

  it('has an audit row for each decrypted record, and none for the task in clear', async () => {
    const rows = await query(
      system.databases.superuser.syncUrl,
      `select table_name || ':' || record_id as record, status, iteration_id from mana_ai.decrypt_audit
        where user_id = $1 order by 1`,
      [ada.user.userId],
    );
    const ok = { status: 'ok', iteration_id: iteration()['id'] };
    expect(rows).toEqual([
      { record: `aiMissions:${missionId}`, ...ok },
      { record: `notes:${noteId}`, ...ok },
    ]);
  });

  it('told the gateway the granted texts, and nothing else of anybody', () => {
    const requests = system.gateway.requests.filter(({ bodyText }) => bodyText.includes(granted.objective));
    expect(requests).toHaveLength(2);
    for (const { bodyText } of requests) {
      expect(textsIn(bodyText, [...Object.values(granted), taskTitle])).toHaveLength(5);
    }
    expect(
      textsIn(
        system.gateway.requests.map(({ bodyText }) => bodyText),
        Object.values(others),
      ),
    ).toEqual([]);
    expect(new Set(requests.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2);
  });

  it('leaves nothing behind: no sealed record, no transcript, no key, no slot', async () => {
    expect(await countLeftovers(system.databases, missionId)).toEqual(NOTHING_LEFT);
  });

  it('has two lines in the log: its start, and its end with outcome and counts', () => {
    const lines = system.logLines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ workflowId, msg }) => workflowId === run.workflowId && String(msg).startsWith('run '));
    const ids = {
      userId: ada.user.userId,
      missionId,
      trigger: 'schedule',
      runId: expect.any(String) as unknown,
    };
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ msg: 'run started', ...ids });
    expect(lines[1]).toMatchObject({
      ...{ msg: 'run ended', ...ids, outcome: 'planned', failureCode: null },
      ...{ rounds: 2, steps: 1, totalTokens: 240 },
    });
    const { durationMs, phaseMs } = lines[1] as { durationMs: number; phaseMs: Record<string, number> };
    expect(Object.keys(phaseMs).sort()).toEqual(['calling-llm', 'finalizing', 'loading', 'resolving-inputs']);
    const inPhasesMs = Object.values(phaseMs).reduce((sum, ms) => sum + ms, 0);
    expect(inPhasesMs).toBeGreaterThan(0);
    expect(inPhasesMs).toBeLessThanOrEqual(durationMs);
    const [minted] = system.logLines.filter((line) => line.includes('"msg":"grant minted"'));
    expect(JSON.parse(minted ?? '{}')).toMatchObject({ userId: ada.user.userId, missionId });
  });

  it('is measured: the log that was followed, the calls, and the waits for connections', async () => {
    const { body } = await exposeMetrics();
    expect(body).toMatch(/^mana_projection_lag_seconds_count [1-9]/m);
    expect(body).toMatch(/^mana_projection_passes_total [1-9]/m);
    expect(body).toMatch(/^mana_run_round_duration_seconds_count ([2-9]|[1-9]\d)/m);
    expect(body).toMatch(/^mana_llm_call_duration_seconds_count\{outcome="answered"\} [1-9]/m);
    expect(body).toMatch(/^mana_run_phase_duration_seconds_count\{phase="resolving-inputs"\} [1-9]/m);
    for (const database of ['sync', 'auth']) {
      expect(body).toMatch(
        new RegExp(`^mana_database_pool_wait_seconds_count\\{database="${database}"\\} [1-9]`, 'm'),
      );
      expect(body).toContain(`mana_database_pool_connections{database="${database}",state="waiting"} 0`);
    }
  });

  it('leaves the plaintexts in no table, no log line and no history', async () => {
    const secrets = Object.values(granted);
    const { superuser } = system.databases;
    expect(await tablesWith(superuser.syncUrl, secrets)).toEqual([]);
    expect(await tablesWith(superuser.authUrl, secrets)).toEqual([]);
    expect(textsIn([system.logLines, serverLogs()], [...secrets, taskTitle])).toEqual([]);
    const histories = await waitUntil('the run is listed', async () => {
      const found = await rawHistories(system.client);
      return [...found.keys()].some((key) => key.startsWith(run.workflowId)) && found;
    });
    expect(textsIn([...histories], [...secrets, taskTitle])).toEqual([]);
    // The search itself finds what is there: ids stand in clear in the histories' search attributes.
    expect(textsIn([...histories], [missionId])).toEqual([missionId]);
    expect(await tablesWith(superuser.syncUrl, [taskTitle])).toEqual([`public.sync_changes: ${taskTitle}`]);
  });
});

/** An encrypted mission on two notes whose instant has passed once `nextRunAt` is set: it runs at once. */
async function encryptedMission(
  more: { readonly user?: WebAppUser; readonly fields?: Readonly<Record<string, unknown>> } = {},
): Promise<WrittenMission & { readonly objective: string; readonly notes: readonly string[] }> {
  const { webApp } = system;
  const user = more.user ?? (await webApp.createUser());
  const [missionId, objective] = [randomUUID(), secret('objective')];
  const notes = [secret('n1'), secret('n2')];
  for (const text of notes) await webApp.insert(user, noteAt(text), { title: user.encrypt(`title ${text}`) });
  await webApp.insert(user, missionAt(missionId), {
    title: user.encrypt('title'),
    objective: user.encrypt(objective),
    state: 'active',
    cadence: { kind: 'interval', everyMinutes: 30 },
    inputs: notes.map(note),
    iterations: [],
    ...more.fields,
  });
  return { user, missionId, objective, notes };
}

const requestTexts = (objective: string): string =>
  system.gateway.requests
    .filter(({ bodyText }) => bodyText.includes(objective))
    .map(({ bodyText }) => bodyText)
    .join('\n');

describe('a grant', () => {
  it.concurrent('that was renewed under dotted field names is the one that the next run uses', async () => {
    const { webApp } = system;
    const told = await encryptedMission();
    const { user, missionId, notes } = told;
    const [first, second] = notes;
    const grant = await grantOf(user, { missionId, tables: ['notes'], recordIds: [`notes:${first}`] });
    await webApp.update(user, missionAt(missionId), { grant });
    await webApp.update(user, missionAt(missionId), { nextRunAt: past() });
    await device.waitForIterations(told);
    expect(requestTexts(told.objective)).not.toContain(`title ${second}`);
    expect(await readAudit(system.databases, missionId)).toEqual([
      'aiMissions ok',
      'notes ok',
      'notes scope-violation',
    ]);

    const renewed = await grantOf(user, {
      missionId,
      tables: ['notes'],
      recordIds: notes.map((id) => `notes:${id}`),
    });
    await webApp.update(user, missionAt(missionId), renewedGrantFields(renewed));
    await webApp.update(user, missionAt(missionId), { nextRunAt: past() });
    const iterations = await device.waitForIterations(told, 2);
    expect(iterations).toMatchObject([
      { overallStatus: 'awaiting-review' },
      // The model plans the same again, and that step is still open.
      { overallStatus: 'approved' },
    ]);
    expect(requestTexts(told.objective)).toContain(`title ${second}`);
    expect(
      (await readAudit(system.databases, missionId)).filter((entry) => entry === 'notes ok'),
    ).toHaveLength(3);
  });

  it.concurrent(
    'of a mission with an agent covers the agent’s encrypted prompt; the agent is the actor',
    async () => {
      const user = await system.webApp.createUser();
      const [agentId, prompt] = [randomUUID(), secret('prompt')];
      const record = { name: 'Recherche', role: 'r', state: 'active', systemPrompt: user.encrypt(prompt) };
      await system.webApp.insert(user, agentAt(agentId), record);
      const told = await encryptedMission({ user, fields: { agentId } });
      const { missionId, notes } = told;
      const grant = await grantOf(user, {
        missionId,
        tables: ['notes'],
        recordIds: notes.map((id) => `notes:${id}`),
      });
      await system.webApp.update(user, missionAt(missionId), { grant, nextRunAt: past() });
      await device.waitForIterations(told);
      expect(requestTexts(told.objective)).toContain(prompt);
      const [row] = await device.endRows(told);
      expect(row?.actor).toMatchObject({ kind: 'ai', principalId: agentId, displayName: 'Recherche' });
      expect(await readAudit(system.databases, missionId)).toContain('agents ok');
    },
  );

  const minted = (
    { user, missionId, notes }: Awaited<ReturnType<typeof encryptedMission>>,
    version: 'v1' | 'v2',
  ) =>
    mintGrant({
      ...{ version, masterKey: user.masterKey, userId: user.userId, missionId: toMissionId(missionId) },
      ...{ tables: ['notes'], recordIds: notes.map((id) => `notes:${id}`), issuedAtMs: Date.now() },
      ...{ ttlMs: 86_400_000, publicKey: system.keys.publicKey },
    }).grant;

  it.concurrent('of version 1 that another service minted runs, and is logged as foreign', async () => {
    const told = await encryptedMission();
    const grant = minted(told, 'v1');
    await system.webApp.update(told.user, missionAt(told.missionId), { grant, nextRunAt: past() });
    expect(await device.waitForIterations(told)).toMatchObject([{ overallStatus: 'awaiting-review' }]);
    expect(requestTexts(told.objective)).toContain(`title ${told.notes[0]}`);
    const foreign = await countRows(
      system.databases.superuser.syncUrl,
      'mana_ai.mission_grants',
      `mission_id = $1 and origin = 'foreign' and version = 'v1'`,
      [told.missionId],
    );
    expect(foreign).toBe(1);
  });

  it.concurrent('of version 2 that we did not mint opens nothing', async () => {
    const told = await encryptedMission();
    const grant = minted(told, 'v2');
    await system.webApp.update(told.user, missionAt(told.missionId), { grant, nextRunAt: past() });
    expect(await device.waitForIterations(told)).toMatchObject([
      { overallStatus: 'failed', errorDetails: { name: 'grant-unknown' } },
    ]);
    expect(await readAudit(system.databases, told.missionId)).toEqual([]);
    expect(await readPaidRounds(system.databases, told.missionId)).toEqual([]);
    expect(requestTexts(told.objective)).toBe('');
  });
});
