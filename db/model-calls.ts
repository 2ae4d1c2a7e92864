import type { IterationId, UserId } from '#domain/base/ids.ts';
import type { CallPurpose } from './budget-reservations.ts';
import type { UserTransaction } from './client.ts';
import { sql } from './sql.ts';
import type { CallFailures } from '#domain/base/errors.ts';

/** One call of the model, under the key that encrypts what is kept of it. */
export interface CallRef {
  readonly iterationId: IterationId;
  /** 8 bytes, of `transcriptKeyId`. */
  readonly keyId: Buffer;
  readonly round: number;
  readonly purpose: CallPurpose;
}

/** Ciphertext; null = not there yet. */
export interface CallRow {
  readonly request: Buffer | null;
  readonly reply: Buffer | null;
}

const rowOf = (userId: UserId, { iterationId, keyId, round, purpose }: CallRef) => sql`
  user_id = ${userId} and iteration_id = ${iterationId} and key_id = ${keyId} and round = ${round}
    and purpose = ${purpose}`;

/**
 * Makes the call's row unless it is there, and holds it until the transaction ends: of two attempts at once, the second one
 * finds the request of the first.
 */
export async function claimCall(
  tx: UserTransaction,
  call: CallRef & { readonly missionId: string },
): Promise<CallRow> {
  tx.ahead`
    insert into mana_ai.model_calls (user_id, iteration_id, key_id, round, purpose, mission_id)
    values (${tx.userId}, ${call.iterationId}, ${call.keyId}, ${call.round}, ${call.purpose}, ${call.missionId})
    on conflict (user_id, iteration_id, key_id, round, purpose) do nothing`;
  const [row] = await tx<CallRow[]>`
    select request, reply from mana_ai.model_calls where ${rowOf(tx.userId, call)} for update`;
  if (row === undefined) throw new Error('the row of a call was deleted while it was claimed');
  return row;
}

/**
 * Holds the call's row until the transaction ends, where it is there. Whoever settles what a call has reserved, and writes into its
 * row, takes the row first, as `claimCall` does: two attempts of one round must not wait for each other.
 */
export function holdCall(tx: UserTransaction, call: CallRef): void {
  tx.ahead`select from mana_ai.model_calls where ${rowOf(tx.userId, call)} for update`;
}

export function storeRequest(tx: UserTransaction, call: CallRef, request: Buffer): void {
  tx.ahead`update mana_ai.model_calls set request = ${request} where ${rowOf(tx.userId, call)}`;
}

/**
 * Stores the reply unless an earlier attempt did: that one was paid for first.
 *
 * @returns the reply that stands; null when the run was forgotten meanwhile
 */
export async function storeReply(tx: UserTransaction, call: CallRef, reply: Buffer): Promise<Buffer | null> {
  const [row] = await tx<{ reply: Buffer | null }[]>`
    update mana_ai.model_calls set reply = coalesce(reply, ${reply}) where ${rowOf(tx.userId, call)}
    returning reply`;
  return row?.reply ?? null;
}

/**
 * Stores what was made of the reply unless an earlier attempt did.
 *
 * @returns false when one did, or the run was forgotten
 */
export async function storeEntry(tx: UserTransaction, call: CallRef, entry: Buffer): Promise<boolean> {
  const rows = await tx`
    update mana_ai.model_calls set entry = ${entry} where ${rowOf(tx.userId, call)} and entry is null
    returning round`;
  return rows.length > 0;
}

/** Whether an attempt has kept a reply to the call. */
export async function hasReply(tx: UserTransaction, call: CallRef): Promise<boolean> {
  const rows = await tx`
    select from mana_ai.model_calls where ${rowOf(tx.userId, call)} and reply is not null`;
  return rows.length > 0;
}

/** Counts a call that brought no reply; null when the run was forgotten. */
export async function countFailure(
  tx: UserTransaction,
  call: CallRef,
  isRefusal: boolean,
): Promise<CallFailures | null> {
  const [row] = await tx<CallFailures[]>`
    update mana_ai.model_calls set failures = failures + 1, refusals = refusals + ${isRefusal ? 1 : 0}
    where ${rowOf(tx.userId, call)} returning failures, refusals, unreadable`;
  return row ?? null;
}

/**
 * Takes a reply back that held nothing to read: the next call is another one, so it has another request.
 *
 * @param isCompletion it was a model's, and so was paid for
 * @returns null when somebody else did, or the run was forgotten
 */
export async function discardReply(
  tx: UserTransaction,
  call: CallRef,
  request: Buffer,
  isCompletion: boolean,
): Promise<CallFailures | null> {
  const [row] = await tx<CallFailures[]>`
    update mana_ai.model_calls set request = ${request}, reply = null, failures = failures + 1,
      unreadable = unreadable + ${isCompletion ? 1 : 0}
    where ${rowOf(tx.userId, call)} and reply is not null and entry is null
    returning failures, refusals, unreadable`;
  return row ?? null;
}

export interface EntryRow {
  readonly round: number;
  readonly entry: Buffer;
}

/**
 * What the rounds of an iteration came to under this key, by round; rounds of runs that began before calls were kept come
 * after those of the same number, and may be another key's.
 */
export async function readEntries(
  tx: UserTransaction,
  iterationId: string,
  keyId: Buffer,
): Promise<EntryRow[]> {
  // Not as bytes, which PostgreSQL sends as twice as many hexadecimal digits.
  const rows = await tx<{ round: number; base64: string }[]>`
    select round, encode(entry, 'base64') as base64 from (
      select round, entry, 1 as place from mana_ai.model_calls
      where user_id = ${tx.userId} and iteration_id = ${iterationId} and key_id = ${keyId} and purpose = 'plan'
        and entry is not null
      union all
      select round, entry, 2 from mana_ai.run_transcripts
      where user_id = ${tx.userId} and iteration_id = ${iterationId}
    ) as known order by round, place`;
  return rows.map(({ round, base64 }) => ({ round, entry: Buffer.from(base64, 'base64') }));
}

/** Whether anything is kept of the iteration, under whatever key. */
export async function hasCalls(tx: UserTransaction, iterationId: string): Promise<boolean> {
  const rows = await tx`
    select 1 from mana_ai.model_calls where user_id = ${tx.userId} and iteration_id = ${iterationId}
    union all
    select 1 from mana_ai.run_transcripts where user_id = ${tx.userId} and iteration_id = ${iterationId}
    limit 1`;
  return rows.length > 0;
}
