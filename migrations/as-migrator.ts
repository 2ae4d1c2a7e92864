import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { MigrationRefusedError } from './files.ts';

/** Any name will do that all migrators of this project share. */
const LOCK_NAME = 'mana-missions migrations';
const LOCK_WAIT_MS = 10 * 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** Building an index on a large change log takes a while. */
const STATEMENT_TIMEOUT_MS = 30 * 60_000;
/** A policy on a table of others must not queue everybody behind a long transaction. */
const LOCK_TIMEOUT_MS = 30_000;

/**
 * Connects, and does the work as the only migrator of this project in that database. Names without a schema mean PostgreSQL's
 * own things: what others have put into `public` is never taken for ours.
 *
 * @throws MigrationRefusedError when another one does not end, and behind a pooler, where the lock would not hold
 */
export async function asMigrator(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({
    connectionString: url,
    application_name: 'mana-missions-migrate',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  await connect(client);
  try {
    await takeLock(client);
    await client.query('set search_path to pg_catalog');
    await work(client);
  } finally {
    await client.end();
  }
}

async function connect(client: Client): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('startup parameter'))) throw error;
    throw new MigrationRefusedError(
      'this is a pooler, through which neither our limits nor our lock go: give the address of PostgreSQL itself',
      { cause: error },
    );
  }
}

/**
 * The connection holds it until it ends. Asked for again and again: to wait inside a statement would hold a snapshot that `create
 * index concurrently` of the one at work waits for.
 */
async function takeLock(client: Client): Promise<void> {
  const deadlineAt = Date.now() + LOCK_WAIT_MS;
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as taken',
      [LOCK_NAME],
    );
    if (rows[0]?.taken === true) return;
    if (Date.now() > deadlineAt) {
      throw new MigrationRefusedError(
        'another migrator has been at work for 10 minutes; look for it, then try again',
      );
    }
    await delay(50);
  }
}
