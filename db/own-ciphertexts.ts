import type { UserTransaction } from './client.ts';
import type { RecordRef } from './sync-changes.ts';

/**
 * Finds those of a record's ciphertexts that stand in another record of the user as well, now or in an earlier row: no
 * device makes the same ciphertext twice, so somebody without the key copied it. Only one text stands for the same bytes, see
 * `decodeBase64`: a copy cannot be written otherwise and still open.
 *
 * Looked for once for each ciphertext, in one pass over the user's rows that row-level security shows: a second for some
 * 300,000 rows. The answer is kept while the record holds the ciphertext.
 *
 * @param record in whose fields the ciphertexts stand now
 */
export async function ciphertextsElsewhere(
  tx: UserTransaction,
  record: RecordRef,
  ciphertexts: readonly string[],
): Promise<ReadonlySet<string>> {
  const known = await tx<{ ciphertext: string; elsewhere: boolean | null }[]>`
    select ciphertext, elsewhere from unnest(${[...ciphertexts]}::text[]) as held (ciphertext)
    left join mana_ai.own_ciphertexts known on user_id = ${tx.userId} and table_name = ${record.table}
      and record_id = ${record.recordId} and sha256 = sha256(convert_to(ciphertext, 'UTF8'))`;
  const unknown = known.filter(({ elsewhere }) => elsewhere === null).map(({ ciphertext }) => ciphertext);
  const found = unknown.length === 0 ? [] : await lookElsewhere(tx, record, unknown);
  if (unknown.length > 0) keep(tx, record, { ciphertexts, unknown, found });
  return new Set([
    ...found,
    ...known.filter(({ elsewhere }) => elsewhere === true).map(({ ciphertext }) => ciphertext),
  ]);
}

async function lookElsewhere(
  tx: UserTransaction,
  record: RecordRef,
  ciphertexts: readonly string[],
): Promise<string[]> {
  // Dotted leaves stand at the top of a row's data; whole objects hold no encrypted field.
  const rows = await tx<{ ciphertext: string }[]>`
    select distinct jsonb_path_query(
      data, '$.* ? (@ == $wanted[*])', jsonb_build_object('wanted', to_jsonb(${[...ciphertexts]}::text[]))
    ) #>> '{}' as ciphertext
    from public.sync_changes
    where user_id = ${tx.userId} and not (table_name = ${record.table} and record_id = ${record.recordId})`;
  return rows.map(({ ciphertext }) => ciphertext);
}

function keep(
  tx: UserTransaction,
  record: RecordRef,
  looked: {
    readonly ciphertexts: readonly string[];
    readonly unknown: readonly string[];
    readonly found: readonly string[];
  },
): void {
  tx.ahead`
    delete from mana_ai.own_ciphertexts
    where user_id = ${tx.userId} and table_name = ${record.table} and record_id = ${record.recordId}
      and sha256 not in (
        select sha256(convert_to(ciphertext, 'UTF8')) from unnest(${[...looked.ciphertexts]}::text[]) as held (ciphertext)
      )`;
  tx.ahead`
    insert into mana_ai.own_ciphertexts (user_id, table_name, record_id, sha256, elsewhere)
    select ${tx.userId}, ${record.table}, ${record.recordId}, sha256(convert_to(ciphertext, 'UTF8')),
      ciphertext = any(${[...looked.found]}::text[])
    from unnest(${[...looked.unknown]}::text[]) as held (ciphertext)
    on conflict (user_id, table_name, record_id, sha256) do nothing`;
}
