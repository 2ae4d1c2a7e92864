import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { escapeIdentifier, type Client as DatabaseClient } from 'pg';
import { inject } from 'vitest';
import { withClient } from '#dev/platform-schema.ts';

type Row = Readonly<Record<string, unknown>>;

/** A statement as superuser, who sees every row. */
export const query = (url: string, text: string, values: readonly unknown[] = []): Promise<Row[]> =>
  withClient(url, async (client) => (await client.query<Row>(text, [...values])).rows);

/** How many rows of one table meet a condition. */
export async function countRows(
  url: string,
  table: string,
  where: string,
  values: readonly unknown[] = [],
): Promise<number> {
  const [row] = await query(url, `select count(*)::int as count from ${table} where ${where}`, values);
  return Number(row?.['count']);
}

/** `<schema>.<table>: <needle>` for each table that holds one of the texts anywhere, also inside bytes. */
export const tablesWith = (url: string, needles: readonly string[]): Promise<string[]> =>
  withClient(url, async (client) => {
    const found: string[] = [];
    for (const table of await tablesOf(client)) {
      for (const needle of needles) {
        const { rowCount } = await client.query(
          `select from ${table} as searched
            where strpos(searched::text, $1) > 0 or strpos(searched::text, $2) > 0 limit 1`,
          [needle, Buffer.from(needle).toString('hex')],
        );
        if (rowCount !== 0) found.push(`${table.replaceAll('"', '')}: ${needle}`);
      }
    }
    return found;
  });

async function tablesOf(client: DatabaseClient): Promise<string[]> {
  const { rows } = await client.query<{ schema: string; name: string }>(
    `select table_schema as schema, table_name as name from information_schema.tables
      where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`,
  );
  return rows.map(({ schema, name }) => `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`);
}

/** The history of every workflow of the namespace as the server keeps it, payloads undecoded. */
export async function rawHistories(client: Client): Promise<Map<string, unknown>> {
  const histories = new Map<string, unknown>();
  for await (const { workflowId, runId } of client.workflow.list()) {
    histories.set(
      `${workflowId}/${runId}`,
      await client.workflow.getHandle(workflowId, runId).fetchHistory(),
    );
  }
  return histories;
}

/** Which of the texts stand anywhere in a value: in texts, keys and bytes. */
export const textsIn = (value: unknown, needles: readonly string[]): string[] =>
  needles.filter((needle) => holds(value, needle));

function holds(value: unknown, needle: string): boolean {
  if (typeof value === 'string') return value.includes(needle);
  if (value instanceof Uint8Array) return Buffer.from(value).includes(needle);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]) => key.includes(needle) || holds(item, needle));
}

/** Everything that the servers of this run have logged so far. */
export const serverLogs = (): string[] =>
  readdirSync(inject('serverLogDirectory'))
    .filter((name) => name.endsWith('.log'))
    .map((name) => readFileSync(join(inject('serverLogDirectory'), name), 'utf8'));
