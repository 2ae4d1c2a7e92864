import { escapeIdentifier, type Client } from 'pg';
import { type MigrationFile, MigrationRefusedError } from './files.ts';

/**
 * Runs the files that have not been run yet, each in a transaction with the row that says so. The lock is the caller's.
 *
 * @param schema holds the bookkeeping, table `migrations`; both are made where they are missing
 * @returns the files that were run
 * @throws MigrationRefusedError, before anything is run, for a file that was edited after it had been run; Error that names
 *   the file that PostgreSQL refused: what the files before it did stays
 */
export async function runFiles(
  client: Client,
  schema: string,
  files: readonly MigrationFile[],
): Promise<MigrationFile[]> {
  const table = `${escapeIdentifier(schema)}.migrations`;
  const hashes = await readBookkeeping(client, schema, table);
  const edited = files.filter(({ id, hash }) => (hashes.get(id) ?? hash) !== hash);
  if (edited.length > 0) {
    throw new MigrationRefusedError(
      `${edited.map(({ fileName }) => fileName).join(', ')}: edited after it had been run; undo that, and write a new file`,
    );
  }
  const missing = files.filter(({ id }) => !hashes.has(id));
  for (const file of missing) await runFile(client, table, file);
  return missing;
}

async function readBookkeeping(client: Client, schema: string, table: string): Promise<Map<number, string>> {
  const { rows: found } = await client.query<{ hasSchema: boolean; hasTable: boolean }>(
    `select to_regnamespace($1) is not null as "hasSchema", to_regclass($2) is not null as "hasTable"`,
    [escapeIdentifier(schema), table],
  );
  // Asked first: "if not exists" needs the right to create schemas even where there is nothing to create.
  if (found[0]?.hasSchema !== true) await client.query(`create schema ${escapeIdentifier(schema)}`);
  if (found[0]?.hasTable !== true) {
    await client.query(
      `create table ${table} (
         id integer primary key,
         name varchar(100) unique not null,
         hash varchar(40) not null,
         executed_at timestamp default current_timestamp
       )`,
    );
  }
  const { rows } = await client.query<{ id: number; hash: string }>(`select id, hash from ${table}`);
  return new Map(rows.map(({ id, hash }) => [id, hash]));
}

async function runFile(client: Client, table: string, file: MigrationFile): Promise<void> {
  const { fileName, id, name, sql, hash, inTransaction } = file;
  try {
    if (inTransaction) await client.query('begin');
    await client.query(sql);
    await client.query(`insert into ${table} (id, name, hash) values ($1, $2, $3)`, [id, name, hash]);
    if (inTransaction) await client.query('commit');
  } catch (cause) {
    if (inTransaction) await client.query('rollback').catch(() => undefined);
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${fileName}: ${text}`, { cause });
  }
}
