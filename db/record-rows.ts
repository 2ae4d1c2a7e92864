import type { UserTransaction } from './client.ts';
import type { Fragment } from './sql.ts';
import { CIPHERTEXT_PREFIX } from '#domain/base/ciphertext.ts';
import {
  EMPTY_MERGE_STATE,
  takeInRows,
  writesOfField,
  type ChangeRow,
} from '#domain/change-log/field-merge.ts';
import { RUNNER_CLIENT_ID } from '#domain/iteration/iterations.ts';
import { MAX_ROW_BYTES } from '#domain/projection/page-shares.ts';

/**
 * A row of a record's history. A value that another row's replaces may be `true` in its place: only what stands now is
 * read, however often it was sent before.
 */
export interface StoredRow extends ChangeRow {
  readonly spaceId: string | null;
  /** Fields whose values stand and are too large to be read, null in their places; `*` where it is not known which. */
  readonly tooLarge: readonly string[];
}

export interface StoredRowOfRecord extends StoredRow {
  readonly table: string;
  readonly recordId: string;
}

/** Values up to this size, as JSON text, are read with their rows; larger ones only where they stand. */
const SMALL_BYTES = 200;
/** Of the rows of a reading, newest first, without their large values. */
const MAX_ROWS = 30_000;
const MAX_ROWS_BYTES = 16_000_000;
/** Of all large values of a record that stand, and of a reading. */
const MAX_RECORD_BYTES = 8_000_000;
const MAX_READ_BYTES = 16_000_000;

/**
 * Which large values are read: ciphertext, which only the vault opens, what is in clear, or neither. Ciphertext that is left out
 * leaves its prefix, another value `true`: what is there, and what of it is ciphertext, can be told all the same.
 */
export type LargeValues = 'ciphertext' | 'clear' | 'none';

/** As it is read: `large` has the sizes of the values that were left out. */
interface SkeletonRow extends Omit<StoredRowOfRecord, 'tooLarge'> {
  readonly large: Readonly<Record<string, number>> | null;
  readonly isUnread: boolean;
}

/**
 * Reads rows so that merging them gives what merging all of them whole would give, but for large values that are not asked
 * for. What is sent again and again (arrays
 * come whole) leaves the database once.
 *
 * @param where of `public.sync_changes changes`, besides the user
 */
export async function readRows(
  tx: UserTransaction,
  where: Fragment,
  large: LargeValues,
): Promise<StoredRowOfRecord[]> {
  const rows = (await readSkeleton(tx, where)).toReversed();
  const byRecord = Map.groupBy(rows, ({ table, recordId }) => JSON.stringify([table, recordId]));
  const wanted = [...byRecord.values()].map(standingValues);
  let left = MAX_READ_BYTES;
  const fitting = wanted.flat().filter(({ bytes, fits }) => {
    if (!fits || bytes > left) return false;
    left -= bytes;
    return true;
  });
  const values = await readValues(tx, fitting, large);
  const isFitting = new Set(fitting);
  const tooLarge = Map.groupBy(
    wanted.flat().filter((value) => !isFitting.has(value)),
    ({ row }) => row,
  );
  return rows.map((skeleton) => {
    const { isUnread, ...row } = without(skeleton, 'large');
    const missing = (tooLarge.get(skeleton) ?? []).map(({ field }) => field);
    const found = values.get(row.id) ?? {};
    const nothing = Object.fromEntries(missing.map((field) => [field, null]));
    const data =
      isFilled(found) || missing.length > 0 ? { ...asObject(row.data), ...nothing, ...found } : row.data;
    return { ...row, data, tooLarge: isUnread ? ['*'] : missing };
  });
}

/** A copy of an object that lacks one of its fields. */
const without = <Whole extends object, Field extends PropertyKey>(
  whole: Whole,
  field: Field,
): Omit<Whole, Field> =>
  Object.fromEntries(Object.entries(whole).filter(([name]) => name !== field)) as Omit<Whole, Field>;

const isFilled = (object: object): boolean => Object.keys(object).length > 0;
const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});

/** The newest rows first, with small values only. */
const readSkeleton = (tx: UserTransaction, where: Fragment): Promise<SkeletonRow[]> => tx<SkeletonRow[]>`
  with newest as materialized (
    select id, op, client_id, space_id, table_name, record_id, created_at, data, field_meta,
      (coalesce(pg_column_size(data), 0) * case when pg_column_compression(data) is null then 1 else 4 end)
      > ${MAX_ROW_BYTES}::int as is_too_large
    from public.sync_changes changes where user_id = ${tx.userId} and ${where}
    order by created_at desc, id desc limit ${MAX_ROWS}
  ), skeleton as materialized (
    select id, op, client_id, space_id, table_name, record_id, created_at, shown.large, is_too_large,
      case when is_too_large or jsonb_typeof(newest.data) = 'object' then shown.data end as data,
      case when jsonb_typeof(field_meta) = 'object' then (
        select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(field_meta) where octet_length(value::text) <= 70
      ) end as field_meta
    from newest, lateral (
      select case when is_too_large then
          -- Its times name the fields of an update.
          (select coalesce(jsonb_object_agg(key, true), '{}') from jsonb_object_keys(
            case when jsonb_typeof(field_meta) = 'object' then field_meta else '{}' end) key)
        else coalesce(jsonb_object_agg(key, case when bytes <= ${SMALL_BYTES} then value else 'true' end), '{}') end as data,
        case when is_too_large then
          (select jsonb_object_agg(key, ${2 * MAX_RECORD_BYTES}::int) from jsonb_object_keys(
            case when jsonb_typeof(field_meta) = 'object' then field_meta else '{}' end) key)
        else jsonb_object_agg(key, bytes) filter (where bytes > ${SMALL_BYTES}) end as large
      from (
        select key, value, octet_length(value::text) as bytes
        from jsonb_each(case when not is_too_large and jsonb_typeof(data) = 'object' then data else '{}' end) offset 0
      ) fields
    ) shown
  ), measured as (
    select *, sum(coalesce(octet_length(data::text), 0) + coalesce(octet_length(field_meta::text), 0)
      + coalesce(octet_length(large::text), 0)) over (order by created_at desc, id desc) > ${MAX_ROWS_BYTES}::int as is_behind
    from skeleton
  )
  select id, op, client_id as "clientId", space_id as "spaceId", table_name as "table", record_id as "recordId",
    to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "createdAt",
    case when not is_behind then data end as data, case when not is_behind then field_meta end as "fieldMeta",
    case when not is_behind then large end as large,
    is_behind or (is_too_large and data = '{}') as "isUnread"
  from measured order by created_at desc, id desc`;

interface StandingValue {
  readonly row: SkeletonRow;
  readonly field: string;
  readonly bytes: number;
  readonly fits: boolean;
}

/** The large values of a record that stand: after all rows, and after those of devices alone. */
function standingValues(rows: readonly SkeletonRow[]): StandingValue[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const values = new Map<string, Omit<StandingValue, 'fits'>>();
  for (const some of [rows, rows.filter(({ clientId }) => clientId !== RUNNER_CLIENT_ID)]) {
    for (const { field, position } of takeInRows(EMPTY_MERGE_STATE, some).writes.values()) {
      const row = byId.get(position.rowId);
      const bytes = row?.large?.[field];
      if (row !== undefined && bytes !== undefined)
        values.set(JSON.stringify([row.id, field]), { row, field, bytes });
    }
  }
  let left = MAX_RECORD_BYTES;
  return [...values.values()]
    .sort((one, other) => one.bytes - other.bytes)
    .map((value) => {
      left -= value.bytes;
      return { ...value, fits: left >= 0 };
    });
}

/** Values by row id and field. */
async function readValues(
  tx: UserTransaction,
  wanted: readonly Pick<StandingValue, 'row' | 'field'>[],
  large: LargeValues,
): Promise<ReadonlyMap<string, Readonly<Record<string, unknown>>>> {
  if (wanted.length === 0) return new Map();
  const rows = await tx<{ id: string; field: string; value: unknown }[]>`
    select changes.id, wanted.field, case when starts_with(stored.value #>> '{}', ${CIPHERTEXT_PREFIX})
        then case when ${large === 'ciphertext'}::boolean then stored.value else to_jsonb(${CIPHERTEXT_PREFIX}::text) end
        else case when ${large === 'clear'}::boolean then stored.value else 'true' end
      end as value
    from unnest(${wanted.map(({ row }) => row.id)}::uuid[], ${wanted.map(({ field }) => field)}::text[])
      as wanted (id, field)
    join public.sync_changes changes on changes.id = wanted.id and changes.user_id = ${tx.userId}
    cross join lateral (select changes.data -> wanted.field as value offset 0) stored`;
  return new Map(
    [...Map.groupBy(rows, ({ id }) => id)].map(([id, fields]) => [
      id,
      Object.fromEntries(fields.map(({ field, value }) => [field, value])),
    ]),
  );
}

/** Arrays of a healing together: the newest first, ours and a device's among them. */
const MAX_HEALING_BYTES = 8_000_000;

/**
 * The rows with the arrays of iterations that they wrote, as far as those fit; the others as if they had written none.
 *
 * @param rows of a mission, of `readRows`
 */
export async function withIterations<Row extends StoredRow>(
  tx: UserTransaction,
  rows: readonly Row[],
): Promise<Row[]> {
  const writes = writesOfField(rows, 'iterations')
    .map(({ row }) => row)
    .toReversed();
  const [winner] = writes;
  const ofUs = writes.find(({ clientId }) => clientId === RUNNER_CLIENT_ID);
  const ofDevice = writes.find(({ clientId }) => clientId !== RUNNER_CLIENT_ID);
  const inOrder = [...new Set([winner, ofUs, ofDevice, ...writes].filter((row) => row !== undefined))];
  const found = await readIterations(
    tx,
    inOrder.map(({ id }) => id),
  );
  return rows.map((row) => {
    if (typeof row.data !== 'object' || row.data === null || !Object.hasOwn(row.data, 'iterations'))
      return row;
    const others = without(row.data, 'iterations');
    return { ...row, data: found.has(row.id) ? { ...others, iterations: found.get(row.id) } : others };
  });
}

/** Arrays of iterations by the ids of their rows, in that order as far as they fit. */
async function readIterations(
  tx: UserTransaction,
  ids: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  const rows = await tx<{ id: string; iterations: unknown }[]>`
    with found as materialized (
      select changes.id, changes.data -> 'iterations' as iterations, position
      from unnest(${ids}::uuid[]) with ordinality as wanted (id, position)
      join public.sync_changes changes on changes.id = wanted.id and changes.user_id = ${tx.userId}
      where pg_column_size(data) * case when pg_column_compression(data) is null then 1 else 4 end <= ${MAX_ROW_BYTES}::int
    ), measured as (
      select *, sum(octet_length(iterations::text)) over (order by position) as bytes from found
    )
    select id, iterations from measured where bytes <= ${MAX_HEALING_BYTES}::int`;
  return new Map(rows.map(({ id, iterations }) => [id, iterations]));
}
