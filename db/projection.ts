import type postgres from 'postgres';
import type { SystemSql, UserTransaction } from './client.ts';
import type { UserId } from '../domain/ids.ts';
import type { Cadence } from '../domain/mission.ts';
import type { Snapshot } from '../domain/mission-snapshot.ts';

/** Where the projection stands, and when it last read back how far. Epoch milliseconds, -Infinity for never. */
export interface ProjectionCursor {
  readonly readUntilMs: number;
  readonly readBack30MinutesAtMs: number;
  readonly readBack25HoursAtMs: number;
  /** The database's clock, which also stamps the rows. */
  readonly nowMs: number;
}

/** Locks the cursor until the transaction ends; null when another worker projects. */
export async function lockCursor(tx: postgres.TransactionSql): Promise<ProjectionCursor | null> {
  const [row] = await tx<ProjectionCursor[]>`
    select extract(epoch from read_until)::float8 * 1000 as "readUntilMs",
      extract(epoch from read_back_30_minutes_at)::float8 * 1000 as "readBack30MinutesAtMs",
      extract(epoch from read_back_25_hours_at)::float8 * 1000 as "readBack25HoursAtMs",
      extract(epoch from clock_timestamp())::float8 * 1000 as "nowMs"
    from mana_ai.projection_cursor for update skip locked`;
  return row ?? null;
}

export interface MissionChange {
  readonly changeId: string;
  readonly userId: string;
  readonly missionId: string;
}

/**
 * Rows of missions that became visible and were not projected yet. The predicate repeats that of our partial index: under
 * row-level security a query without it scans the whole log.
 *
 * @param sinceMs how far to read back: rows become visible out of order
 * @param exceptIds rows that this pass could not project; they must not be all that it sees
 */
export async function readNewMissionChanges(
  tx: postgres.TransactionSql,
  sinceMs: number,
  limit: number,
  exceptIds: readonly string[] = [],
): Promise<MissionChange[]> {
  const since = sinceMs === -Infinity ? '-infinity' : new Date(sinceMs).toISOString();
  return await tx<MissionChange[]>`
    select changes.id as "changeId", user_id as "userId", record_id as "missionId"
    from public.sync_changes changes
    where app_id = 'ai' and table_name in ('aiMissions', 'agents') and table_name = 'aiMissions'
      and changes.created_at >= ${since}::text::timestamptz
      and not exists (select from mana_ai.projected_changes projected where projected.change_id = changes.id)
      and changes.id <> all(${[...exceptIds]}::uuid[])
    order by changes.created_at, changes.id
    limit ${limit}`;
}

/** Remembers rows as projected, with the time that the log gives them. */
export async function markProjected(
  tx: postgres.TransactionSql,
  changeIds: readonly string[],
): Promise<void> {
  await tx`
    insert into mana_ai.projected_changes (change_id, created_at)
    select id, created_at from public.sync_changes
    where app_id = 'ai' and table_name in ('aiMissions', 'agents') and id = any(${[...changeIds]}::uuid[])
    on conflict (change_id) do nothing`;
}

/**
 * Moves the cursor to the newest projected row, and notes a completed long read-back. A row from the future (a clock
 * that stepped) must not take the cursor along.
 */
export async function advanceCursor(
  tx: postgres.TransactionSql,
  readBack: { readonly thirtyMinutes: boolean; readonly twentyFiveHours: boolean },
): Promise<void> {
  await tx`
    update mana_ai.projection_cursor set
      read_until = greatest(read_until, least(
        coalesce((select max(created_at) from mana_ai.projected_changes), read_until), clock_timestamp())),
      read_back_30_minutes_at =
        case when ${readBack.thirtyMinutes} then clock_timestamp() else read_back_30_minutes_at end,
      read_back_25_hours_at =
        case when ${readBack.twentyFiveHours} then clock_timestamp() else read_back_25_hours_at end`;
}

/** Forgets ids that no read-back reaches any more. */
export async function pruneProjected(tx: postgres.TransactionSql): Promise<void> {
  await tx`
    delete from mana_ai.projected_changes
    where created_at < (select read_until from mana_ai.projection_cursor) - interval '26 hours'`;
}

/** Stores a snapshot; only a change raises the version, and so makes the schedule pending. */
export async function saveSnapshot(
  tx: UserTransaction,
  userId: UserId,
  missionId: string,
  snapshot: Snapshot,
): Promise<void> {
  const cadence = snapshot.cadence === null ? null : JSON.stringify(snapshot.cadence);
  await tx`
    insert into mana_ai.mission_snapshots as known
      (user_id, mission_id, exists_now, state, cadence, next_run_at, agent_id, grant_expires_at)
    values
      (${userId}, ${missionId}, ${snapshot.exists}, ${snapshot.state}, ${cadence}::text::jsonb,
       ${snapshot.nextRunAtIso}::timestamptz, ${snapshot.agentId}, ${snapshot.grantExpiresAtIso}::timestamptz)
    on conflict (user_id, mission_id) do update set
      exists_now = excluded.exists_now, state = excluded.state, cadence = excluded.cadence,
      next_run_at = excluded.next_run_at, agent_id = excluded.agent_id, grant_expires_at = excluded.grant_expires_at,
      version = known.version + 1, updated_at = clock_timestamp()
    where (known.exists_now, known.state, known.cadence, known.next_run_at, known.agent_id, known.grant_expires_at)
      is distinct from
      (excluded.exists_now, excluded.state, excluded.cadence, excluded.next_run_at, excluded.agent_id,
       excluded.grant_expires_at)`;
}

/** The schedule that Temporal was last told about. */
export interface AppliedSchedule {
  readonly cadence: Cadence;
  readonly nextRunAtMs: number | null;
  readonly timeZone: string;
  readonly agentId: string | null;
}

export interface PendingMission {
  readonly userId: string;
  readonly missionId: string;
  readonly exists: boolean;
  readonly state: string | null;
  readonly cadence: Cadence | null;
  readonly nextRunAtMs: number | null;
  readonly agentId: string | null;
  /** Its own, else the one that the user named last for another mission, else null. */
  readonly timeZone: string | null;
  readonly version: string;
  readonly applied: AppliedSchedule | null;
}

const pendingColumns = (sql: SystemSql) => sql`
  user_id as "userId", mission_id as "missionId", exists_now as exists, state, cadence,
  extract(epoch from next_run_at)::float8 * 1000 as "nextRunAtMs", agent_id as "agentId",
  version::text as version, applied_schedule as applied,
  (select time_zone from mana_ai.mission_time_zones zones where zones.user_id = missions.user_id
   order by zones.mission_id = missions.mission_id desc, zones.updated_at desc limit 1) as "timeZone"`;

/** Missions whose schedule is out of date, the longest waiting first. */
export async function readPendingMissions(sql: SystemSql, limit: number): Promise<PendingMission[]> {
  return await sql<PendingMission[]>`
    select ${pendingColumns(sql)} from mana_ai.mission_snapshots missions
    where version <> applied_version order by updated_at limit ${limit}`;
}

/** Active missions whose instant passed a while ago: a run that should have moved it on did not. */
export async function readOverdueMissions(
  sql: SystemSql,
  overdueMs: number,
  limit: number,
): Promise<PendingMission[]> {
  return await sql<PendingMission[]>`
    select ${pendingColumns(sql)} from mana_ai.mission_snapshots missions
    where exists_now and state = 'active' and cadence is not null and version = applied_version
      and next_run_at < clock_timestamp() - ${overdueMs}::float8 * interval '1 millisecond'
    order by next_run_at limit ${limit}`;
}

/** Puts a mission behind the others that are pending: one that always fails must not keep them waiting. */
export async function postponePending(
  sql: SystemSql,
  mission: Pick<PendingMission, 'userId' | 'missionId'>,
): Promise<void> {
  await sql`
    update mana_ai.mission_snapshots set updated_at = clock_timestamp()
    where user_id = ${mission.userId} and mission_id = ${mission.missionId}`;
}

/** Notes what Temporal knows now. A change that came meanwhile has raised the version, so the mission stays pending. */
export async function markApplied(
  sql: SystemSql,
  mission: Pick<PendingMission, 'userId' | 'missionId' | 'version'>,
  applied: AppliedSchedule | null,
): Promise<void> {
  await sql`
    update mana_ai.mission_snapshots set
      applied_version = ${mission.version}::bigint,
      applied_schedule = ${applied === null ? null : JSON.stringify(applied)}::text::jsonb
    where user_id = ${mission.userId} and mission_id = ${mission.missionId}`;
}
