import { afterAll, beforeAll, expect, it } from 'vitest';
import { attack, attackWithDashes, world } from './support/hostile-world.ts';
import { startHostileSystem, type HostileSystem } from './support/hostile-system.ts';
import { violationsIn } from './support/invariants.ts';
import { observe } from './support/observe.ts';
import { IS_LONG_FORM, RUNS, sampleOf, SEED } from './support/seed.ts';
import { query } from '#test/support/inspect.ts';
import { eventIdOf } from '#crypto/derived-ids.ts';
import { toIterationId } from '#domain/base/ids.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';

/**
 * Worlds of hostile users, odd replies, two of everything and connections that end, one after the other on one service of
 * separate processes; after each of them every promise is looked at. `ATTACK_SEED` and `ATTACK_RUNS` choose others:
 * docs/security.md.
 */
const LONGEST_MS = IS_LONG_FORM ? 240_000 : 40_000;
const WORLD_MS = 420_000;

let hostile: HostileSystem;
beforeAll(async () => {
  hostile = await startHostileSystem();
});
afterAll(() => hostile.close());

const startedAt = performance.now();
it.each(Array.from({ length: RUNS }, (_, number) => number))(
  `a hostile world breaks no promise (ATTACK_SEED=${SEED}, number %i)`,
  async (number) => {
    // A slow machine attacks less, and says so.
    if (number > 0 && performance.now() - startedAt > LONGEST_MS) {
      console.info(`attack ${number}: left out, ${LONGEST_MS / 1_000} s are over`);
      return;
    }
    const attacked = await attack(hostile, sampleOf(world, number));
    const seen = await observe(hostile, attacked);
    console.info(summaryOf(number, attacked, seen));
    expect(violationsIn(seen)).toEqual([]);
  },
  WORLD_MS,
);

const summaryOf = (
  number: number,
  { endings, targets, victims }: Awaited<ReturnType<typeof attack>>,
  { asked, processes, missions }: Awaited<ReturnType<typeof observe>>,
): string => {
  const written = missions.flatMap(({ iterations }) => iterations);
  const failures = written.filter(({ overallStatus }) => overallStatus === 'failed').length;
  return [
    `attack ${number} of seed ${SEED}: ${targets.length} missions, ${endings} backends ended`,
    `${asked.length} requests so far, ${written.length} iterations, ${failures} of them failures`,
    `victim ${victims.map(({ lateMs }) => lateMs).join()} ms after its instant`,
    `health in ${processes.map(({ healthMs }) => healthMs).join(', ')} ms`,
  ].join('; ');
};

it('a line of dashes in a note holds nobody up, and its own mission is planned', async () => {
  const { dashes, ...attacked } = await attackWithDashes(hostile);
  const seen = await observe(hostile, attacked);
  expect(violationsIn(seen)).toEqual([]);
  const ofDashes = seen.missions.find(({ missionId }) => missionId === dashes.missionId);
  expect(ofDashes?.iterations).toMatchObject([
    { overallStatus: 'awaiting-review', plan: [{ status: 'planned', intent: { toolName: 'create_task' } }] },
  ]);
  expect(hostile.asked.filter(({ body }) => body.includes('https://example.org/kuchen'))).not.toEqual([]);
});

it('faults that somebody plants in the databases are seen', async () => {
  const attacked = await attackWithDashes(hostile);
  const { userId, missionId } = { ...attacked.dashes, ...attacked.dashes.user };
  const { syncUrl } = hostile.system.databases.superuser;
  const again = toIterationId('planted');
  const data = { iterations: [{ id: again, plan: [], overallStatus: 'failed', summary: '' }] };
  await query(
    syncUrl,
    `insert into public.sync_changes (id, app_id, table_name, record_id, user_id, op, data, field_meta, client_id)
      values ($1, 'ai', 'aiMissions', $2, $3, 'update', $4, '{}', $5)`,
    [eventIdOf(again), missionId, userId, JSON.stringify(data), RUNNER_CLIENT_ID],
  );
  await query(
    syncUrl,
    `insert into mana_ai.run_slots (user_id, mission_id, workflow_id, run_id, iteration_id)
      values ($1, 'planted', 'w', 'r', 'i')`,
    [userId],
  );
  const violations = violationsIn(await observe(hostile, attacked, 5_000));
  await query(syncUrl, `delete from mana_ai.run_slots where mission_id = 'planted'`);
  expect(violations.join('\n')).toContain(`mission ${missionId}: 2 iterations of 1 runs`);
  expect(violations).toContain(`mission ${missionId}: a failure without a reason`);
  expect(violations).toContain('run_slots: 1 rows are left at rest');
});
