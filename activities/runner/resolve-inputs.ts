import type { RunScope } from './run-scope.ts';
import { isEncryptedValue } from '#crypto/field-value.ts';
import { unsealRecord } from '#crypto/sealed-record.ts';
import type { UserTransaction } from '#db/client.ts';
import type { LargeValues, StoredRow } from '#db/record-rows.ts';
import { readSealedRows, type SealedRow } from '#db/run-storage.ts';
import { readRowsOfRecords, readTimeBlockRows, recordKey } from '#db/sync-changes.ts';
import { eventTimes } from '#domain/wire/event-times.ts';
import { mergeRecord } from '#domain/change-log/field-merge.ts';
import { parseGrant } from '#domain/wire/grant.ts';
import { inputModuleOfTable, type InputModule } from '#domain/wire/input-modules.ts';
import type { Mission, MissionInput } from '#domain/wire/mission.ts';
import {
  renderInput,
  type ResolvedInput,
  type UnreadableInput,
} from '#domain/planner/prompt/prompt-inputs.ts';
import type { ReadableRecord, UnreadableReason } from '#domain/run/run-inputs.ts';
import { countPutAside } from '#metrics/put-aside.ts';
import { recordsInScope } from '#domain/grant/sealable-records.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Decrypted fields of sealed records, by `recordKey`. */
export type OpenedRecords = ReadonlyMap<string, Fields>;

/** What was sealed for a run, as far as it opens. */
export interface Unsealed {
  readonly records: OpenedRecords;
  /** Sealed under another key than the grant's: the master key has changed since the grant was issued. */
  readonly unopened: readonly SealedRef[];
  /** What was not asked for, and stayed closed. */
  readonly left: readonly SealedRef[];
}

type SealedRef = Pick<SealedRow, 'table' | 'recordId'>;

/**
 * Opens what was sealed for this run, whose key is the grant's.
 *
 * @param tables whose records are wanted; null for all
 */
export async function unsealInputs(
  { tx, run, key: mdk }: RunScope,
  tables: readonly string[] | null = null,
): Promise<Unsealed> {
  const records = new Map<string, Fields>();
  const unopened: SealedRef[] = [];
  const left: SealedRef[] = [];
  for (const row of await readSealedRows(tx, run.runId, tables)) {
    const context = {
      userId: tx.userId,
      missionId: run.missionId,
      runId: run.runId,
      table: row.table,
      recordId: row.recordId,
    };
    const ref = { table: row.table, recordId: row.recordId };
    if (row.sealed === null) {
      left.push(ref);
      continue;
    }
    const fields = unsealRecord(mdk, context, row.sealed);
    if (fields === null) unopened.push(ref);
    else records.set(recordKey(row.table, row.recordId), fields);
  }
  return { records, unopened, left };
}

export interface ResolvedInputs {
  readonly inputs: readonly ResolvedInput[];
  readonly unreadableInputs: readonly UnreadableInput[];
  /** The readable inputs, and the further records that the grant covers. */
  readonly records: readonly ReadableRecord[];
}

/** What a mission may read, as its rows make it. */
interface StoredInputs {
  readonly granted: readonly MissionInput[];
  readonly wanted: readonly MissionInput[];
  /** The first of those that are too many. */
  readonly firstLeftOut: MissionInput | undefined;
  readonly stored: ReadonlyMap<string, StoredRecord>;
}

/** Reads the mission's inputs and, with a usable grant, the further records of its scope. */
export async function readInputs(
  tx: UserTransaction,
  mission: Mission,
  { isGranted, large }: { readonly isGranted: boolean; readonly large: LargeValues },
): Promise<StoredInputs> {
  const granted = isGranted ? grantedRecords(mission) : [];
  const named = distinct(mission.inputs);
  const [firstLeftOut] = named.slice(MAX_INPUTS);
  const wanted = distinct([...named.slice(0, MAX_INPUTS), ...granted]);
  return { granted, wanted, firstLeftOut, stored: await readStored(tx, wanted, large) };
}

/**
 * Puts what was opened into what was read.
 *
 * @param opened null for a run without a usable grant
 */
export function resolveInputs(
  mission: Mission,
  { granted, wanted, firstLeftOut, stored }: StoredInputs,
  opened: OpenedRecords | null,
): ResolvedInputs {
  const scope = new Set(granted.map(keyOf));
  const inputKeys = new Set(mission.inputs.map(keyOf));
  const inputs: ResolvedInput[] = [];
  const unreadableInputs: UnreadableInput[] = [];
  const records: ReadableRecord[] = [];
  for (const input of wanted) {
    const found = stored.get(keyOf(input)) ?? { problem: 'unknown-kind' };
    const isInput = inputKeys.has(keyOf(input));
    if ('problem' in found) {
      if (isInput) unreadableInputs.push({ ...input, reason: found.problem });
      continue;
    }
    const { module } = found;
    const fields = { ...found.fields, ...opened?.get(keyOf(input)) };
    const closed = module.encryptedFields.filter((field) => isEncryptedValue(fields[field]));
    if (closed.length > 0 && isInput) {
      const reason =
        opened === null ? 'no-grant' : scope.has(keyOf(input)) ? 'undecryptable' : 'out-of-scope';
      unreadableInputs.push({ ...input, reason });
    }
    const readable = withoutCiphertext(fields);
    if (presentFields(module, readable) === 0) continue;
    records.push({ ...input, fields: readable });
    if (isInput) inputs.push(renderInput(module, input, readable));
  }
  if (firstLeftOut !== undefined) unreadableInputs.push({ ...firstLeftOut, reason: 'too-many' });
  return { inputs, unreadableInputs, records };
}

/**
 * Which records a run may read, as `resolveInputs` finds them, where what stands in them is not needed.
 *
 * @param opened keys of those that were sealed and do open
 */
export const recordsOf = (
  { wanted, stored }: Pick<StoredInputs, 'wanted' | 'stored'>,
  opened: ReadonlySet<string>,
): MissionInput[] =>
  wanted.filter((input) => {
    const found = stored.get(keyOf(input));
    if (found === undefined || 'problem' in found) return false;
    return opened.has(keyOf(input)) || presentFields(found.module, withoutCiphertext(found.fields)) > 0;
  });

/** As many as a grant may name; the prompt has room for a part of them. */
const MAX_INPUTS = 1_000;

/** What the grant names besides the mission and its agent, under the names that inputs have. */
const grantedRecords = (mission: Mission): MissionInput[] => {
  const grant = parseGrant(mission.grant);
  if (grant === null) return [];
  return recordsInScope(grant.derivation, mission.id, null).flatMap(({ table, recordId }) => {
    const module = inputModuleOfTable(table);
    return module === null ? [] : { module: module.name, table, id: recordId };
  });
};

type StoredRecord =
  | { readonly module: InputModule; readonly fields: Fields }
  | {
      readonly problem: Extract<
        UnreadableReason,
        'missing' | 'not-synced' | 'deleted' | 'unknown-kind' | 'too-large'
      >;
    };

/** The user's own records as their rows make them, by `recordKey`. */
async function readStored(
  tx: UserTransaction,
  wanted: readonly MissionInput[],
  large: LargeValues,
): Promise<ReadonlyMap<string, StoredRecord>> {
  const known = wanted.flatMap((input) => {
    const module = inputModuleOfTable(input.table);
    return module === null ? [] : { input, module };
  });
  const refs = known.map(({ input, module }) => ({
    appId: module.appId,
    table: module.table,
    recordId: input.id,
  }));
  const rows = await readRowsOfRecords(tx, refs, large);
  const stored = new Map<string, StoredRecord>();
  for (const { input, module } of known) {
    stored.set(keyOf(input), storedRecord(module, input.id, rows.get(keyOf(input)) ?? []));
  }
  return withEventTimes(tx, stored);
}

function storedRecord(module: InputModule, id: string, rows: readonly StoredRow[]): StoredRecord {
  if (rows.length === 0) return { problem: module.isSynced ? 'missing' : 'not-synced' };
  if (rows.some(({ tooLarge }) => tooLarge.length > 0)) {
    countPutAside('input');
    return { problem: 'too-large' };
  }
  const merged = mergeRecord(id, rows);
  return merged === null ? { problem: 'deleted' } : { module, fields: merged.record };
}

/** Puts the times of events into their fields: they stand in a record of their own (docs/platform.md section 2). */
async function withEventTimes(
  tx: UserTransaction,
  stored: ReadonlyMap<string, StoredRecord>,
): Promise<ReadonlyMap<string, StoredRecord>> {
  const blockIds = [...stored.values()].flatMap((record) => timeBlockId(record) ?? []);
  const rows = await readTimeBlockRows(tx, blockIds);
  return new Map(
    [...stored].map(([key, record]) => {
      const blockId = timeBlockId(record);
      if ('problem' in record || blockId === null) return [key, record];
      const block = mergeRecord(blockId, rows.get(blockId) ?? []);
      const times = block === null ? {} : eventTimes(block.record);
      return [key, { ...record, fields: { ...record.fields, ...times } }];
    }),
  );
}

function timeBlockId(record: StoredRecord): string | null {
  if ('problem' in record || record.module.table !== 'events') return null;
  const id = record.fields['timeBlockId'];
  return typeof id === 'string' && id !== '' ? id : null;
}

const keyOf = (input: MissionInput): string => recordKey(input.table, input.id);

/** A mission may name a record twice, as `tasks` and as `todo`; the first name counts. */
function distinct(inputs: readonly MissionInput[]): MissionInput[] {
  const byKey = new Map<string, MissionInput>();
  for (const input of inputs) if (!byKey.has(keyOf(input))) byKey.set(keyOf(input), input);
  return [...byKey.values()];
}

const presentFields = (module: InputModule, fields: Fields): number =>
  [...module.encryptedFields, ...module.plainFields].filter(
    (field) => (fields[field.split('.')[0] ?? field] ?? null) !== null,
  ).length;

const withoutCiphertext = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEncryptedValue(value)));
