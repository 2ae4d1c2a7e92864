import { parseInstantMicros } from '#domain/base/instant.ts';
import { isNestedTooDeep } from '#domain/base/json.ts';
import type { ChangeRow } from '#domain/wire/rows.ts';

export interface MergedRecord {
  readonly record: Record<string, unknown>;
  /** The time of the winning write of each field, under the name it was written by: `state`, `cadence.atHour`. */
  readonly fieldTimesMicros: ReadonlyMap<string, bigint>;
}

/** Where a write stands: field time, then the row's `created_at`, then the row's id. The last one wins. */
export interface Position {
  readonly timeMicros: bigint;
  readonly createdAtMicros: bigint;
  readonly rowId: string;
}

export interface FieldWrite {
  readonly position: Position;
  /** As named in the row, dots included. */
  readonly field: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

type RowEffect =
  | { readonly kind: 'removal'; readonly position: Position }
  | {
      readonly kind: 'insert' | 'change';
      readonly position: Position;
      readonly writes: readonly FieldWrite[];
    };

type JsonObject = Readonly<Record<string, unknown>>;

/** Before every instant that can be read: a row whose `created_at` is unreadable loses against all others. */
const BEFORE_ALL_MICROS = -(10n ** 18n);

/** No object of the web app is nested like this; without a limit one hostile name could exhaust a reader's stack. */
const MAX_PATH_LENGTH = 32;

/** Assigning these, or writing below them, could reach `Object.prototype`; no table has such fields. */
const UNSAFE_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * All that decides a record, whatever else its rows held: the latest write of each field name, the latest removal, and the
 * latest write of any insert. Each of these is a maximum, so rows may be taken in one by one, in any order and more than
 * once, and a state that was kept takes in new rows without the old ones.
 */
export interface MergeState {
  /** Whether any row, a removal excepted, speaks of the record. */
  readonly isKnown: boolean;
  readonly removal: Position | null;
  /** The latest write of any insert: a record that was removed is back if this is later. */
  readonly insert: Position | null;
  /** By field name, dots included. */
  readonly writes: ReadonlyMap<string, FieldWrite>;
}

export const EMPTY_MERGE_STATE: MergeState = {
  isKnown: false,
  removal: null,
  insert: null,
  writes: new Map(),
};

/**
 * Merges the change rows of one record, field by field, last writer wins (docs/platform.md section 1 "Merge rule",
 * `test/vectors/lww.json`). The order and the repetition of rows play no part.
 *
 * Where the contract leaves room:
 * - Rows with an unknown op, and inserts and updates whose data is no object, are passed over.
 * - A record that a `delete` without `deletedAt` removed stays away until an _insert_ later than the removal; then all
 *   writes later than the removal count. A mere update (of a device that did not know) does not bring it back.
 * - A dotted name into null, nothing or a scalar makes an object of it. One into an array is passed over: arrays
 *   always come whole, and a stray leaf must not cost the user the array.
 * - A value that nests deeper than `MAX_NESTING` counts as null.
 *
 * @param rows all rows of this record of one user, not mutated; values are shared with the result, not copied
 * @returns null if the record is unknown or deleted; never throws on malformed rows
 */
export const mergeRecord = (recordId: string, rows: readonly ChangeRow[]): MergedRecord | null =>
  recordOf(recordId, takeInRows(EMPTY_MERGE_STATE, rows));

/**
 * The state with some more rows in it.
 *
 * @param keep what to keep of a write, or null for nothing; it must answer alike for the same field and value
 */
export function takeInRows(
  state: MergeState,
  rows: readonly ChangeRow[],
  keep: (write: FieldWrite) => FieldWrite | null = (write) => write,
): MergeState {
  let { isKnown, removal, insert } = state;
  const writes = new Map(state.writes);
  for (const effect of rows.map(effectOfRow)) {
    if (effect === null) continue;
    if (effect.kind === 'removal') {
      removal = laterOf(removal, effect.position);
      continue;
    }
    isKnown = true;
    if (effect.kind === 'insert') {
      insert = [effect, ...effect.writes].reduce((latest, { position }) => laterOf(latest, position), insert);
    }
    for (const write of effect.writes) keepLatest(writes, keep(write));
  }
  return { isKnown, removal, insert, writes };
}

function keepLatest(writes: Map<string, FieldWrite>, write: FieldWrite | null): void {
  if (write === null) return;
  const stored = writes.get(write.field);
  if (stored === undefined || comparePositions(write.position, stored.position) > 0) {
    writes.set(write.field, write);
  }
}

const laterOf = (latest: Position | null, position: Position): Position =>
  latest === null || comparePositions(position, latest) > 0 ? position : latest;

/**
 * The record that a state stands for.
 *
 * @returns null if it is unknown or deleted
 */
export function recordOf(recordId: string, state: MergeState): MergedRecord | null {
  const standing = standingRecordOf(recordId, state);
  if (standing === null || standing.isDeleted) return null;
  const { record, fieldTimesMicros } = standing;
  return { record, fieldTimesMicros };
}

/** A record, or what a tombstone lies on: an update that leaves `deletedAt` alone does not bring it back. */
export interface StandingRecord extends MergedRecord {
  readonly isDeleted: boolean;
}

/** @returns null if the record is unknown or was removed without a tombstone */
export function standingRecordOf(recordId: string, state: MergeState): StandingRecord | null {
  if (!exists(state)) return null;
  const record: Record<string, unknown> = { id: recordId };
  const fieldTimesMicros = new Map<string, bigint>();
  const copies = new Set<object>();
  for (const write of winningWrites(state)) {
    if (writeAt(record, write, copies)) fieldTimesMicros.set(write.field, write.position.timeMicros);
  }
  return { record, fieldTimesMicros, isDeleted: (record['deletedAt'] ?? null) !== null };
}

const exists = ({ isKnown, removal, insert }: MergeState): boolean =>
  removal === null ? isKnown : insert !== null && comparePositions(insert, removal) > 0;

/** The writes of one row with their times, as the merge reads them; none for a removal and for a row it passes over. */
export function writesOfRow(row: ChangeRow): readonly FieldWrite[] {
  const effect = effectOfRow(row);
  return effect === null || effect.kind === 'removal' ? [] : effect.writes;
}

/**
 * The stored time of a field, in microseconds: the latest write of the field itself, of a leaf below it, or of an
 * object that holds it. A writer takes max(now, this + 1 ms) (docs/platform.md section 1). Null if nobody wrote it.
 */
export function fieldTimeMicros(merged: MergedRecord, field: string): bigint | null {
  let latest: bigint | null = null;
  for (const [written, timeMicros] of merged.fieldTimesMicros) {
    const concerns = written === field || written.startsWith(`${field}.`) || field.startsWith(`${written}.`);
    if (concerns && (latest === null || timeMicros > latest)) latest = timeMicros;
  }
  return latest;
}

/**
 * Every write of one whole field that counts, the winning one last: `mergeRecord` keeps that one only, and healing looks
 * for what the others held (docs/architecture.md section 4). Writes from before the record's removal are not among them.
 */
export function writesOfField(
  rows: readonly ChangeRow[],
  field: string,
): { readonly row: ChangeRow; readonly value: unknown }[] {
  const { removal } = takeInRows(EMPTY_MERGE_STATE, rows);
  return rows
    .flatMap((row) => writesOfRow(row).map((write) => ({ row, write })))
    .filter(({ write }) => write.field === field)
    .filter(({ write }) => removal === null || comparePositions(write.position, removal) > 0)
    .sort((left, right) => comparePositions(left.write.position, right.write.position))
    .map(({ row, write }) => ({ row, value: write.value }));
}

function effectOfRow(row: ChangeRow): RowEffect | null {
  const data = asObject(row.data);
  if (row.op === 'delete') return effectOfDelete(row, data);
  if (data === null) return null;
  if (row.op === 'update') return effectOfChange('change', row, data, createdAtMicros(row));
  if (row.op !== 'insert') return null;
  const insertMicros =
    parseInstantMicros(ownValue(data, 'updatedAt')) ??
    parseInstantMicros(ownValue(data, 'createdAt')) ??
    createdAtMicros(row);
  return effectOfChange('insert', row, data, insertMicros);
}

/** With a readable `deletedAt` a tombstone at that time, else the removal of the record at `created_at`. */
function effectOfDelete(row: ChangeRow, data: JsonObject | null): RowEffect {
  const deletedAt = ownValue(data ?? {}, 'deletedAt');
  const deletedAtMicros = parseInstantMicros(deletedAt);
  if (deletedAtMicros === null) return { kind: 'removal', position: positionOf(row, createdAtMicros(row)) };
  const position = positionOf(row, deletedAtMicros);
  const tombstone = { position, field: 'deletedAt', path: ['deletedAt'], value: deletedAt };
  return { kind: 'change', position, writes: [tombstone] };
}

function effectOfChange(
  kind: 'insert' | 'change',
  row: ChangeRow,
  data: JsonObject,
  defaultMicros: bigint,
): RowEffect {
  const fieldMeta = asObject(row.fieldMeta) ?? {};
  const position = positionOf(row, defaultMicros);
  const writes: FieldWrite[] = [];
  for (const [field, value] of Object.entries(data)) {
    const path = pathOf(field);
    if (path === null) continue;
    const timeMicros = parseInstantMicros(ownValue(fieldMeta, field));
    writes.push({
      position: timeMicros === null ? position : { ...position, timeMicros },
      field,
      path,
      value: isNestedTooDeep(value) ? null : value,
    });
  }
  return { kind, position, writes };
}

/** Null for names that are never written: the record's id, unsafe ones, and nesting beyond the limit. */
function pathOf(field: string): readonly string[] | null {
  const path = field.split('.', MAX_PATH_LENGTH + 1);
  const isWritable =
    path.length <= MAX_PATH_LENGTH && path[0] !== 'id' && !path.some((name) => UNSAFE_NAMES.has(name));
  return isWritable ? path : null;
}

/** The writes that decide the record, in the order in which they apply; at most one per field name. */
function winningWrites({ removal, writes }: MergeState): readonly FieldWrite[] {
  // Where the latest write of a field is gone with the removal, so are the earlier ones.
  const survive = [...writes.values()].filter(
    ({ position }) => removal === null || comparePositions(position, removal) > 0,
  );
  return survive.filter((write) => !isReplacedByParent(write, writes)).sort(compareWrites);
}

/** A whole object written later replaces the leaves written before it. */
function isReplacedByParent(write: FieldWrite, latest: ReadonlyMap<string, FieldWrite>): boolean {
  for (let length = 1; length < write.path.length; length += 1) {
    const parent = latest.get(write.path.slice(0, length).join('.'));
    if (parent !== undefined && compareWrites(parent, write) > 0) return true;
  }
  return false;
}

/**
 * Writes one value into the record; false if an array is in the way.
 *
 * @param copies objects made during this merge. All others belong to the rows and are copied before a leaf is
 *   written into them, one level deep, so that neither rows nor large arrays are ever touched.
 */
function writeAt(record: Record<string, unknown>, write: FieldWrite, copies: Set<object>): boolean {
  let target = record;
  for (const name of write.path.slice(0, -1)) {
    const child = ownValue(target, name);
    if (Array.isArray(child)) return false;
    const existing = asObject(child);
    const next: Record<string, unknown> =
      existing !== null && copies.has(existing) ? existing : { ...existing };
    copies.add(next);
    target[name] = next;
    target = next;
  }
  const leaf = write.path.at(-1);
  if (leaf === undefined) return false;
  target[leaf] = write.value;
  return true;
}

const positionOf = (row: ChangeRow, timeMicros: bigint): Position => ({
  timeMicros,
  createdAtMicros: createdAtMicros(row),
  rowId: row.id,
});

const createdAtMicros = (row: ChangeRow): bigint => parseInstantMicros(row.createdAt) ?? BEFORE_ALL_MICROS;

const compare = <T extends bigint | string>(left: T, right: T): number =>
  left < right ? -1 : left > right ? 1 : 0;

/** Which of two writes of a field wins: positive for the left one. */
export const comparePositions = (left: Position, right: Position): number =>
  compare(left.timeMicros, right.timeMicros) ||
  compare(left.createdAtMicros, right.createdAtMicros) ||
  compare(left.rowId, right.rowId);

/** Within one row and time an object comes before its leaves, because its name is their prefix. */
const compareWrites = (left: FieldWrite, right: FieldWrite): number =>
  comparePositions(left.position, right.position) || compare(left.field, right.field);

const asObject = (value: unknown): JsonObject | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;

const ownValue = (object: JsonObject, name: string): unknown =>
  Object.hasOwn(object, name) ? object[name] : undefined;
