import type { UserTransaction } from './client.ts';
import { sql } from './sql.ts';

/** What a run keeps in Postgres between its activities. All of it is ciphertext or ids, and `forget…` deletes it. */

export interface SealedRow {
  readonly table: string;
  readonly recordId: string;
  /** Null where it was not asked for. */
  readonly sealed: Buffer | null;
}

/** @param tables whose records are wanted; of others it is only said that they were sealed. Null for all */
export async function readSealedRows(
  tx: UserTransaction,
  runId: string,
  tables: readonly string[] | null,
): Promise<SealedRow[]> {
  // Not as bytes, which PostgreSQL sends as twice as many hexadecimal digits.
  const rows = await tx<{ table: string; recordId: string; base64: string | null }[]>`
    select table_name as table, record_id as "recordId",
      case when ${tables === null}::boolean or table_name = any(${tables ?? []}::text[]) then encode(sealed, 'base64') end
        as base64
    from mana_ai.sealed_inputs where user_id = ${tx.userId} and run_id = ${runId}`;
  return rows.map(({ table, recordId, base64 }) => ({
    ...{ table, recordId },
    sealed: base64 === null ? null : Buffer.from(base64, 'base64'),
  }));
}

/**
 * Writes into the audit which sealed rows of this run did not open here, each once in an iteration. The database takes only
 * rows that are there (migration `run_grants`).
 */
export async function auditUnopened(
  tx: UserTransaction,
  run: { readonly runId: string; readonly iterationId: string },
  unopened: readonly Pick<SealedRow, 'table' | 'recordId'>[],
): Promise<void> {
  if (unopened.length === 0) return;
  const [tables, records] = [unopened.map(({ table }) => table), unopened.map(({ recordId }) => recordId)];
  await tx`
    select mana_ai.audit_unopened(${run.runId}, ${run.iterationId}, ${tables}::text[], ${records}::text[])`;
}

/** Who replaces the key waits until our transaction has ended, and then sees what it has encrypted. */
export async function readRunKey(tx: UserTransaction, iterationId: string): Promise<Buffer | null> {
  const [row] = await tx<{ wrappedKey: Buffer }[]>`
    select wrapped_key as "wrappedKey" from mana_ai.run_keys
    where user_id = ${tx.userId} and iteration_id = ${iterationId} for update`;
  return row?.wrappedKey ?? null;
}

/** Stores a key unless there is one: what that one encrypts must stay readable. */
export async function insertRunKey(
  tx: UserTransaction,
  key: { readonly iterationId: string; readonly missionId: string; readonly wrappedKey: Buffer },
): Promise<void> {
  await tx`
    insert into mana_ai.run_keys (user_id, iteration_id, mission_id, wrapped_key)
    values (${tx.userId}, ${key.iterationId}, ${key.missionId}, ${key.wrappedKey})
    on conflict (user_id, iteration_id) do nothing`;
}

/** Puts a key in the place of the one that was read, if that one still stands. */
export async function replaceRunKey(
  tx: UserTransaction,
  iterationId: string,
  keys: { readonly from: Buffer; readonly to: Buffer },
): Promise<void> {
  await tx`
    update mana_ai.run_keys set wrapped_key = ${keys.to}
    where user_id = ${tx.userId} and iteration_id = ${iterationId} and wrapped_key = ${keys.from}`;
}

/** A note that a run keeps besides its rounds; there is one of each kind. */
export type RunNoteKind = 'research' | 'compaction';

export async function readRunNote(
  tx: UserTransaction,
  iterationId: string,
  kind: RunNoteKind,
): Promise<Buffer | null> {
  const [row] = await tx<{ entry: Buffer }[]>`
    select entry from mana_ai.run_notes
    where user_id = ${tx.userId} and iteration_id = ${iterationId} and kind = ${kind}`;
  return row?.entry ?? null;
}

/** Puts a note in the place of an earlier one. */
export async function replaceRunNote(
  tx: UserTransaction,
  note: {
    readonly iterationId: string;
    readonly missionId: string;
    readonly kind: RunNoteKind;
    readonly entry: Buffer;
  },
): Promise<void> {
  const { iterationId, kind } = note;
  await tx`
    delete from mana_ai.run_notes
    where user_id = ${tx.userId} and iteration_id = ${iterationId} and kind = ${kind}`;
  // Of two attempts at once the first one's note stays: both say the same.
  await tx`
    insert into mana_ai.run_notes (user_id, iteration_id, kind, mission_id, entry)
    values (${tx.userId}, ${iterationId}, ${kind}, ${note.missionId}, ${note.entry})
    on conflict (user_id, iteration_id, kind) do nothing`;
}

/**
 * Lets go of what a run holds and deletes everything that runs of its mission left behind: sealed records, kept grants, calls of the
 * model, run keys, notes, research. Only where it holds the mission's slot: then every other run of the mission is over.
 *
 * That a deep task was submitted is remembered for two days (ids and a state, no content): a run that was terminated and
 * swept may come again for the same instant, and must not submit, and have its user pay, a second time.
 */
export function releaseAndForget(
  tx: UserTransaction,
  { missionId, runId }: { readonly missionId: string; readonly runId: string },
): void {
  // One statement, and nobody waits for it: every run ends with it.
  const ofMission = sql`
    where user_id = ${tx.userId} and mission_id = ${missionId} and exists (select from released)`;
  tx.ahead`
    with released as (
        delete from mana_ai.run_slots
        where user_id = ${tx.userId} and mission_id = ${missionId} and run_id = ${runId} returning run_id
      ), sealed as (delete from mana_ai.sealed_inputs ${ofMission}),
      grants as (delete from mana_ai.run_grants ${ofMission}),
      calls as (delete from mana_ai.model_calls ${ofMission}),
      transcripts as (delete from mana_ai.run_transcripts ${ofMission}),
      keys as (delete from mana_ai.run_keys ${ofMission}),
      notes as (delete from mana_ai.run_notes ${ofMission})
    delete from mana_ai.research_tasks ${ofMission}
      and (kind = 'shallow' or created_at < clock_timestamp() - interval '2 days')`;
}
