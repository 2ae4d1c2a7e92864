import type { UserTransaction } from './client.ts';
import type { UserId } from '../domain/ids.ts';

/** What a run keeps in Postgres between its activities. All of it is ciphertext or ids, and `forget…` deletes it. */

export interface SealedRow {
  readonly table: string;
  readonly recordId: string;
  readonly sealed: Buffer;
}

export async function readSealedRows(
  tx: UserTransaction,
  userId: UserId,
  runId: string,
): Promise<SealedRow[]> {
  return await tx<SealedRow[]>`
    select table_name as table, record_id as "recordId", sealed from mana_ai.sealed_inputs
    where user_id = ${userId} and run_id = ${runId}`;
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

export interface TranscriptRow {
  readonly round: number;
  readonly entry: Buffer;
}

export async function readTranscript(
  tx: UserTransaction,
  userId: UserId,
  iterationId: string,
): Promise<TranscriptRow[]> {
  return await tx<TranscriptRow[]>`
    select round, entry from mana_ai.run_transcripts
    where user_id = ${userId} and iteration_id = ${iterationId} order by round`;
}

/** @returns false when this round is stored already: the earlier reply counts, because it was paid for */
export async function storeTranscriptEntry(
  tx: UserTransaction,
  userId: UserId,
  row: TranscriptRow & { readonly iterationId: string; readonly missionId: string },
): Promise<boolean> {
  const rows = await tx`
    insert into mana_ai.run_transcripts (user_id, iteration_id, round, mission_id, entry)
    values (${userId}, ${row.iterationId}, ${row.round}, ${row.missionId}, ${row.entry})
    on conflict (user_id, iteration_id, round) do nothing
    returning round`;
  return rows.length > 0;
}

/** Rounds from `fromRound` on: they can no longer be opened, or continue a conversation that can't. */
export async function deleteTranscriptFrom(
  tx: UserTransaction,
  userId: UserId,
  iterationId: string,
  fromRound: number,
): Promise<void> {
  await tx`
    delete from mana_ai.run_transcripts
    where user_id = ${userId} and iteration_id = ${iterationId} and round >= ${fromRound}`;
}

export async function readRunKey(
  tx: UserTransaction,
  userId: UserId,
  iterationId: string,
): Promise<Buffer | null> {
  const [row] = await tx<{ wrappedKey: Buffer }[]>`
    select wrapped_key as "wrappedKey" from mana_ai.run_keys
    where user_id = ${userId} and iteration_id = ${iterationId}`;
  return row?.wrappedKey ?? null;
}

/** @returns false when there is one already: what it encrypts must stay readable */
export async function storeRunKey(
  tx: UserTransaction,
  userId: UserId,
  key: { readonly iterationId: string; readonly missionId: string; readonly wrappedKey: Buffer },
): Promise<boolean> {
  const rows = await tx`
    insert into mana_ai.run_keys (user_id, iteration_id, mission_id, wrapped_key)
    values (${userId}, ${key.iterationId}, ${key.missionId}, ${key.wrappedKey})
    on conflict (user_id, iteration_id) do nothing
    returning iteration_id`;
  return rows.length > 0;
}

export async function deleteRunKey(tx: UserTransaction, userId: UserId, iterationId: string): Promise<void> {
  await tx`delete from mana_ai.run_keys where user_id = ${userId} and iteration_id = ${iterationId}`;
}

/** A note that a run keeps besides its rounds; there is one of each kind. */
export type RunNoteKind = 'research' | 'compaction';

export async function readRunNote(
  tx: UserTransaction,
  userId: UserId,
  iterationId: string,
  kind: RunNoteKind,
): Promise<Buffer | null> {
  const [row] = await tx<{ entry: Buffer }[]>`
    select entry from mana_ai.run_notes
    where user_id = ${userId} and iteration_id = ${iterationId} and kind = ${kind}`;
  return row?.entry ?? null;
}

/** Puts a note in the place of an earlier one. */
export async function replaceRunNote(
  tx: UserTransaction,
  userId: UserId,
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
    where user_id = ${userId} and iteration_id = ${iterationId} and kind = ${kind}`;
  // Of two attempts at once the first one's note stays: both say the same.
  await tx`
    insert into mana_ai.run_notes (user_id, iteration_id, kind, mission_id, entry)
    values (${userId}, ${iterationId}, ${kind}, ${note.missionId}, ${note.entry})
    on conflict (user_id, iteration_id, kind) do nothing`;
}

/**
 * Deletes everything that runs of a mission left behind: sealed records, kept grants, transcripts, run keys, notes, research. Whoever
 * holds the mission's slot may call it, for then every other run of the mission is over.
 *
 * That a deep task was submitted is remembered for two days (ids and a state, no content): a run that was terminated and
 * swept may come again for the same instant, and must not submit, and have its user pay, a second time.
 */
export async function forgetMissionStorage(
  tx: UserTransaction,
  userId: UserId,
  missionId: string,
): Promise<void> {
  await tx`delete from mana_ai.sealed_inputs where user_id = ${userId} and mission_id = ${missionId}`;
  await tx`delete from mana_ai.run_grants where user_id = ${userId} and mission_id = ${missionId}`;
  await tx`delete from mana_ai.run_transcripts where user_id = ${userId} and mission_id = ${missionId}`;
  await tx`delete from mana_ai.run_keys where user_id = ${userId} and mission_id = ${missionId}`;
  await tx`delete from mana_ai.run_notes where user_id = ${userId} and mission_id = ${missionId}`;
  await tx`
    delete from mana_ai.research_tasks where user_id = ${userId} and mission_id = ${missionId}
      and (kind = 'shallow' or created_at < clock_timestamp() - interval '2 days')`;
}
