import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { check, type Report } from '#test/checker/check.ts';
import { readFacts } from '#test/checker/read-facts.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { logged, writeCheckedMission } from '#test/support/checked-missions.ts';
import type { MissionRunResult, RunOutcome } from '#domain/run/run.ts';
import { query } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import type { missionRun } from '#workflows/mission-run.ts';
import {
  commitWindow,
  watchProcess,
  type WatchedProcess,
  type WatchedRole,
} from '#test/support/watched-process.ts';
import type { Window, WindowProxy } from '#test/support/window-proxy.ts';
import { startSystemProcess, type Surroundings, type SystemProcess } from '#test/support/worker-process.ts';

/**
 * The short form of the fault suite: in each window between what a process says and what it hears, the work on one mission
 * stands still. Then the processes are killed with -9 and others take over; in the end the checker counts (docs/reliability.md).
 */
type Role = WatchedRole;

const commits = (role: Role, what: string, awaited: string): Window[] =>
  (['before', 'after'] as const).map((moment) => commitWindow(role, what, { moment, awaited }));
/** A call of the gateway whose request, from its beginning or later on, says this. */
const calls = (what: string, said: string, moments: readonly Window['moment'][]): Window[] =>
  moments.map((moment) => ({
    ...{ name: `runner: call of ${what}, ${moment}`, moment },
    ...{ awaited: said, sends: said, hears: 'HTTP/1.1 200' },
  }));

/** Without prepared statements each statement goes over the wire with its text. */
const RUNNER_COMMITS = [
  ...commits('runner', 'the slot', 'insert into mana_ai.run_slots'),
  ...commits('runner', 'the claim of the instant', '"overallStatus":"running"'),
  ...commits('runner', 'the request', 'update mana_ai.model_calls set request'),
  ...commits('runner', 'the reply', 'update mana_ai.model_calls set reply'),
  ...commits('runner', 'the count of tokens', 'insert into mana_ai.token_usage'),
  ...commits('runner', 'the iteration', '"overallStatus":"awaiting-review"'),
  // The same transaction, seen at its other end: neither is there without the other.
  ...commits('runner', 'the end of the slot', 'delete from mana_ai.run_slots'),
];
/** The first calls that come are those of first rounds: nobody has got further by then. */
const CALLS = [
  ...calls('the second round', '"role":"assistant"', ['sent']),
  ...calls('the first round', 'POST /v1/chat/completions', ['before', 'sent', 'after']),
];
const VAULT_COMMITS = commits(
  'vault',
  'the sealed records and their audit',
  'insert into mana_ai.decrypt_audit',
);
const APPLIED = commits('projection', 'the applied schedule', 'applied_schedule =');
const [BEFORE_CURSOR, AFTER_CURSOR] = commits(
  'projection',
  'the cursor',
  'update mana_ai.projection_cursor',
) as [Window, Window];

const MISSIONS = RUNNER_COMMITS.length + CALLS.length + VAULT_COMMITS.length;
/** With those that the projections die over. */
const ALL_MISSIONS = MISSIONS + APPLIED.length + 2;

const NOTHING_TO_DO: readonly RunOutcome[] = ['not-due', 'already-running', 'already-written'];

const gateway = logged();
let system: MissionSystem;
let around: Surroundings;
const processes: SystemProcess[] = [];
const proxies: WindowProxy[] = [];
const faultsAtMs: number[] = [];
const died: string[] = [];
let committed: unknown;
let report: Report;
const results: MissionRunResult[] = [];

async function watch(role: Role): Promise<WatchedProcess> {
  const watched = await watchProcess(role, around);
  processes.push(watched.process);
  proxies.push(watched.database, watched.gateway);
  return {
    ...watched,
    kill: async () => {
      const stood = await watched.kill();
      died.push(...stood);
      // Now, for until now something that it had sent could still arrive.
      faultsAtMs.push(Date.now());
      return stood;
    },
  };
}

async function start(role: Role): Promise<void> {
  processes.push(await startSystemProcess(role, around));
}

async function write(missions: number): Promise<void> {
  for (let count = 0; count < missions; count += 1) await writeCheckedMission(system, Date.now() - 1_000);
}

const look = async (): Promise<Report> =>
  check(
    await readFacts({
      ...system.databases.superuser,
      temporal: { address: inject('temporalAddress'), namespace: system.namespace },
      asked: gateway.asked,
      files: [
        join(inject('serverLogDirectory'), 'postgres.log'),
        ...processes.map(({ logFile }) => logFile ?? ''),
      ],
    }),
    { faultsAtMs, graceMs: 1_000 },
  );

/** What stands in the database, whoever knows of it. */
const readCommitted = async (): Promise<unknown> =>
  (
    await query(
      system.databases.superuser.syncUrl,
      `select (select count(*)::int from mana_ai.run_slots) as slots,
        (select count(distinct mission_id)::int from mana_ai.decrypt_audit) as sealed,
        count(*) filter (where state = 'running')::int as claimed,
        count(*) filter (where state = 'awaiting-review')::int as planned
       from (select data #>> '{iterations,0,overallStatus}' as state from public.sync_changes
         where client_id = 'mana-ai-runner') as written`,
    )
  )[0];

/** The projection dies while it applies schedules and takes in a page, and its successor when it has taken one in. */
async function killProjections(projection: WatchedProcess): Promise<void> {
  projection.database.arm(APPLIED);
  await write(APPLIED.length);
  await projection.untilIn(APPLIED);
  projection.database.arm([BEFORE_CURSOR]);
  await write(1);
  await projection.untilIn([BEFORE_CURSOR]);
  await projection.kill();
  const next = await watch('projection');
  next.database.arm([AFTER_CURSOR]);
  await write(1);
  await next.untilIn([AFTER_CURSOR]);
  await next.kill();
  await start('projection');
}

beforeAll(async () => {
  system = await startMissionSystem({ parts: [], script: gateway.script });
  around = await surroundingsOf(system);
  const [runner, vault, projection] = await Promise.all([
    watch('runner'),
    watch('vault'),
    watch('projection'),
  ]);
  runner.database.arm(RUNNER_COMMITS);
  runner.gateway.arm(CALLS);
  vault.database.arm(VAULT_COMMITS);
  await write(MISSIONS);
  await Promise.all([runner.untilIn([...RUNNER_COMMITS, ...CALLS]), vault.untilIn(VAULT_COMMITS)]);
  committed = await readCommitted();
  await Promise.all([runner.kill(), vault.kill()]);
  await Promise.all([start('runner'), start('vault'), killProjections(projection)]);
  // What is never at rest fails the test that reads the report.
  await waitUntil('all is at rest', async () => (report = await look()).violations.length === 0, {
    ...{ deadlineMs: 90_000, everyMs: 1_000 },
  }).catch(() => undefined);
  for await (const { workflowId, runId } of system.client.workflow.list({
    query: `WorkflowType = 'missionRun' and ExecutionStatus = 'Completed'`,
  }))
    results.push(await system.client.workflow.getHandle<typeof missionRun>(workflowId, runId).result());
});
afterAll(async () => {
  await Promise.all(processes.map((running) => running.stop()));
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await system.close();
});

describe('processes that die in each window between what they say and what they hear', () => {
  it('had committed what the windows say, and nothing else', () => {
    expect(died.toSorted()).toEqual(
      [...RUNNER_COMMITS, ...CALLS, ...VAULT_COMMITS, ...APPLIED, BEFORE_CURSOR, AFTER_CURSOR]
        .map(({ name }) => name)
        .sort(),
    );
    // Before the commit of its slot one has none, and the two behind the last commit have a plan and no slot any more.
    expect(committed).toEqual({
      slots: MISSIONS - 3,
      claimed: MISSIONS - 3,
      sealed: MISSIONS - 5,
      planned: 2,
    });
  });

  it('lose, double and leave nothing', () => {
    expect(report.violations).toEqual([]);
    expect(report.counts).toMatchObject({
      ...{ missions: ALL_MISSIONS, iterations: ALL_MISSIONS, 'failed iterations': 0 },
      ...{ schedules: ALL_MISSIONS, 'audit rows': 2 * ALL_MISSIONS },
    });
  });

  it('have runs that end as if nothing had happened', () => {
    // While no projection was there, an instant may have been started again that was planned already.
    const worked = results.filter(({ outcome }) => !NOTHING_TO_DO.includes(outcome));
    const planned = { outcome: 'planned', rounds: 2, steps: 1, totalTokens: 240, failureCode: null };
    expect(worked).toEqual(Array<unknown>(ALL_MISSIONS).fill(planned));
  });

  it('ask only those rounds again whose reply nobody had kept, with the same bytes under the same key', () => {
    const again = gateway.asked.filter(
      ({ idempotencyKey }, index) =>
        gateway.asked.findIndex((request) => request.idempotencyKey === idempotencyKey) !== index,
    );
    // Sent, and answered, in the first round; sent in the second; and before the commit of a reply.
    expect(again).toHaveLength(4);
    expect(report.counts).toMatchObject({ 'rounds repaid': 4, requests: 2 * ALL_MISSIONS + 4 });
    for (const { idempotencyKey, body } of again) {
      expect(idempotencyKey).not.toBeNull();
      const same = gateway.asked.filter((request) => request.idempotencyKey === idempotencyKey);
      expect(same.map((request) => request.body)).toEqual([body, body]);
    }
  });

  it('count the tokens of each round once', async () => {
    const [counted] = await query(
      system.databases.superuser.syncUrl,
      `select count(*)::int as rounds, count(distinct (mission_id, round))::int as different from mana_ai.token_usage
        where purpose = 'plan'`,
    );
    expect(counted).toEqual({ rounds: 2 * ALL_MISSIONS, different: 2 * ALL_MISSIONS });
  });
});
