import { DatabaseError } from 'pg';
import type { SystemSql } from './client.ts';
import { sql, type Fragment } from './sql.ts';
import type { Transaction } from './transaction.ts';
import type { ChangeRow } from '#domain/wire/rows.ts';
import type { RowHead } from '#domain/projection/page-shares.ts';

/** Names a record of a user; only missions and agents are followed. */
export interface FollowedRecord {
  readonly table: 'aiMissions' | 'agents';
  readonly userId: string;
  readonly recordId: string;
}

/** A row of the change log that is not read yet, and whose record it changes. */
export interface FollowedHead extends RowHead, FollowedRecord {}

/**
 * A row of the change log as far as the projection looks at it: all its fields by name, the values of those that a
 * snapshot depends on and `true` for all others.
 */
export interface FollowedChange extends ChangeRow, FollowedRecord {
  readonly spaceId: string | null;
  /** What was too large to be read: the array of iterations, or the whole row. */
  readonly unread: 'nothing' | 'iterations' | 'row';
}

/** The last row of a page, and how far back its read-back began. */
export interface PageEnd {
  readonly backMs: number;
  /** ISO 8601 with microseconds. */
  readonly createdAt: string;
  readonly id: string;
}

type LogPosition = Pick<PageEnd, 'createdAt' | 'id'>;

/** Ids of the web app have some 36 characters; our index on user and record takes 2704 bytes for both together. */
export const LONGEST_RECORD_ID = 500;
/** Of the text that is read of one; longer ones are no space. */
const LONGEST_SPACE_ID = 201;

const isoMicros = (column: Fragment) =>
  sql`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/**
 * What a row may hold, without reading it: stored sizes are known, and what was compressed counts four times. Text of
 * missions shrinks to a quarter at most; what shrinks more was made for it, and meets the limits of `readChanges`.
 */
const estimatedBytes = sql`
  (coalesce(pg_column_size(data), 0) * case when pg_column_compression(data) is null then 1 else 4 end
    + coalesce(pg_column_size(field_meta), 0)
      * case when pg_column_compression(field_meta) is null then 1 else 4 end)::float8`;

const headColumns = sql`
  changes.id, table_name as "table", user_id as "userId", left(record_id, ${LONGEST_RECORD_ID + 1}) as "recordId",
  ${isoMicros(sql`changes.created_at`)} as "createdAt", ${estimatedBytes} as bytes`;

/** The predicate repeats that of our partial index: under row-level security a query without it scans the whole log. */
const isFollowed = sql`app_id = 'ai' and table_name in ('aiMissions', 'agents')`;

const isNotProjected = sql`
  not exists (select from mana_ai.projected_changes projected where projected.change_id = changes.id)`;

const isBehind = (after: LogPosition) => sql`
  (changes.created_at, changes.id) > (${after.createdAt}::text::timestamptz, ${after.id}::uuid)`;

/**
 * Rows of missions and agents that became visible and were not projected yet, but for those of users who have turns of
 * their own.
 *
 * @param readUntil see `ProjectionCursor`
 * @param backMs how far to read back: rows become visible out of order
 * @param after the row to go on behind
 */
export async function readNewHeads(
  tx: Transaction,
  { readUntil, backMs }: { readonly readUntil: string; readonly backMs: number },
  limit: number,
  after: LogPosition | null = null,
): Promise<FollowedHead[]> {
  return await tx<FollowedHead[]>`
    select ${headColumns} from public.sync_changes changes
    where ${isFollowed}
      and changes.created_at >= ${readUntil}::text::timestamptz - ${backMs}::float8 * interval '1 millisecond'
      and ${isNotProjected}
      and not exists (select from mana_ai.projection_backlogs backlogs where backlogs.user_id = changes.user_id)
      ${after === null ? sql`` : sql`and ${isBehind(after)}`}
    order by changes.created_at, changes.id
    limit ${limit}`;
}

/** What a follower has to do. */
export interface ProjectionWork {
  /** Rows that `readNewHeads` would find, that are read in turns, or that a page has left behind. */
  readonly rows: boolean;
  /** Schedules that are out of date, postponed ones too. */
  readonly schedules: boolean;
  /** Milliseconds until the next healing is due, negative where one is; null where none is asked for. */
  readonly healInMs: number | null;
  /** The same of the missions that are looked at behind their instants. */
  readonly lookAgainInMs: number | null;
  /** See `Database.visibleTransactions`: of those that this was read from. */
  readonly visible: string;
}

/** Whether there is something to do: one statement and nothing else while there is not. */
export async function readProjectionWork(system: SystemSql, backMs: number): Promise<ProjectionWork> {
  const inMs = (at: Fragment) => sql`extract(epoch from ${at} - clock_timestamp())::float8 * 1000`;
  const [work] = await system<ProjectionWork[]>`
    select
      exists (select from mana_ai.projection_backlogs)
        or exists (select from mana_ai.projection_cursor where page_end_id is not null)
        or exists (
        select from public.sync_changes changes
        where ${isFollowed}
          and changes.created_at >= (
            select least(read_until, clock_timestamp()) - ${backMs}::float8 * interval '1 millisecond'
            from mana_ai.projection_cursor)
          and ${isNotProjected}) as rows,
      exists (select from mana_ai.mission_snapshots where version <> applied_version) as schedules,
      ${inMs(sql`(select min(heal_at) from mana_ai.mission_snapshots)`)} as "healInMs",
      ${inMs(sql`(select min(look_again_at) from mana_ai.mission_snapshots)`)} as "lookAgainInMs",
      pg_current_snapshot()::text as visible`;
  if (work === undefined) throw new TypeError('a select without a table gave no row');
  return work;
}

/** A user whose rows are read in turns. */
export interface Backlog {
  readonly userId: string;
  readonly after: LogPosition;
}

/** The user whose turn it is; null where all rows are read with everybody's. */
export async function nextBacklog(tx: SystemSql): Promise<Backlog | null> {
  const [row] = await tx<(LogPosition & { readonly userId: string })[]>`
    select user_id as "userId", ${isoMicros(sql`after_at`)} as "createdAt", after_id as id
    from mana_ai.projection_backlogs order by turn_at limit 1`;
  return row === undefined ? null : { userId: row.userId, after: { createdAt: row.createdAt, id: row.id } };
}

/** The next rows of such a user. */
export async function readBacklogHeads(
  tx: Transaction,
  { userId, after }: Backlog,
  limit: number,
): Promise<FollowedHead[]> {
  return await tx<FollowedHead[]>`
    select ${headColumns} from public.sync_changes changes
    where ${isFollowed} and user_id = ${userId} and ${isNotProjected} and ${isBehind(after)}
    order by changes.created_at, changes.id
    limit ${limit}`;
}

/** Rows of such a user that became visible behind its last turn, as far back as rows are late at all. */
export async function readLateHeads(
  tx: Transaction,
  { userId }: Backlog,
  { readUntil }: { readonly readUntil: string },
  limit: number,
): Promise<FollowedHead[]> {
  return await tx<FollowedHead[]>`
    select ${headColumns} from public.sync_changes changes
    where ${isFollowed} and user_id = ${userId} and ${isNotProjected}
      and changes.created_at >= ${readUntil}::text::timestamptz - interval '25 hours'
    order by changes.created_at, changes.id
    limit ${limit}`;
}

/** Has the further rows of users read in turns of their own, behind the last that was read with everybody's. */
export async function beginBacklogs(
  tx: Transaction,
  backlogs: ReadonlyMap<string, LogPosition>,
): Promise<void> {
  if (backlogs.size === 0) return;
  const positions = [...backlogs.values()];
  await tx`
    insert into mana_ai.projection_backlogs (user_id, after_at, after_id, is_first_build)
    select begun.*, (select read_back_25_hours_at = '-infinity' from mana_ai.projection_cursor)
    from unnest(${[...backlogs.keys()]}::text[], ${positions.map(({ createdAt }) => createdAt)}::text[]::timestamptz[],
      ${positions.map(({ id }) => id)}::uuid[]) as begun
    on conflict (user_id) do nothing`;
}

/** Notes how far a user's turn came. */
export async function endTurn(tx: Transaction, userId: string, end: LogPosition): Promise<void> {
  await tx`
    update mana_ai.projection_backlogs
    set after_at = ${end.createdAt}::text::timestamptz, after_id = ${end.id}::uuid, turn_at = clock_timestamp()
    where user_id = ${userId}`;
}

/** The user's rows are read with everybody's again. */
export async function endBacklog(tx: Transaction, userId: string): Promise<void> {
  await tx`delete from mana_ai.projection_backlogs where user_id = ${userId}`;
}

/** Of one value that a snapshot depends on, iterations excepted. Larger ones count as unreadable. */
const MAX_VALUE_BYTES = 2_000;
/** Of an array of iterations. */
const MAX_ITERATIONS_BYTES = 4_000_000;
/** Of everything else that is kept of a row: the names of its fields. */
const MAX_FIELDS_BYTES = 200_000;
/** Of all rows that are read at once; the first one is read in any case. */
const MAX_READ_BYTES = 8_000_000;

const isShort = (bytes: number) => sql`octet_length(value::text) <= ${bytes}::int`;

/** What of one field's value is read; see `FollowedChange`. What a snapshot takes as absent may be anything absent. */
const followedValue = sql`
  case
    when key = 'iterations' then
      case when jsonb_typeof(value) <> 'array' then 'null' when ${isShort(MAX_ITERATIONS_BYTES)} then value else 'true' end
    when key = 'grant' then case when value = 'null' then value else 'true' end
    when key = 'deletedAt' then case when ${isShort(MAX_VALUE_BYTES)} then value else 'true' end
    when key = 'cadence' and jsonb_typeof(value) = 'object' then
      (select coalesce(jsonb_object_agg(parts.key, parts.value), '{}') from jsonb_each(value) parts
        where parts.key in ('kind', 'everyMinutes', 'atHour', 'atMinute', 'dayOfWeek', 'expression')
          and octet_length(parts.value::text) <= ${MAX_VALUE_BYTES}::int)
    when key in ('state', 'nextRunAt', 'agentId', 'cancelRequested', 'createdAt', 'updatedAt') or key like 'cadence%' then
      case when ${isShort(MAX_VALUE_BYTES)} then value when jsonb_typeof(value) = 'array' then '[]' else 'null' end
    else 'true'
  end`;

/**
 * Reads rows as far as the projection looks at them, in the order of the log, and no more than fits into this process:
 * rows behind that are left out. All of it is cut in the database.
 */
export async function readChanges(tx: SystemSql, ids: readonly string[]): Promise<FollowedChange[]> {
  if (ids.length === 0) return [];
  return await tx<FollowedChange[]>`
    with followed as materialized (
      select changes.id, table_name, user_id, left(record_id, ${LONGEST_RECORD_ID + 1}) as record_id, op, client_id,
        left(space_id, ${LONGEST_SPACE_ID}) as space_id, created_at,
        case when jsonb_typeof(data) = 'object' then
          (select coalesce(jsonb_object_agg(key, ${followedValue}), '{}') from jsonb_each(data)) end as data,
        case when jsonb_typeof(field_meta) = 'object' then
          (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(field_meta)
            where octet_length(value::text) <= 70 and jsonb_typeof(data) = 'object' and data ? key) end as field_meta
      from public.sync_changes changes
      where changes.id = any(${ids}::uuid[]) and ${isFollowed}
    ), measured as materialized (
      select *, coalesce(octet_length(data::text), 0) + coalesce(octet_length(field_meta::text), 0) as bytes,
        coalesce(octet_length((data -> 'iterations')::text), 0) as iterations_bytes
      from followed
    ), fitting as (
      select *, bytes - iterations_bytes > ${MAX_FIELDS_BYTES}::int as is_too_large,
        sum(bytes) over (order by created_at, id) - bytes as bytes_before
      from measured
    )
    select id, table_name as "table", user_id as "userId", record_id as "recordId", op, client_id as "clientId",
      space_id as "spaceId",
      ${isoMicros(sql`created_at`)} as "createdAt",
      case when not is_too_large then data end as data,
      case when not is_too_large then field_meta end as "fieldMeta",
      case when is_too_large then 'row' when data -> 'iterations' = 'true' then 'iterations' else 'nothing' end as unread
    from fitting where bytes_before + bytes <= ${MAX_READ_BYTES}::int or bytes_before = 0
    order by created_at, id`;
}

/** Of the shape of the table, of our rights or of the connection's statements: it says so of each row. */
const OF_NO_ROW = /^(?:0A|26|42)/;

/** Whether what `readChanges` threw may be a row's fault, by what it holds or by its size. */
export const mayBeOfRow = (error: unknown): boolean =>
  error instanceof DatabaseError && !OF_NO_ROW.test(error.code ?? '');

/** The newest rows of one record, in the order of the log. */
export async function readHeadsOfRecord(
  tx: SystemSql,
  { table, userId, recordId }: FollowedRecord,
  limit: number,
): Promise<FollowedHead[]> {
  const heads = await tx<FollowedHead[]>`
    select ${headColumns} from public.sync_changes changes
    where ${isFollowed} and table_name = ${table} and user_id = ${userId} and record_id = ${recordId}
    order by changes.created_at desc, changes.id desc
    limit ${limit}`;
  return heads.toReversed();
}

/** The newest rows of a mission's record in a shared space, whoever wrote them, in the order of the log. */
export async function readHeadsInSpace(
  tx: SystemSql,
  { recordId, spaceId }: { readonly recordId: string; readonly spaceId: string },
  limit: number,
): Promise<FollowedHead[]> {
  const heads = await tx<FollowedHead[]>`
    select ${headColumns} from public.sync_changes changes
    where ${isFollowed} and table_name = 'aiMissions' and record_id = ${recordId} and space_id = ${spaceId}
    order by changes.created_at desc, changes.id desc
    limit ${limit}`;
  return heads.toReversed();
}
