import type { UserTransaction } from './client.ts';
import type { Fragment } from './sql.ts';
import { CIPHERTEXT_PREFIX } from '#domain/base/text/prompt-text.ts';
import { EMPTY_MERGE_STATE, takeInRows, writesOfField } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
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
/**
 * A mission that runs every hour has thousands of rows with its whole array. Of a reading that takes more than this where it is stored,
 * updates above the second size are not unpacked to see what is in them: their times name their fields, and sizes are asked for where a
 * value stands. A field without its time reaches no device (docs/platform.md section 1), and is passed over there.
 */
const LONG_HISTORY_BYTES = 250_000;
const PACKED_BYTES = 2_000;
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

/** As it is read: `large` has the sizes of the values that were left out, null where the row was not unpacked. */
interface SkeletonRow extends Omit<StoredRowOfRecord, 'tooLarge'> {
  readonly large: Readonly<Record<string, number | null>> | null;
  readonly isUnread: boolean;
}

/**
 * Reads rows so that merging them gives what merging all of them whole would give, but for large values that are not asked
 * for, and for `LONG_HISTORY_BYTES`. What is sent again and again (arrays come whole) leaves the database once.
 *
 * @param where of `public.sync_changes changes`, besides the user
 */
export async function readRows(
  tx: UserTransaction,
  where: Fragment,
  large: LargeValues,
): Promise<StoredRowOfRecord[]> {
  const rows = (await readMeasured(tx, where)).toReversed();
  const wanted = recordsOf(rows).map(standingValues);
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

const recordsOf = (rows: readonly SkeletonRow[]): SkeletonRow[][] => [
  ...Map.groupBy(rows, ({ table, recordId }) => JSON.stringify([table, recordId])).values(),
];

/** The newest rows first; the sizes of all large values that stand are known. */
async function readMeasured(tx: UserTransaction, where: Fragment): Promise<SkeletonRow[]> {
  const rows = await readSkeleton(tx, where, LONG_HISTORY_BYTES);
  const unmeasured = recordsOf(rows)
    .flatMap(standingFields)
    .filter(({ bytes }) => bytes === null);
  if (unmeasured.length === 0) return rows;
  const sizes = await measureValues(tx, unmeasured);
  // A time without its field: which value stands in its place is seen only by unpacking the others.
  if (sizes === null) return readSkeleton(tx, where, null);
  return rows.map((row) =>
    sizes.has(row.id)
      ? { ...row, large: { ...row.large, ...Object.fromEntries(sizes.get(row.id) ?? []) } }
      : row,
  );
}

/** Sizes of values as JSON text, by row id and field; null where one of them is not there. */
async function measureValues(
  tx: UserTransaction,
  values: readonly Pick<StandingValue, 'row' | 'field'>[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, number>> | null> {
  const measured = await tx<{ id: string; field: string; bytes: number | null }[]>`
    select changes.id, wanted.field, octet_length((changes.data -> wanted.field)::text) as bytes
    from unnest(${values.map(({ row }) => row.id)}::uuid[], ${values.map(({ field }) => field)}::text[])
      as wanted (id, field)
    join public.sync_changes changes on changes.id = wanted.id and changes.user_id = ${tx.userId}`;
  const sizes = new Map<string, Map<string, number>>();
  for (const { id, field, bytes } of measured) {
    if (bytes === null) return null;
    sizes.set(id, (sizes.get(id) ?? new Map<string, number>()).set(field, bytes));
  }
  return sizes;
}

/** A copy of an object that lacks one of its fields. */
const without = <Whole extends object, Field extends PropertyKey>(
  whole: Whole,
  field: Field,
): Omit<Whole, Field> =>
  Object.fromEntries(Object.entries(whole).filter(([name]) => name !== field)) as Omit<Whole, Field>;

const isFilled = (object: object): boolean => Object.keys(object).length > 0;
const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});

/**
 * The newest rows first, with small values only.
 *
 * @param longBytes of how many bytes a history is long; null: none is
 */
const readSkeleton = (
  tx: UserTransaction,
  where: Fragment,
  longBytes: number | null,
): Promise<SkeletonRow[]> => tx<SkeletonRow[]>`
  with newest as materialized (
    select id, op, client_id, space_id, table_name, record_id, created_at, data, field_meta,
      (coalesce(pg_column_size(data), 0) * case when pg_column_compression(data) is null then 1 else 4 end)
      > ${MAX_ROW_BYTES}::int as is_too_large,
      -- Neither looks into the value. An insert has fields without a time.
      coalesce(op = 'update' and pg_column_size(data) > ${PACKED_BYTES}::int and jsonb_typeof(field_meta) = 'object'
        and field_meta <> '{}' and sum(pg_column_size(data)) over () > ${longBytes}::bigint, false) as is_packed
    from public.sync_changes changes where user_id = ${tx.userId} and ${where}
    order by created_at desc, id desc limit ${MAX_ROWS}
  ), skeleton as materialized (
    select id, op, client_id, space_id, table_name, record_id, created_at, shown.large, is_too_large,
      case when is_too_large or is_packed or jsonb_typeof(newest.data) = 'object' then shown.data end as data,
      case when jsonb_typeof(field_meta) = 'object' then (
        select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(field_meta) where octet_length(value::text) <= 70
      ) end as field_meta
    from newest, lateral (
      select case when is_too_large or is_packed then
          -- Its times name the fields of an update.
          (select coalesce(jsonb_object_agg(key, true), '{}') from jsonb_object_keys(
            case when jsonb_typeof(field_meta) = 'object' then field_meta else '{}' end) key)
        else coalesce(jsonb_object_agg(key, case when bytes <= ${SMALL_BYTES} then value else 'true' end), '{}') end as data,
        case when is_too_large or is_packed then
          (select jsonb_object_agg(key, case when is_too_large then ${2 * MAX_RECORD_BYTES}::int end) from jsonb_object_keys(
            case when jsonb_typeof(field_meta) = 'object' then field_meta else '{}' end) key)
        else jsonb_object_agg(key, bytes) filter (where bytes > ${SMALL_BYTES}) end as large
      from (
        select key, value, octet_length(value::text) as bytes
        from jsonb_each(
          case when is_too_large or is_packed then '{}' when jsonb_typeof(data) = 'object' then data else '{}' end
        ) offset 0
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
  /** Beside those of its record that are smaller. */
  readonly fits: boolean;
}

interface UnmeasuredValue extends Pick<StandingValue, 'row' | 'field'> {
  readonly bytes: number | null;
}

/** The large values of a record that stand: after all rows, and after those of devices alone. */
function standingFields(rows: readonly SkeletonRow[]): UnmeasuredValue[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const values = new Map<string, UnmeasuredValue>();
  for (const some of [rows, rows.filter(({ clientId }) => clientId !== RUNNER_CLIENT_ID)]) {
    for (const { field, position } of takeInRows(EMPTY_MERGE_STATE, some).writes.values()) {
      const row = byId.get(position.rowId);
      const bytes = row?.large?.[field];
      if (row !== undefined && bytes !== undefined)
        values.set(JSON.stringify([row.id, field]), { row, field, bytes });
    }
  }
  return [...values.values()];
}

function standingValues(rows: readonly SkeletonRow[]): StandingValue[] {
  let left = MAX_RECORD_BYTES;
  return standingFields(rows)
    .map((value) => ({ ...value, bytes: value.bytes ?? 0 }))
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
  // One after the other, and none behind the first that does not fit: each has to be unpacked whole.
  const rows = await tx<{ id: string; iterations: unknown }[]>`
    with recursive wanted as materialized (
      select id, position from unnest(${ids}::uuid[]) with ordinality as wanted (id, position)
    ), taken (position, id, iterations, bytes) as (
      select 0::bigint, null::uuid, null::jsonb, 0::bigint
      union all
      select wanted.position, wanted.id, found.iterations,
        taken.bytes + coalesce(octet_length(found.iterations::text), 0)
      from taken join wanted on wanted.position = taken.position + 1
      left join lateral (
        select data -> 'iterations' as iterations from public.sync_changes changes
        where changes.id = wanted.id and changes.user_id = ${tx.userId}
          and pg_column_size(data) * case when pg_column_compression(data) is null then 1 else 4 end <= ${MAX_ROW_BYTES}::int
        offset 0
      ) found on true
      where taken.bytes <= ${MAX_HEALING_BYTES}::int
    )
    select id, iterations from taken where iterations is not null and bytes <= ${MAX_HEALING_BYTES}::int`;
  return new Map(rows.map(({ id, iterations }) => [id, iterations]));
}
