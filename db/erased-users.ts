import type { SystemSql } from './client.ts';
import type { Transaction } from './transaction.ts';

/**
 * Users who were erased. That none of their rows comes back is the database's own rule (migration `erased_users`), and a
 * transaction as one of them is refused (`Database.asUser`); this is for whoever works for many users at a time.
 */

/** Whether a user was erased. What is begun on a "no" may go on afterwards: the command waits for it. */
export async function isErased(tx: SystemSql, userId: string): Promise<boolean> {
  const [row] = await tx<{ erased: boolean }[]>`select mana_ai.is_erased(${userId}) as erased`;
  return row?.erased === true;
}

export interface ErasedAmong {
  /** For good. */
  readonly erased: ReadonlySet<string>;
  /** Being entered at this moment: it may yet be broken off, and then nothing was erased. */
  readonly entering: ReadonlySet<string>;
}

/**
 * Which of these users were erased or are being entered as such. None of the others will be before the transaction has ended.
 * `mana_ai.is_erased` says yes to both; under its own lock it says so of those alone who were entered.
 */
export async function erasedAmong(tx: Transaction, userIds: readonly string[]): Promise<ErasedAmong> {
  const users = [...new Set(userIds)];
  if (users.length === 0) return { erased: new Set(), entering: new Set() };
  const rows = await tx<{ userId: string; state: 'erased' | 'entering' | null }[]>`
    select user_id as "userId", case
      when not pg_try_advisory_xact_lock_shared(
        hashtextextended(json_build_array('erasing', user_id)::text, 0)) then 'entering'
      when mana_ai.is_erased(user_id) then 'erased' end as state
    from unnest(${users}::text[]) as users (user_id)`;
  const inState = (wanted: string): Set<string> =>
    new Set(rows.flatMap(({ userId, state }) => (state === wanted ? [userId] : [])));
  return { erased: inState('erased'), entering: inState('entering') };
}

/**
 * Enters a user as erased, for good. It waits for the transactions under way that were told that the user was not; those that
 * ask meanwhile are told so. Commit it before the rows are deleted.
 */
export async function enterErasedUser(tx: Transaction, userId: string): Promise<void> {
  await tx`select mana_ai.enter_erased_user(${userId})`;
}

/** Deletes all rows of a user who was entered. @returns how many of each table that had some */
export async function eraseUserRows(tx: Transaction, userId: string): Promise<ReadonlyMap<string, number>> {
  const rows = await tx<{ table: string; count: number }[]>`
    select erased_from::text as table, erased_rows::float8 as count from mana_ai.erase_user_rows(${userId})`;
  return new Map(rows.map(({ table, count }) => [table, count]));
}
