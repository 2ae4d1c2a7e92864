import { expect } from 'vitest';
import { formatInstant } from '#domain/base/instant.ts';
import { surroundingsOf } from '#test/faults/surroundings.ts';
import { openDevice } from '#test/support/device.ts';
import { writePlaintextMission } from '#test/support/granted-mission.ts';
import { query } from '#test/support/inspect.ts';
import { seeingStalls } from '#test/support/machine-stalls.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { waitUntil } from '#test/support/wait-until.ts';
import { startSystemProcess, type SystemProcess } from '#test/support/worker-process.ts';

/** `bin/test --all` attacks with all that was ever seen, `bin/test` with as much as shows the same. */
export const IS_LONG = process.env['ATTACKS'] === 'long';

/** A service under attack: each worker a process of its own, with its production role and little memory. */
export interface AttackedSystem {
  readonly system: MissionSystem;
  readonly processes: readonly SystemProcess[];
  /** Runs a statement as somebody who may write any row; for rows that a user could have written through mana-sync. */
  plant(sql: string, values?: readonly unknown[]): Promise<void>;
  /**
   * Another user's mission, written while the attack goes on and due a moment later, has its iteration within ten seconds
   * of its instant; and every process is the one that was started.
   */
  expectVictimToRun(): Promise<void>;
  close(): Promise<void>;
}

const HEAP_MB = 512;
const VICTIM_DUE_IN_MS = 2_000;
const VICTIM_WITHIN_MS = 10_000;

/** Starts runner, vault worker and projection; `close` ends everything. */
export async function startAttackedSystem(): Promise<AttackedSystem> {
  const system = await startMissionSystem({ parts: [], script: replyOfTwoRounds });
  const around = await surroundingsOf(system);
  const small = { NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` };
  const processes = await Promise.all(
    (['runner', 'vault', 'projection'] as const).map((name) => startSystemProcess(name, around, small)),
  );
  const ended = new Set<SystemProcess>();
  for (const running of processes) void running.exited.then(() => ended.add(running));
  const device = openDevice(system.webApp, system.databases);
  return {
    system,
    processes,
    plant: async (sql, values = []) => {
      await query(system.databases.superuser.syncUrl, sql, values);
    },
    expectVictimToRun: async () => {
      const dueMs = Date.now() + VICTIM_DUE_IN_MS;
      const victim = await writePlaintextMission(system.webApp, 'OBJECTIVE-OF-THE-VICTIM', {
        nextRunAt: formatInstant(dueMs),
      });
      const { stalledMs } = await seeingStalls(() =>
        waitUntil(
          'the victim has its iteration',
          async () => (await device.ourRows(victim)).length > 0,
          // Longer than allowed, so that a failure says by how much.
          { deadlineMs: 6 * VICTIM_WITHIN_MS, everyMs: 100 },
        ),
      );
      const lateMs = Date.now() - dueMs - stalledMs;
      expect(lateMs).toBeLessThanOrEqual(VICTIM_WITHIN_MS);
      expect([...ended].map(({ output }) => output().slice(-2_000))).toEqual([]);
    },
    close: async () => {
      await Promise.all(processes.map((running) => running.stop()));
      await system.close();
    },
  };
}

/** SQL of one attacker's row of the log, for each `n` up to `$2`; `$1` is the user. */
export const rowsOf = (row: {
  readonly recordId: string;
  readonly op: 'insert' | 'update';
  readonly data: string;
  readonly table?: string;
}): string => `
  insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, actor, origin)
  select 'ai', '${row.table ?? 'aiMissions'}', ${row.recordId}, $1, '${row.op}', ${row.data},
    ${row.op === 'update' ? `(select jsonb_object_agg(key, to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) from jsonb_object_keys(${row.data}) key)` : `'{}'`},
    'device-1', clock_timestamp(), jsonb_build_object('kind', 'user'), 'user'
  from generate_series(1, $2::int) n`;

/** A mission that was due a moment ago, as an SQL expression. */
export const DUE_MISSION = `jsonb_build_object('title', 'x', 'objective', 'OBJECTIVE-OF-THE-ATTACKER', 'state', 'active',
  'cadence', '{"kind": "interval", "everyMinutes": 1440}'::jsonb, 'inputs', '[]'::jsonb, 'iterations', '[]'::jsonb,
  'nextRunAt', to_char((clock_timestamp() - interval '1 second') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`;
