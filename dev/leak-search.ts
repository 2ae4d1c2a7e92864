import { existsSync, readFileSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { withClient } from './platform-schema.ts';

/** Something that must hold no plaintext, as bytes. */
export interface Place {
  readonly name: string;
  readonly content: Buffer;
}

export interface Leak {
  readonly where: string;
  /** Which of the searched texts, by their index: a report of leaks must not be one. */
  readonly found: readonly number[];
}

/**
 * Searches places for texts and keys, in all forms in which they could have been written down.
 *
 * @param needles long enough not to occur by chance: texts of 16 characters, keys of 16 bytes, or more
 */
export function findLeaks(places: readonly Place[], needles: readonly (string | Buffer)[]): Leak[] {
  const forms = needles.map(searchedForms);
  return places
    .map(({ name, content }) => ({
      where: name,
      found: forms.flatMap((of, index) => (of.some((form) => content.includes(form)) ? [index] : [])),
    }))
    .filter(({ found }) => found.length > 0);
}

/** As it is, as base64 and as the hex form of a bytea column. */
function searchedForms(needle: string | Buffer): Buffer[] {
  const bytes = typeof needle === 'string' ? Buffer.from(needle, 'utf8') : needle;
  // Base64 depends on where in a group of three the text begins; the middle of each form stays the same.
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    return Buffer.from(encoded.slice(4, -4));
  });
  return [bytes, Buffer.from(bytes.toString('hex')), ...base64];
}

/** Files that exist; a log that nobody wrote to may be missing. */
export const filePlaces = (name: string, files: readonly string[]): Place[] =>
  files.filter(existsSync).map((file) => ({ name, content: readFileSync(file) }));

/** The development server's database with what stands in its write-ahead log only. */
export const temporalDatabasePlaces = (file: string): Place[] =>
  filePlaces("Temporal's database", [file, `${file}-wal`]);

/** All histories of a namespace in the server's own encoding, payloads included as they are stored. */
export async function historyPlace(client: Client): Promise<Place> {
  const { History } = proto.temporal.api.history.v1;
  const encoded: Uint8Array[] = [];
  for await (const { workflowId, runId } of client.workflow.list()) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    encoded.push(History.encode(history).finish());
  }
  return { name: 'workflow histories', content: Buffer.concat(encoded) };
}

/**
 * Every row of a database's tables as text; bytea columns come as hex.
 *
 * @param condition on pg_tables, in SQL
 */
export const tablesPlace = (name: string, superuserUrl: string, condition: string): Promise<Place> =>
  withClient(superuserUrl, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_catalog.pg_tables where ${condition}`,
    );
    const texts: string[] = [];
    for (const table of tables) {
      const { rows } = await client.query<{ row: string }>(`select t::text as row from ${table.name} t`);
      texts.push(...rows.map(({ row }) => row));
    }
    return { name, content: Buffer.from(texts.join('\n')) };
  });
