import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { withClient } from '#dev/platform-schema.ts';
import type { Asked } from '#test/checker/facts.ts';

/** What a part of the suite leaves: its missions are made up, so that nothing of it is anybody's. */
export async function keepTraces(
  folder: string,
  left: { readonly files: readonly string[]; readonly asked: readonly Asked[]; readonly syncUrl: string },
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const keep = (name: string, rows: readonly unknown[]): void =>
    writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  for (const file of left.files.filter((name) => existsSync(name)))
    copyFileSync(file, join(folder, basename(file)));
  keep('gateway.jsonl', left.asked);
  await withClient(left.syncUrl, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_catalog.pg_tables
       where schemaname in ('mana_ai', 'public')`,
    );
    for (const { name } of tables)
      keep(`${name}.jsonl`, (await client.query<object>(`select * from ${name}`)).rows);
  });
}
