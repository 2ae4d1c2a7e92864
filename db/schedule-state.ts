import type { SystemSql, UserTransaction } from './client.ts';
import { isPlanningStopped } from './planning-stop.ts';
import { PLANNED_AS_FEW, sql, type Fragment } from './sql.ts';
import { knownZone, sourcedTimeZone, type KnownZone } from './time-zones.ts';
import type { Cadence } from '#domain/wire/mission.ts';
import type { MissionTiming } from '#domain/cadence/schedule-spec.ts';

/** The schedule that Temporal was last told about. */
export interface AppliedSchedule extends MissionTiming {
  readonly agentId: string | null;
}

/** A mission's snapshot with all that its schedule depends on. */
export interface PendingMission {
  readonly userId: string;
  readonly missionId: string;
  readonly exists: boolean;
  readonly state: string | null;
  readonly cadence: Cadence | null;
  readonly nextRunAtMs: number | null;
  readonly agentId: string | null;
  /** IANA name, see `knownZone`; null where nothing is known. */
  readonly timeZone: string | null;
  /** The user took the mission out of the background. */
  readonly isOptedOut: boolean;
  /** The run that holds the mission; it may be dead, see docs/architecture.md section 4. */
  readonly slot: { readonly workflowId: string; readonly runId: string } | null;
  /** Of all missions of the user, dead ones too. */
  readonly openRunsOfUser: number;
  /** It has no schedule, and its user has as many as one may have. */
  readonly isOverLimit: boolean;
  readonly version: string;
  readonly applied: AppliedSchedule | null;
  /** Its instant is over although it stands in the log: nothing could be written about it. */
  readonly isPutAside: boolean;
  /** An operator stopped the planning of all missions. */
  readonly isStopped: boolean;
  /** Whether Temporal has not yet been told of the newest version. */
  readonly isPending: boolean;
  /** Changes with every write of the row: see `markApplied`. */
  readonly rowVersion: string;
  /** The database's clock, which has gone on since the row was read: what is due is not for the process's own to say. */
  readonly nowMs: () => number;
  /** Of `performance.now()`: not before this the user was not erased. Null: the database was not asked, or said otherwise. */
  readonly notErasedAtMs: number | null;
}

/** Names a mission's snapshot. */
export type MissionKey = Pick<PendingMission, 'userId' | 'missionId'>;

const isOptedOut = sql`
  exists (select from mana_ai.schedule_opt_outs opted
    where opted.user_id = missions.user_id and opted.mission_id = missions.mission_id)`;

/** Missions of one user that run by themselves: the server starts some thirty scheduled runs a second of all users. */
const MAX_SCHEDULES = 500;

const pendingColumns = sql`
  user_id as "userId", mission_id as "missionId", exists_now as exists, state, cadence,
  extract(epoch from next_run_at)::float8 * 1000 as "nextRunAtMs", agent_id as "agentId",
  version::text as version, applied_schedule as applied, version <> applied_version as "isPending",
  missions.xmin::text as "rowVersion", extract(epoch from clock_timestamp())::float8 * 1000 as "readAtMs",
  ${isOptedOut} as "isOptedOut", ${isPlanningStopped} as "isStopped",
  exists (select from mana_ai.missions_put_aside aside where aside.user_id = missions.user_id
    and aside.mission_id = missions.mission_id and aside.put_aside_at >= missions.next_run_at) as "isPutAside",
  (select jsonb_build_object('workflowId', slots.workflow_id, 'runId', slots.run_id) from mana_ai.run_slots slots
    where slots.user_id = missions.user_id and slots.mission_id = missions.mission_id) as slot,
  (select count(*) from mana_ai.run_slots slots where slots.user_id = missions.user_id)::int as "openRunsOfUser",
  (applied_schedule is null and ${MAX_SCHEDULES}::int <= (select count(*) from (
    select from mana_ai.mission_snapshots served
    where served.user_id = missions.user_id and served.applied_schedule is not null limit ${MAX_SCHEDULES}::int
  ) served)) as "isOverLimit",
  ${knownZone(sql`missions.user_id`, sql`missions.mission_id`)} as zone`;

/** A row of `pendingColumns`. */
type PendingRow = Omit<PendingMission, 'timeZone' | 'nowMs' | 'notErasedAtMs'> & {
  readonly zone: KnownZone;
  readonly readAtMs: number;
};

function pendingMission({ zone, readAtMs, ...row }: PendingRow): PendingMission {
  const aheadMs = readAtMs - performance.now();
  return {
    ...row,
    timeZone: sourcedTimeZone(zone).timeZone,
    nowMs: () => aheadMs + performance.now(),
    notErasedAtMs: null,
  };
}

/** How long a mission whose schedule could not be written waits for its next turn. */
const postponement = sql`interval '10 seconds'`;
const shortPostponement = sql`interval '2 seconds'`;

/** The next users, in the order of their ids, some of whose schedules are out of date; each costs a look into an index. */
export async function readPendingUsers(tx: SystemSql, after: string, limit: number): Promise<string[]> {
  const next = (behind: Fragment) => sql`
    (select user_id from mana_ai.mission_snapshots
      where version <> applied_version and user_id > ${behind} order by user_id limit 1)`;
  const rows = await tx<{ userId: string }[]>`
    with recursive users (user_id) as (
      ${next(sql`${after}::text`)}
      union all
      select ${next(sql`users.user_id`)} from users where users.user_id is not null
    ) select user_id as "userId" from users where user_id is not null limit ${limit}`;
  return rows.map(({ userId }) => userId);
}

/**
 * Missions of these users whose schedule is out of date and which are not postponed; of each user the longest waiting
 * first, and no user's second before every other's first. A clock that steps back must not make them wait longer than a
 * postponement.
 *
 * Each is read with whether its user was erased: to ask that again for every one of them would be a transaction each.
 *
 * @param except missions that are being worked on
 */
export async function readPendingMissions(
  tx: SystemSql,
  ofUsers: readonly string[],
  limit: number,
  except: readonly MissionKey[] = [],
): Promise<PendingMission[]> {
  const users = except.map(({ userId }) => userId);
  const missions = except.map(({ missionId }) => missionId);
  const askedAtMs = performance.now();
  const rows = await tx<(PendingRow & { readonly isErased: boolean })[]>`
    select ${pendingColumns}, mana_ai.is_erased(user_id) as "isErased" from mana_ai.mission_snapshots missions
    where (user_id, mission_id) in (
      select chosen.user_id, chosen.mission_id from unnest(${ofUsers}::text[]) as turn (user_id)
      cross join lateral (
        select pending.user_id, pending.mission_id, row_number() over (order by pending.updated_at) as nth
        from mana_ai.mission_snapshots pending
        where pending.user_id = turn.user_id and version <> applied_version
          and updated_at not between clock_timestamp() and clock_timestamp() + ${postponement}
          and (pending.user_id, pending.mission_id) not in (select * from unnest(${users}::text[], ${missions}::text[]))
        order by pending.updated_at limit ${limit}
      ) chosen
      order by chosen.nth limit ${limit})
    order by updated_at`;
  return rows.map(({ isErased, ...row }) => ({
    ...pendingMission(row),
    notErasedAtMs: isErased ? null : askedAtMs,
  }));
}

/** How many missions' schedules are out of date, postponed ones too. */
export async function countPendingMissions(tx: SystemSql): Promise<number> {
  const [row] = await tx<{ count: number }[]>`
    select count(*)::int as count from mana_ai.mission_snapshots where version <> applied_version`;
  return row?.count ?? 0;
}

/** Where a page of `readPassedMissions` ends. */
export interface PassedPosition extends MissionKey {
  readonly nextRunAtMs: number | null;
}

/**
 * Active missions whose instant passed a while ago, one page, the oldest instant first. Those that are pending are left
 * out: applying them starts them.
 *
 * @param after the last mission of the page before
 */
export async function readPassedMissions(
  tx: SystemSql,
  passedForMs: number,
  after: PassedPosition | null,
  limit: number,
): Promise<PendingMission[]> {
  const { nextRunAtMs, userId, missionId } = after ?? { nextRunAtMs: null, userId: '', missionId: '' };
  const rows = await tx<PendingRow[]>`
    select ${pendingColumns} from mana_ai.mission_snapshots missions
    where exists_now and state = 'active' and cadence is not null and version = applied_version and not ${isOptedOut}
      and next_run_at < statement_timestamp() - ${passedForMs}::float8 * interval '1 millisecond'
      and (next_run_at, user_id, mission_id) >
        (coalesce(to_timestamp(${nextRunAtMs}::float8 / 1000), '-infinity'), ${userId}, ${missionId})
    order by next_run_at, user_id, mission_id limit ${limit}`;
  return rows.map(pendingMission);
}

/**
 * Missions that were first seen, or whose schedule was written, shortly before their instant, which has passed by now; the
 * oldest first. Those that are pending are among them: a backlog must not keep them waiting.
 */
export async function readMissionsToLookAt(tx: SystemSql, limit: number): Promise<PendingMission[]> {
  const rows = await tx<PendingRow[]>`
    select ${pendingColumns} from mana_ai.mission_snapshots missions
    where look_again_at < clock_timestamp() - interval '1 second'
    order by look_again_at limit ${limit}`;
  return rows.map(pendingMission);
}

/**
 * Notes that a mission was looked at. Without a second look at a row that was written meanwhile it would be lost.
 *
 * @param again whether it is to be looked at once more, a while later
 */
export async function markLookedAt(
  tx: SystemSql,
  mission: Pick<PendingMission, 'userId' | 'missionId' | 'rowVersion'>,
  again: boolean,
): Promise<void> {
  await tx`
    update mana_ai.mission_snapshots missions
    set look_again_at = case when ${again} then clock_timestamp() + ${postponement} end
    where user_id = ${mission.userId} and mission_id = ${mission.missionId}
      and (${again} or missions.xmin::text = ${mission.rowVersion})`;
}

/** All missions, gone ones too, one page in the order of their key. */
export async function readMissionsAfter(
  tx: SystemSql,
  after: MissionKey | null,
  limit: number,
): Promise<PendingMission[]> {
  const rows = await tx<PendingRow[]>`
    select ${pendingColumns} from mana_ai.mission_snapshots missions
    where (user_id, mission_id) > (${after?.userId ?? ''}, ${after?.missionId ?? ''})
    order by user_id, mission_id limit ${limit}`;
  return rows.map(pendingMission);
}

/** One mission, gone ones too; null where the projection has seen none of its rows. */
export async function readMissionState(tx: SystemSql, key: MissionKey): Promise<PendingMission | null> {
  const rows = await tx<PendingRow[]>`
    select ${pendingColumns} from mana_ai.mission_snapshots missions
    where user_id = ${key.userId} and mission_id = ${key.missionId}`;
  return rows.map(pendingMission)[0] ?? null;
}

/**
 * Has the missions of a user that wait for a schedule, and have none, wait no more.
 *
 * @returns how many; there may be more
 */
export async function putAsideOverLimit(sql: SystemSql, userId: string): Promise<number> {
  const rows = await sql`
    update mana_ai.mission_snapshots set applied_version = version
    where (user_id, mission_id) in (
      select user_id, mission_id from mana_ai.mission_snapshots
      where user_id = ${userId} and version <> applied_version and applied_schedule is null
      order by updated_at limit 5000)
    returning mission_id`;
  return rows.length;
}

/** Whether the log was read once from its beginning: before that, a mission without a snapshot may exist. */
export async function isProjectionComplete(tx: SystemSql): Promise<boolean> {
  const [row] = await tx<{ complete: boolean }[]>`
    select read_back_25_hours_at > '-infinity'
      and not exists (select from mana_ai.projection_backlogs where is_first_build) as complete
    from mana_ai.projection_cursor`;
  return row?.complete ?? false;
}

/**
 * Puts a mission off: one that always fails must neither keep the others waiting nor be tried all the time. One to which Temporal
 * gave no answer is put off shortly, for that is not the mission's fault, and over an outage its instant passes.
 */
export async function postponePending(
  tx: SystemSql,
  mission: MissionKey,
  how: 'shortly' | 'for a while' = 'for a while',
): Promise<void> {
  await tx`
    update mana_ai.mission_snapshots
    set updated_at = clock_timestamp() + ${how === 'shortly' ? shortPostponement : postponement}
    where user_id = ${mission.userId} and mission_id = ${mission.missionId}`;
}

/** What Temporal knows now of a mission. */
export interface Noted {
  readonly mission: Pick<PendingMission, 'userId' | 'missionId' | 'version' | 'rowVersion'>;
  readonly applied: AppliedSchedule | null;
  /** When to look whether a run has come, see `readMissionsToLookAt`; null: not at all. */
  readonly lookAgainAtMs: number | null;
}

/**
 * Notes what Temporal knows now. A change that came meanwhile has raised the version, so the mission stays pending.
 *
 * Follower, pass and reconcile may write one schedule at the same time, each with what it read. Whoever finds the row
 * written by somebody else since (`rowVersion`, the row's `xmin`), and not with the same version, cannot know whose
 * schedule was written last: the mission is pending again, and the next who applies it makes the schedule right.
 */
export async function markApplied(tx: SystemSql, { mission, applied, lookAgainAtMs }: Noted): Promise<void> {
  const { userId, missionId, version, rowVersion } = mission;
  await tx`
    update mana_ai.mission_snapshots known set ${asNoted} from (
      select ${version}::bigint as version, ${rowVersion}::text as row_version, ${jsonOf(applied)}::text::jsonb as applied,
        ${lookAgainAtMs}::float8 as look_again_at_ms
    ) noted
    where known.user_id = ${userId} and known.mission_id = ${missionId}`;
}

/**
 * The same of many at once. It waits for no row that somebody else writes, or two that write several could wait for each other.
 *
 * @returns those that were noted; of the others nothing was, and some may be gone
 */
export async function markAllApplied<Each extends Noted>(
  tx: SystemSql,
  all: readonly Each[],
): Promise<ReadonlySet<Each>> {
  const missions = all.map(({ mission }) => mission);
  const rows = await tx<{ nth: number }[]>`
    update mana_ai.mission_snapshots known set ${asNoted} from (
      select made.* from (
        select * from unnest(
          ${missions.map(({ userId }) => userId)}::text[], ${missions.map(({ missionId }) => missionId)}::text[],
          ${missions.map(({ version }) => version)}::bigint[], ${missions.map(({ rowVersion }) => rowVersion)}::text[],
          ${all.map(({ applied }) => jsonOf(applied))}::text[]::jsonb[],
          ${all.map(({ lookAgainAtMs }) => lookAgainAtMs)}::float8[]
        ) with ordinality as made (user_id, mission_id, version, row_version, applied, look_again_at_ms, nth)
        ${PLANNED_AS_FEW}
      ) made
      join mana_ai.mission_snapshots free using (user_id, mission_id)
      for update of free skip locked
    ) noted
    where known.user_id = noted.user_id and known.mission_id = noted.mission_id
    returning noted.nth::int`;
  return new Set(rows.flatMap(({ nth }) => all[nth - 1] ?? []));
}

const jsonOf = (applied: AppliedSchedule | null): string | null =>
  applied === null ? null : JSON.stringify(applied);

const isSure = sql`(known.xmin::text = noted.row_version or known.applied_version = noted.version)`;

const asNoted = sql`
  applied_version = case when ${isSure} then noted.version else 0 end,
  applied_schedule = case when ${isSure} then noted.applied end,
  look_again_at = to_timestamp(noted.look_again_at_ms / 1000)`;

/** Notes that nothing can be written about a mission: its instants up to now are not started again. */
export async function putMissionAside(tx: UserTransaction, missionId: string): Promise<void> {
  await tx`
    insert into mana_ai.missions_put_aside (user_id, mission_id, put_aside_at)
    values (${tx.userId}, ${missionId}, clock_timestamp())
    on conflict (user_id, mission_id) do update set put_aside_at = excluded.put_aside_at`;
}
