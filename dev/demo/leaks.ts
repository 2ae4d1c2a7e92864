import { existsSync, readFileSync } from 'node:fs';
import proto from '@temporalio/proto';
import type { Client } from 'pg';
import { withClient } from '../platform-schema.ts';
import type { Stack } from '../stack.ts';

export interface Leak {
  readonly where: string;
  readonly count: number;
}

/**
 * Searches everything that must hold no plaintext: workflow histories as the server stores them, Temporal's database
 * file, all logs, and every table of ours.
 *
 * @param texts must be long enough not to occur by chance
 */
export async function findLeaks(stack: Stack, texts: readonly string[]): Promise<Leak[]> {
  const needles = texts.flatMap(searchedForms);
  const places: [string, Buffer][] = [
    ['workflow histories', await histories(stack)],
    ...[stack.temporalDatabaseFile, `${stack.temporalDatabaseFile}-wal`]
      .filter(existsSync)
      .map((file): [string, Buffer] => [`Temporal's database`, readFileSync(file)]),
    ...stack.logFiles
      .filter(existsSync)
      .map((file): [string, Buffer] => [`log ${file.split('/').at(-1) ?? file}`, readFileSync(file)]),
    ['tables of schema mana_ai', await ownTables(stack.databases.superuser.syncUrl)],
  ];
  return places
    .map(([where, haystack]) => ({
      where,
      count: needles.filter((needle) => haystack.includes(needle)).length,
    }))
    .filter((leak) => leak.count > 0);
}

/** As UTF-8, as base64 and as the hex form of a bytea column: all ways in which a text could be written down. */
const searchedForms = (text: string): Buffer[] => {
  const bytes = Buffer.from(text, 'utf8');
  // Base64 depends on where in a group of three the text begins; the middle of each form stays the same.
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    return Buffer.from(encoded.slice(4, -4));
  });
  return [bytes, Buffer.from(bytes.toString('hex')), ...base64];
};

/** All histories in the server's own encoding, payloads included as they are stored. */
async function histories({ client }: Stack): Promise<Buffer> {
  const { History } = proto.temporal.api.history.v1;
  const encoded: Uint8Array[] = [];
  for await (const { workflowId, runId } of client.workflow.list()) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    encoded.push(History.encode(history).finish());
  }
  return Buffer.concat(encoded);
}

/** Every row of every table as text; bytea columns come as hex. */
const ownTables = (superuserUrl: string): Promise<Buffer> =>
  withClient(superuserUrl, async (client: Client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_catalog.pg_tables where schemaname = 'mana_ai'`,
    );
    const texts: string[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} t`);
      texts.push(...rows.map(({ row }) => row));
    }
    return Buffer.from(texts.join('\n'));
  });
