import { Client } from 'pg';
import { compareWithManifest, type Manifest, type SchemaDifferences } from './manifest.ts';

/**
 * Compares schemas of one database with what the migrations make. Needs no right but to connect.
 *
 * @throws errors of the driver
 */
export async function schemaDifferences(
  url: string,
  schemas: readonly (keyof Manifest)[],
  timeoutMs: number,
): Promise<ReadonlyMap<keyof Manifest, SchemaDifferences>> {
  const client = new Client({
    connectionString: url,
    application_name: 'mana-missions-doctor',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    // Names are printed with their schemas only where the search path does not lead to them.
    await client.query('begin read only; set local search_path to pg_catalog');
    const found = new Map<keyof Manifest, SchemaDifferences>();
    for (const schema of schemas) {
      found.set(schema, await compareWithManifest(client, schema, import.meta.dirname));
    }
    await client.query('rollback');
    return found;
  } finally {
    await client.end();
  }
}
