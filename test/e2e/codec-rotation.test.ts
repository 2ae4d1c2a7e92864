import { Client } from '@temporalio/client';
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { codecSteps, type RotationStep } from '#commands/keys/rotation.ts';
import { openRunsByKey } from '#runs/codec-keys-in-use.ts';
import { codecKeysInUse } from '#schedules/codec-keys-in-use.ts';
import { gate, type Gate } from '#dev/scripted-gateway.ts';
import { missionAt } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { ReconcileResult } from '#domain/projection/pass-results.ts';
import type { MissionRunResult } from '#domain/run/run.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import {
  startRun,
  writeGrantedMission,
  writePlaintextMission,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { TEMPORAL_FAILURE_METRICS, TEMPORAL_METRICS } from '#test/support/temporal-metrics.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import {
  startSystemProcess,
  type ProcessName,
  type Surroundings,
  type SystemProcess,
} from '#test/support/worker-process.ts';
import { runMissions } from '#test/support/operator-commands.ts';

const OLD = 'test-1';
const NEW = 'renewed';
const MISSIONS = 12;

/** The objective of the mission that is in its first round while the keys change. */
const HELD = 'objective-held';
let held: Gate;
let system: MissionSystem;
let around: Surroundings;
let keys: ReadonlyMap<string, Buffer>;
/** Of somebody who has both keys, whatever the processes have. */
let client: Client;
beforeAll(async () => {
  held = gate();
  system = await startMissionSystem({
    parts: [],
    script: (request) => {
      const reply = replyOfTwoRounds(request);
      return request.bodyText.includes(HELD) ? held.hold(reply) : reply;
    },
  });
  around = await surroundingsOf(system);
  keys = new Map([[NEW, randomBytes(32)], ...system.keys.codecKeys.keys]);
  client = new Client({
    connection: system.client.connection,
    namespace: system.namespace,
    dataConverter: createDataConverter({ primaryKeyId: NEW, keys }),
  });
});
const processes: SystemProcess[] = [];
afterEach(async () => {
  held.open();
  await Promise.all(processes.splice(0).map((running) => running.kill9()));
});
afterAll(() => system.close());

/** `TEMPORAL_CODEC_KEYS` with these, in this order. */
const codecKeys = (...ids: string[]) => ({
  TEMPORAL_CODEC_KEYS: ids.map((id) => `${id}:${keys.get(id)?.toString('base64') ?? ''}`).join(','),
});
async function start(name: ProcessName, ...ids: string[]): Promise<SystemProcess> {
  const started = await startSystemProcess(name, around, codecKeys(...ids));
  processes.push(started);
  return started;
}
/** Projection and runner as one roll-out starts them. */
const startGeneration = (...ids: string[]): Promise<SystemProcess[]> =>
  Promise.all([start('projection', ...ids), start('runner', ...ids)]);

/** As the operator calls it. */
async function reconcile(...ids: string[]): Promise<ReconcileResult> {
  const { stdout } = await runMissions(['reconcile', '--json'], {
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_NAMESPACE: system.namespace,
    ...codecKeys(...ids),
  });
  return JSON.parse(stdout) as ReconcileResult;
}

async function rotate(option: string, ...ids: string[]): Promise<Readonly<Record<string, unknown>>[]> {
  const { stdout } = await runMissions(['keys', 'rotate', 'codec', option, '--json'], {
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_NAMESPACE: system.namespace,
    ...codecKeys(...ids),
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}
/** What `bin/yarn missions keys rotate codec` would say with these keys. */
const rotationSteps = async (...ids: string[]): Promise<RotationStep[]> =>
  codecSteps(ids, await codecKeysInUse(client, 1_000), await openRunsByKey(client, 1_000));

const scheduleIdOf = ({ user, missionId }: WrittenMission): string =>
  missionScheduleId(user.userId, missionId);
const keyIdOf = (payload: { metadata?: Record<string, Uint8Array> | null } | null | undefined): string =>
  Buffer.from(payload?.metadata?.['encryption-key-id'] ?? []).toString();

/** Under which keys the inputs of these missions' schedules are. */
async function keysOfSchedules(missions: readonly WrittenMission[]): Promise<Set<string>> {
  const described = await Promise.all(
    missions.map((mission) =>
      client.workflowService.describeSchedule({
        namespace: system.namespace,
        scheduleId: scheduleIdOf(mission),
      }),
    ),
  );
  return new Set(
    described.map(({ schedule }) => keyIdOf(schedule?.action?.startWorkflow?.input?.payloads?.[0])),
  );
}

/** The outcome of a run that a mission's schedule starts when it is told to, and the keys under which the run got what it begins with. */
async function runOf(mission: WrittenMission): Promise<{ outcome: string; keys: string[] }> {
  const schedule = client.schedule.getHandle(scheduleIdOf(mission));
  const runs = async () =>
    (await schedule.describe()).info.recentActions.map(({ action }) => action.workflow);
  const before = (await runs()).length;
  // As by itself: a run that may overlap with others gets no result of them.
  await schedule.trigger('SKIP');
  const { workflowId } = await waitUntil('it has started a run', async () => (await runs()).at(before));
  const run = client.workflow.getHandle<() => Promise<MissionRunResult>>(workflowId);
  const { outcome } = await run.result();
  const { events } = await run.fetchHistory();
  const { input, lastCompletionResult } = events?.[0]?.workflowExecutionStartedEventAttributes ?? {};
  const payloads = [...(input?.payloads ?? []), ...(lastCompletionResult?.payloads ?? [])];
  return { outcome, keys: payloads.map(keyIdOf) };
}

/** The two questions of docs/operations.md, step 4. */
async function schedulesUnder(keyId: string): Promise<number> {
  let found = 0;
  const query = `ManaSpecHash STARTS_WITH '${keyId}:'`;
  for await (const schedule of client.schedule.list({ query })) if (schedule.scheduleId !== '') found += 1;
  return found;
}
async function openMissionRunsOfBefore(instant: Date): Promise<number> {
  const open = `ExecutionStatus = 'Running' AND StartTime < '${instant.toISOString()}'`;
  return (await client.workflow.count(`${open} AND WorkflowType = 'missionRun'`)).count;
}

const ready = async (running: SystemProcess) => {
  const response = await fetch(`${running.url()}/ready`, { signal: AbortSignal.timeout(5_000) });
  const { checks } = (await response.json()) as { checks: Record<string, string> };
  return { status: response.status, codecKeys: checks['codecKeys'] };
};
const counted = async (running: SystemProcess): Promise<number> => {
  const metrics = await (await fetch(`${running.url()}/metrics`)).text();
  const found =
    /^mana_codec_undecodable_payloads_total\{process="worker",reason="unknown-key"\} (\d+)$/m.exec(
      metrics,
    )?.[1];
  return Number(found);
};
/** What the SDK's core measures is part of the process's own scrape. */
async function expectTemporalMetrics(
  running: SystemProcess,
  metrics: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const scraped = await (await fetch(`${running.url()}/metrics`)).text();
  for (const [name, labels] of Object.entries(metrics)) {
    const series = new RegExp(`^${name}(?:_count)?\\{(.*)\\} `, 'm').exec(scraped)?.[1];
    expect(series, name).toBeDefined();
    for (const label of labels) expect(series, name).toContain(`${label}="`);
  }
  expect(scraped.match(/^# TYPE temporal_request_total /gm)).toHaveLength(1);
}
const reencryptedBy = (running: SystemProcess): number =>
  running
    .output()
    .split('\n')
    .filter((line) => line.includes('"msg":"schedules reconciled"'))
    .reduce((sum, line) => sum + Number((JSON.parse(line) as ReconcileResult).reencrypted), 0);

describe('codec keys', () => {
  it('are rotated in the documented order while missions run, and the old one is needed for nothing afterwards', async () => {
    // Before: schedules, and a run in its first round, under the old key.
    const before = await startGeneration(OLD, NEW);
    const missions = await Promise.all(
      Array.from({ length: MISSIONS }, () => writePlaintextMission(system.webApp, 'objective')),
    );
    // It has no schedule that its end might change.
    const manual = { cadence: { kind: 'manual' }, nextRunAt: null };
    const running = await startRun(system.client, await writePlaintextMission(system.webApp, HELD, manual));
    await waitUntil('the gateway is asked', () =>
      system.gateway.requests.some(({ bodyText }) => bodyText.includes(HELD)),
    );
    await waitUntil('all have their schedules', async () => (await schedulesUnder(OLD)) === MISSIONS);
    expect(await keysOfSchedules(missions)).toEqual(new Set([OLD]));
    // Its schedule keeps the result, too, and hands it to the next run: see below.
    const [mission] = missions as [WrittenMission];
    expect(await runOf(mission)).toMatchObject({ outcome: 'not-due', keys: [OLD] });

    expect((await rotationSteps(OLD, NEW)).map(({ state }) => state)).toEqual([
      'done',
      ...['maybe', 'maybe', 'maybe', 'maybe'],
    ]);

    // The new key first: processes of both orders at once, then the new order alone.
    const [projection, runner] = await startGeneration(NEW, OLD);
    const drained = before.map((old) => old.stop(30_000));
    expect((await rotationSteps(NEW, OLD)).at(3)).toMatchObject({
      found: expect.stringMatching(/^1 open runs began under another key than renewed/) as string,
    });
    held.open();
    await Promise.all(drained);
    const first = await reconcile(NEW, OLD);
    expect(first).toMatchObject({ missions: MISSIONS, failed: 0, updated: 0, created: 0 });
    // The start of the new projection has one made as well.
    expect(reencryptedBy(projection as SystemProcess)).toBe(MISSIONS);
    expect(await keysOfSchedules(missions)).toEqual(new Set([NEW]));
    const [counts, ...steps] = await rotate('--reconcile', NEW, OLD);
    expect(counts).toEqual({ reencrypted: 0, failed: 0 });
    expect(steps.map(({ what }) => what)).toContain('schedules under the new key');
    const reconciledAt = new Date();
    await waitUntil('no schedule is listed under the old key', async () => (await schedulesUnder(OLD)) === 0);
    expect(await schedulesUnder(NEW)).toBe(MISSIONS);

    // What was open ends; nobody has met a payload that is under no key of theirs.
    expect(
      (await client.workflow.getHandle<() => Promise<MissionRunResult>>(running.workflowId).result()).outcome,
    ).toBe('planned');
    await waitUntil(
      'no run of before is open',
      async () => (await openMissionRunsOfBefore(reconciledAt)) === 0,
    );
    for (const each of [projection, runner]) {
      expect(await counted(each as SystemProcess)).toBe(0);
      await (each as SystemProcess).stop(30_000);
    }

    // The new key alone: a schedule that was made under the old one starts a run, and the run works. Nobody else may start it.
    await system.webApp.update(mission.user, missionAt(mission.missionId), {
      nextRunAt: formatInstant(Date.now() - 1_000),
    });
    const last = await start('runner', NEW);
    expect(await runOf(mission)).toMatchObject({ outcome: 'planned', keys: [NEW] });
    expect(await ready(last)).toMatchObject({ codecKeys: 'ok' });
    // It asked the rounds; before, the old runner may have ended what it had begun.
    await expectTemporalMetrics(last, TEMPORAL_METRICS);
    expect(await counted(last)).toBe(0);
  });

  it('one that was removed too early shows in readiness, metrics and log, and putting it back mends what stood still', async () => {
    const tooEarly = await start('runner', NEW);
    await waitUntil('it is ready', async () => (await ready(tooEarly)).status === 200);
    const run = await startRun(system.client, await writePlaintextMission(system.webApp, 'objective'));
    const found = await waitUntil('it shows', async () => {
      const state = await ready(tooEarly);
      return state.status === 503 && state;
    });
    expect(found.codecKeys).toContain(`key id "${OLD}", which TEMPORAL_CODEC_KEYS does not hold`);
    expect(await counted(tooEarly)).toBeGreaterThan(0);
    await waitUntil('the log says so', () =>
      tooEarly.output().includes(`key id \\"${OLD}\\", which TEMPORAL_CODEC_KEYS does not hold`),
    );
    await expectTemporalMetrics(tooEarly, TEMPORAL_FAILURE_METRICS);
    expect((await run.describe()).status.name).toBe('RUNNING');
    await tooEarly.stop();

    const mended = await start('runner', NEW, OLD);
    const result = client.workflow.getHandle<() => Promise<MissionRunResult>>(run.workflowId).result();
    expect((await result).outcome).toBe('planned');
    expect(await waitUntil('it is ready', async () => (await ready(mended)).status === 200)).toBe(true);
    expect(await counted(mended)).toBe(0);
  });

  it('that one worker alone lacks shows there, and the run goes on once that worker has it', async () => {
    const [vault] = await Promise.all([start('vault', NEW), start('runner', OLD, NEW)]);
    const run = await startRun(system.client, await writeGrantedMission(system, 'objective'));
    const found = await waitUntil('it shows', async () => {
      const state = await ready(vault);
      return state.status === 503 && state.codecKeys !== 'ok' && state;
    });
    expect(found.codecKeys).toContain(`key id "${OLD}", which TEMPORAL_CODEC_KEYS does not hold`);
    expect(await counted(vault)).toBeGreaterThan(0);
    await waitUntil('the log says so', () =>
      vault
        .output()
        .split('\n')
        .some(
          (line) => line.includes('processing ActivityTask.start') && line.includes(`key id \\"${OLD}\\"`),
        ),
    );
    await vault.stop();

    await start('vault', NEW, OLD);
    const result = client.workflow.getHandle<() => Promise<MissionRunResult>>(run.workflowId).result();
    expect((await result).outcome).toBe('planned');
  });
});
