import type { SystemSql } from './client.ts';
import { PLANNED_AS_FEW, sql, type Fragment } from './sql.ts';
import type { Transaction } from './transaction.ts';
import type { FollowedRecord, FollowedHead, PageEnd } from './followed-changes.ts';
import type { AgentSnapshot, Snapshot } from '#domain/projection/mission-snapshot.ts';

/** Where the projection stands, and when it last read back how far. Epoch milliseconds, -Infinity for never. */
export interface ProjectionCursor {
  /** PostgreSQL's own text, microseconds included: cut to milliseconds it would have rows read again for ever. */
  readonly readUntil: string;
  readonly readBack30MinutesAtMs: number;
  readonly readBack25HoursAtMs: number;
  /** The database's clock, which also stamps the rows. */
  readonly nowMs: number;
  /** Where the last page ended, if it left rows of its read-back behind. */
  readonly pageEnd: PageEnd | null;
  /** Whether rows of some users are read in turns of their own. */
  readonly hasBacklogs: boolean;
}

/**
 * Locks the cursor until the transaction ends; null when another worker projects. After the clock was set back, rows come
 * with times before those already read: then the cursor counts as standing at the clock.
 */
export async function lockCursor(tx: Transaction): Promise<ProjectionCursor | null> {
  const [row] = await tx<ProjectionCursor[]>`
    select least(read_until, clock_timestamp())::text as "readUntil",
      extract(epoch from read_back_30_minutes_at)::float8 * 1000 as "readBack30MinutesAtMs",
      extract(epoch from read_back_25_hours_at)::float8 * 1000 as "readBack25HoursAtMs",
      extract(epoch from clock_timestamp())::float8 * 1000 as "nowMs",
      case when page_end_id is not null then jsonb_build_object(
        'backMs', page_back_ms, 'createdAt', ${isoMicros(sql`page_end_at`)}, 'id', page_end_id) end as "pageEnd",
      exists (select from mana_ai.projection_backlogs) as "hasBacklogs"
    from mana_ai.projection_cursor for update skip locked`;
  return row ?? null;
}

const isoMicros = (column: Fragment) =>
  sql`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Remembers rows as projected, with the time that the log gives them. */
export async function markProjected(
  tx: Transaction,
  changes: readonly Pick<FollowedHead, 'id' | 'createdAt'>[],
): Promise<void> {
  await tx`
    insert into mana_ai.projected_changes (change_id, created_at)
    select * from unnest(
      ${changes.map(({ id }) => id)}::uuid[], ${changes.map(({ createdAt }) => createdAt)}::text[]::timestamptz[])
    on conflict (change_id) do nothing`;
}

/**
 * Moves the cursor to the newest projected row, and notes a completed long read-back, or where a page of it ended. Neither
 * a row from the future (a clock that stepped) nor one of a user's own turn may take the cursor along past what is unread.
 */
export async function advanceCursor(
  tx: Transaction,
  readBack: { readonly thirtyMinutes: boolean; readonly twentyFiveHours: boolean },
  pageEnd: PageEnd | null,
): Promise<void> {
  await tx`
    update mana_ai.projection_cursor set
      read_until = greatest(least(read_until, clock_timestamp()), least(
        coalesce((select max(created_at) from mana_ai.projected_changes), read_until),
        coalesce(${pageEnd?.createdAt ?? null}::text::timestamptz, 'infinity'), clock_timestamp())),
      read_back_30_minutes_at =
        case when ${readBack.thirtyMinutes} then clock_timestamp() else read_back_30_minutes_at end,
      read_back_25_hours_at =
        case when ${readBack.twentyFiveHours} then clock_timestamp() else read_back_25_hours_at end,
      page_back_ms = ${pageEnd?.backMs ?? null}::bigint, page_end_id = ${pageEnd?.id ?? null}::uuid,
      page_end_at = ${pageEnd?.createdAt ?? null}::text::timestamptz`;
}

/** Forgets ids that no read-back reaches any more. */
export async function pruneProjected(tx: Transaction): Promise<void> {
  await tx`
    delete from mana_ai.projected_changes
    where created_at < (select read_until from mana_ai.projection_cursor) - interval '26 hours'`;
}

/** What was kept of records, as JSON; null where nothing was kept yet. Records that are not known are left out. */
export async function readKept(
  tx: SystemSql,
  table: FollowedRecord['table'],
  records: readonly FollowedRecord[],
): Promise<(FollowedRecord & { readonly kept: unknown })[]> {
  const users = records.map(({ userId }) => userId);
  const ids = records.map(({ recordId }) => recordId);
  const wanted = sql`
    (select * from unnest(${users}::text[], ${ids}::text[]) as named (user_id, record_id) ${PLANNED_AS_FEW}) wanted`;
  const columns = sql`${table}::text as "table", known.user_id as "userId", wanted.record_id as "recordId",
    known.merge_state as kept`;
  return table === 'aiMissions'
    ? await tx`select ${columns} from ${wanted} join mana_ai.mission_snapshots known
        on known.user_id = wanted.user_id and known.mission_id = wanted.record_id`
    : await tx`select ${columns} from ${wanted} join mana_ai.agent_snapshots known
        on known.user_id = wanted.user_id and known.agent_id = wanted.record_id`;
}

/** A mission as it stands now, and what is kept for the next rows. */
export interface SavedMission extends Snapshot {
  readonly userId: string;
  readonly missionId: string;
  readonly kept: unknown;
  readonly offsetMinutes: number | null;
  readonly offsetShownAtIso: string | null;
  readonly spaceId: string | null;
}

/** Stores snapshots; only a change of what schedules depend on raises the version, and so makes the schedule pending. */
export async function saveMissions(tx: SystemSql, missions: readonly SavedMission[]): Promise<void> {
  if (missions.length === 0) return;
  const isChanged = sql`(
    (known.exists_now, known.state, known.cadence, known.next_run_at, known.agent_id, known.device_utc_offset_minutes)
    is distinct from
    (excluded.exists_now, excluded.state, excluded.cadence, excluded.next_run_at, excluded.agent_id,
     excluded.device_utc_offset_minutes))`;
  // Behind a backlog its schedule may come too late.
  const lookAgainAt = sql`
    case when "exists" and state = 'active' and "nextRunAtIso"::timestamptz
      between clock_timestamp() - interval '1 minute' and clock_timestamp() + interval '1 minute'
    then "nextRunAtIso"::timestamptz end`;
  await tx`
    insert into mana_ai.mission_snapshots as known
      (user_id, mission_id, exists_now, state, cadence, next_run_at, agent_id, merge_state, device_utc_offset_minutes,
       device_offset_at, space_id, look_again_at)
    select "userId", "missionId", "exists", state, nullif(cadence, 'null'), "nextRunAtIso"::timestamptz, "agentId", kept,
      "offsetMinutes", "offsetShownAtIso"::timestamptz, "spaceId", ${lookAgainAt}
    from jsonb_to_recordset(${JSON.stringify(missions)}::text::jsonb) as saved
      ("userId" text, "missionId" text, "exists" boolean, state text, cadence jsonb, "nextRunAtIso" text, "agentId" text,
       kept jsonb, "offsetMinutes" integer, "offsetShownAtIso" text, "spaceId" text)
    -- In the order in which the API locks a user's rows, or the two could wait for each other.
    order by "userId", "missionId"
    on conflict (user_id, mission_id) do update set
      exists_now = excluded.exists_now, state = excluded.state, cadence = excluded.cadence,
      next_run_at = excluded.next_run_at, agent_id = excluded.agent_id, merge_state = excluded.merge_state,
      device_utc_offset_minutes = excluded.device_utc_offset_minutes, device_offset_at = excluded.device_offset_at,
      space_id = excluded.space_id,
      look_again_at = case when ${isChanged} then excluded.look_again_at else known.look_again_at end,
      version = known.version + case when ${isChanged} then 1 else 0 end,
      updated_at = case when ${isChanged} then clock_timestamp() else known.updated_at end`;
}

/** Of one record those who came first: whoever knows it and its space may say that it is a mission of theirs. */
const MAX_MISSIONS_OF_A_RECORD = 10;

/** A user's mission in a shared space, and what decides it there. */
export interface Standing {
  readonly userId: string;
  /** JSON of a merge state. */
  readonly merge: unknown;
  /** Whether a run of ours wrote iterations. */
  readonly weWrote: boolean;
}

/** The missions that a record is in a space: of those who made it rather than of those who edited it. */
export async function readStandings(
  tx: SystemSql,
  { missionId, spaceId }: { readonly missionId: string; readonly spaceId: string },
): Promise<Standing[]> {
  return await tx<Standing[]>`
    select missions.user_id as "userId", missions.merge_state -> 'merge' as merge,
      coalesce((missions.merge_state #>> '{iterations,weWrote}')::boolean, false) as "weWrote"
    from mana_ai.mission_snapshots missions
    left join mana_ai.space_writes writes on writes.user_id = missions.user_id
      and writes.mission_id = missions.mission_id and writes.space_id = missions.space_id
    where missions.mission_id = ${missionId} and missions.space_id = ${spaceId}
    order by coalesce(writes.merge_state -> 'insert', 'null') = 'null', writes.first_seen_at, missions.user_id
    limit ${MAX_MISSIONS_OF_A_RECORD}`;
}

/** A mission whose healing is to be started. */
export interface MissionToHeal {
  readonly userId: string;
  readonly missionId: string;
  /** PostgreSQL's own text. */
  readonly healAt: string;
}

/** Has the healing of missions started once what is written in this transaction can be read by it. */
export async function markToHeal(
  tx: SystemSql,
  missions: readonly Omit<MissionToHeal, 'healAt'>[],
): Promise<void> {
  if (missions.length === 0) return;
  await tx`
    update mana_ai.mission_snapshots set heal_at = clock_timestamp()
    where (user_id, mission_id) in (select * from unnest(
      ${missions.map(({ userId }) => userId)}::text[], ${missions.map(({ missionId }) => missionId)}::text[]))`;
}

export async function readMissionsToHeal(sql: SystemSql, limit: number): Promise<MissionToHeal[]> {
  return await sql<MissionToHeal[]>`
    select user_id as "userId", mission_id as "missionId", heal_at::text as "healAt" from mana_ai.mission_snapshots
    where heal_at <= clock_timestamp() order by heal_at limit ${limit}`;
}

/** Notes that a healing was started, or that it is to be tried again in a while; one that was asked for since stays. */
export async function markHealingStarted(
  sql: SystemSql,
  { userId, missionId, healAt }: MissionToHeal,
  isStarted: boolean,
): Promise<void> {
  await sql`
    update mana_ai.mission_snapshots
    set heal_at = case when not ${isStarted}::boolean then clock_timestamp() + interval '10 seconds' end
    where user_id = ${userId} and mission_id = ${missionId} and heal_at = ${healAt}::text::timestamptz`;
}

/** Stores what members of a space left of a mission; see `saveMissions` for the version. */
export async function saveStandings(
  tx: SystemSql,
  standings: readonly (Snapshot & { readonly userId: string; readonly missionId: string })[],
): Promise<void> {
  await tx`
    update mana_ai.mission_snapshots known set
      exists_now = saved."exists", state = saved.state, cadence = nullif(saved.cadence, 'null'),
      next_run_at = saved."nextRunAtIso"::timestamptz, agent_id = saved."agentId", version = known.version + 1,
      updated_at = clock_timestamp()
    from jsonb_to_recordset(${JSON.stringify(standings)}::text::jsonb) as saved
      ("userId" text, "missionId" text, "exists" boolean, state text, cadence jsonb, "nextRunAtIso" text, "agentId" text)
    where known.user_id = saved."userId" and known.mission_id = saved."missionId"
      and (known.exists_now, known.state, known.cadence, known.next_run_at, known.agent_id) is distinct from
        (saved."exists", saved.state, nullif(saved.cadence, 'null'), saved."nextRunAtIso"::timestamptz, saved."agentId")`;
}

/** An agent as it stands now; no schedule depends on it, but whoever asks why nothing happens. */
export interface SavedAgent extends AgentSnapshot {
  readonly userId: string;
  readonly agentId: string;
  readonly kept: unknown;
}

export async function saveAgents(tx: SystemSql, agents: readonly SavedAgent[]): Promise<void> {
  if (agents.length === 0) return;
  await tx`
    insert into mana_ai.agent_snapshots (user_id, agent_id, exists_now, state, merge_state)
    select "userId", "agentId", "exists", state, kept
    from jsonb_to_recordset(${JSON.stringify(agents)}::text::jsonb) as saved
      ("userId" text, "agentId" text, "exists" boolean, state text, kept jsonb)
    on conflict (user_id, agent_id) do update set
      exists_now = excluded.exists_now, state = excluded.state, merge_state = excluded.merge_state,
      updated_at = clock_timestamp()`;
}

/** The run that holds a mission since before an instant, or works on one of these iterations; null if there is none. */
export async function findRunToCancel(
  tx: SystemSql,
  mission: { readonly userId: string; readonly missionId: string },
  wish: { readonly beforeMs: number; readonly iterationIds: readonly string[] },
): Promise<{ readonly workflowId: string; readonly runId: string } | null> {
  const [slot] = await tx<{ workflowId: string; runId: string }[]>`
    select workflow_id as "workflowId", run_id as "runId" from mana_ai.run_slots
    where user_id = ${mission.userId} and mission_id = ${mission.missionId}
      and (claimed_at <= to_timestamp(${wish.beforeMs}::float8 / 1000)
        or iteration_id = any(${wish.iterationIds}::text[]))`;
  return slot ?? null;
}

/**
 * Makes the schedules pending that depend on what these missions' devices showed of their clocks: those of the same user
 * without an offset of their own, where the user never named a zone (see db/time-zones.ts, `knownZone`).
 */
export async function makeInferredSchedulesPending(
  tx: SystemSql,
  missions: readonly Pick<SavedMission, 'userId' | 'missionId'>[],
): Promise<void> {
  await tx`
    update mana_ai.mission_snapshots others set version = version + 1, updated_at = clock_timestamp()
    from (
      select * from unnest(
        ${missions.map(({ userId }) => userId)}::text[], ${missions.map(({ missionId }) => missionId)}::text[]
      ) as shown (user_id, mission_id) ${PLANNED_AS_FEW}
    ) shifted
    where others.user_id = shifted.user_id and others.mission_id <> shifted.mission_id
      and others.device_utc_offset_minutes is null
      and not exists (select from mana_ai.mission_time_zones zones where zones.user_id = others.user_id)`;
}
