import type { SystemSql } from './client.ts';
import { sql } from './sql.ts';
import type { Transaction } from './transaction.ts';

/** An operator may stop the planning of all missions (docs/operations.md, Stopping everything); one row says so. */
export const isPlanningStopped = sql`
  exists (select from mana_ai.planning_stop where stopped_at is not null)`;

/** Since when planning is stopped; null: it is not. */
export async function readPlanningStop(tx: SystemSql | Transaction): Promise<Date | null> {
  const [row] = await tx<{ stoppedAt: Date | null }[]>`
    select stopped_at as "stoppedAt" from mana_ai.planning_stop`;
  return row?.stoppedAt ?? null;
}

/**
 * @returns since when; stopping again changes nothing
 * @throws Error where the row that says so is not there
 */
export async function stopPlanning(tx: SystemSql): Promise<Date> {
  const [row] = await tx<{ stoppedAt: Date }[]>`
    update mana_ai.planning_stop set stopped_at = coalesce(stopped_at, clock_timestamp())
    returning stopped_at as "stoppedAt"`;
  if (row === undefined) throw new Error('planning goes on: mana_ai.planning_stop has no row, expected one');
  return row.stoppedAt;
}

/** @returns since when it was stopped; null: it was not */
export async function resumePlanning(tx: SystemSql): Promise<Date | null> {
  const [row] = await tx<{ stoppedAt: Date | null }[]>`
    with before as (select stopped_at from mana_ai.planning_stop for update)
    update mana_ai.planning_stop set stopped_at = null from before returning before.stopped_at as "stoppedAt"`;
  return row?.stoppedAt ?? null;
}

/** For `GET /ready`: a process that does not plan because it was told so is ready all the same. */
export async function checkPlanning(tx: SystemSql): Promise<string> {
  const stoppedAt = await readPlanningStop(tx);
  return stoppedAt === null ? 'ok' : `ok, stopped by an operator since ${stoppedAt.toISOString()}`;
}
