import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { missionScheduleId } from '#schedules/schedule-ids.ts';
import { check, type Report } from '#test/checker/check.ts';
import { markOf, type Asked } from '#test/checker/facts.ts';
import { readFacts } from '#test/checker/read-facts.ts';
import { tamper } from '#test/support/audit-rows.ts';
import { createFaultyGateway } from '#test/faults/long/faulty-gateway.ts';
import { logged, writeCheckedMission } from '#test/support/checked-missions.ts';
import type { WrittenMission } from '#test/support/granted-mission.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** The checker of the fault suite, on a run without faults and on bugs that somebody plants in what is stored. */
const gateway = logged();
const plantedRequests: Asked[] = [];
const MISSIONS = 13;

let system: MissionSystem;
const missions: WrittenMission[] = [];
let clean: Report;

const look = async (): Promise<Report> => {
  const facts = await readFacts({
    ...system.databases.superuser,
    temporal: { address: inject('temporalAddress'), namespace: system.namespace },
    asked: [...gateway.asked, ...plantedRequests],
    files: [join(inject('serverLogDirectory'), 'postgres.log')],
  });
  return check(facts, { faultsAtMs: [], graceMs: 1_000 });
};

beforeAll(async () => {
  system = await startMissionSystem({ script: gateway.script });
  for (let count = 0; count < MISSIONS; count += 1)
    missions.push(await writeCheckedMission(system, Date.now() - 1_000));
  // What is not found at once is not there yet; what is never found fails the test that reads the report.
  await waitUntil('all is at rest', async () => (clean = await look()).violations.length === 0, {
    everyMs: 500,
  }).catch(() => undefined);
});
afterAll(() => system.close());

describe('the checker', () => {
  it('finds nothing where nothing is wrong, and has seen everything', () => {
    expect(clean.violations).toEqual([]);
    expect(clean.counts).toMatchObject({
      ...{ missions: MISSIONS, 'due instants and runs asked for': MISSIONS, iterations: MISSIONS },
      ...{ requests: 2 * MISSIONS, 'audit rows': 2 * MISSIONS, schedules: MISSIONS, 'failed iterations': 0 },
    });
  });

  it.each<[bug: string, plant: (mission: WrittenMission) => Promise<unknown>, complaints: string[]]>([
    ['a double write', (mission) => insertEnd(mission, {}), ['iterations too many']],
    [
      'a lost mission',
      ({ missionId }) =>
        change(
          `delete from public.sync_changes where record_id = $1 and client_id = 'mana-ai-runner'`,
          missionId,
        ),
      ['due times not advanced', 'instants without an iteration'],
    ],
    [
      'a leaked slot',
      ({ user, missionId }) =>
        change(
          `insert into mana_ai.run_slots (mission_id, user_id, workflow_id, run_id, iteration_id)
            values ($1, $2, 'w', 'r', 'i')`,
          missionId,
          user.userId,
        ),
      ['rows left in run_slots'],
    ],
    [
      'a repaid round',
      ({ missionId }) => {
        const paid = gateway.asked.find(({ body }) => body.includes(missionId));
        if (paid === undefined) throw new Error('it was never asked');
        plantedRequests.push({ ...paid, askedAtMs: Date.now() });
        return Promise.resolve();
      },
      ['completed rounds paid twice'],
    ],
    [
      'a round paid under another key',
      ({ missionId }) => {
        const paid = gateway.asked.find(({ body }) => body.includes(missionId));
        if (paid === undefined) throw new Error('it was never asked');
        plantedRequests.push({ ...paid, idempotencyKey: randomUUID() });
        return Promise.resolve();
      },
      ['completed rounds paid twice'],
    ],
    [
      'a round repaid though nobody was killed',
      ({ missionId }) => {
        const paid = gateway.asked.find(({ body }) => body.includes(missionId));
        if (paid === undefined || paid.answeredAtMs === null) throw new Error('it was never answered');
        // Before the reply could be kept.
        plantedRequests.push({ ...paid, askedAtMs: paid.answeredAtMs + 0.001 });
        return Promise.resolve();
      },
      ['rounds repaid without a fault'],
    ],
    [
      'a plaintext mark',
      ({ missionId }) =>
        change(
          `update mana_ai.token_usage set resolved_model = $2 where mission_id = $1`,
          missionId,
          markOf('aiMissions', missionId),
        ),
      ['places with plaintext'],
    ],
    [
      'a missing audit row',
      ({ missionId }) =>
        tamper(system.databases, 'delete from mana_ai.decrypt_audit where mission_id = $1 and seq = 2', [
          missionId,
        ]),
      ['opened records without an earlier audit row'],
    ],
    [
      'a changed audit row',
      ({ missionId }) =>
        tamper(
          system.databases,
          `update mana_ai.decrypt_audit set reason = 'x' where mission_id = $1 and seq = 2`,
          [missionId],
        ),
      ['broken rows of the audit'],
    ],
    [
      'a use of a grant that had expired',
      ({ missionId }) =>
        change(
          `update mana_ai.mission_grants set issued_at = issued_at - interval '1 day',
            expires_at = issued_at - interval '1 hour' where mission_id = $1`,
          missionId,
        ),
      ['uses of a grant after its end'],
    ],
    [
      'a failure without a reason',
      (mission) => insertEnd(mission, { overallStatus: 'failed', summary: '' }),
      ['failures without a reason', 'iterations too many'],
    ],
    [
      'a schedule that is gone',
      async ({ user, missionId }) => {
        await system.client.schedule.getHandle(missionScheduleId(user.userId, missionId)).delete();
        await waitUntil('it is gone', async () => (await look()).counts['schedules'] === MISSIONS - 1);
      },
      ['schedules that differ from active missions'],
    ],
  ])('finds %s', async (_, plant, complaints) => {
    const before = new Set((await look()).violations);
    const mission = missions.shift();
    if (mission === undefined) throw new Error('there are too few missions');
    await plant(mission);
    const found = (await look()).violations.filter((violation) => !before.has(violation));
    expect([...new Set(found.map((violation) => violation.split(':')[0]))].sort()).toEqual(complaints);
  });
});

describe('the gateway of the long suite', () => {
  /** What it comes to with these in turn in place of chance, each time for the same request. */
  const answersTo = async (chances: ('well' | 'garbage' | '503')[]): Promise<(string | null)[]> => {
    const faults = chances.filter((chance) => chance !== 'well');
    const faulty = createFaultyGateway({
      next: () => (chances.shift() === 'well' ? 1 : 0),
      between: () => 0,
      pick: (items) => {
        const fault = faults.shift();
        return items.find((item) => Object.is(item, fault)) ?? items[0];
      },
    });
    const body = { model: 'm', messages: [], tools: [] };
    while (chances.length > 0)
      await faulty.gateway.script({ headerNames: [], idempotencyKey: 'key', body, bodyText: '{}' });
    return faulty.gateway.asked.map(({ answer }) => answer);
  };

  it('says again what it has said whole, when that was lost: a gateway that honours keys bills nothing twice', async () => {
    expect(await answersTo(['well', 'garbage', '503', 'garbage', 'well'])).toEqual([
      ...['whole', 'whole', '503', 'whole', 'whole'],
    ]);
  });

  it('says garbage again, until it is asked under another key', async () => {
    expect(await answersTo(['503', 'garbage', 'well'])).toEqual(['503', '200', '200']);
  });
});

const change = (sql: string, ...values: readonly unknown[]): Promise<void> =>
  tamper(system.databases, sql, values);

/** A row of the runner's with an iteration that no instant calls for. */
function insertEnd(
  { user, missionId }: WrittenMission,
  changes: Readonly<Record<string, unknown>>,
): Promise<void> {
  const iteration = { id: randomUUID(), plan: [], overallStatus: 'approved', source: 'server', ...changes };
  return change(
    `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, field_meta, client_id)
      values ('ai', 'aiMissions', $1, $2, 'update', $3, '{}', 'mana-ai-runner')`,
    missionId,
    user.userId,
    JSON.stringify({ iterations: [iteration] }),
  );
}
