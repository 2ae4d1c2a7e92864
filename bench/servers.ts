import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { escapeIdentifier } from 'pg';
import { inDatabases, provisionPlatform, type PlatformDatabases } from '#dev/databases.ts';
import { createTemporaryDirectory } from '#dev/guardian.ts';
import { withClient } from '#dev/platform-schema.ts';
import { startPostgres } from '#dev/postgres.ts';
import { startTemporalServer } from '#dev/temporal-server.ts';
import { SEARCH_ATTRIBUTE_NAMES } from '#domain/run/search-attributes.ts';
import { connect } from '#temporal/connection.ts';
import { createDataConverter } from '#temporal/data-converter.ts';

/** A real PostgreSQL, without fsync, with the production roles. */
export interface BenchPostgres {
  /** Migrated databases without a row; figures that must not disturb each other take one each. */
  newDatabases(): Promise<PlatformDatabases>;
}

/** Starts PostgreSQL, does the work, and ends it with all it stored. */
export async function withPostgres<T>(work: (postgres: BenchPostgres) => Promise<T>): Promise<T> {
  const cluster = await startPostgres();
  try {
    const platform = await provisionPlatform(cluster);
    return await work({
      newDatabases: async () => {
        const suffix = randomBytes(6).toString('hex');
        const names = { sync: `bench_sync_${suffix}`, auth: `bench_auth_${suffix}` };
        await withClient(cluster.superuserUrl('postgres'), async (client) => {
          for (const [kind, owner] of [
            ['sync', 'mana_sync_owner'],
            ['auth', 'mana_auth_owner'],
          ] as const) {
            const template = new URL(platform.superuser[`${kind}Url`]).pathname.slice(1);
            await client.query(
              `create database ${escapeIdentifier(names[kind])} template ${escapeIdentifier(template)}
                 strategy file_copy owner ${escapeIdentifier(owner)}`,
            );
          }
        });
        return inDatabases(platform, names.sync, names.auth);
      },
    });
  } finally {
    await cluster.stop();
  }
}

export interface BenchTemporal {
  /** `host:port`. */
  readonly address: string;
  readonly namespace: string;
  readonly client: Client;
  readonly codecKeys: { readonly primaryKeyId: string; readonly keys: ReadonlyMap<string, Buffer> };
}

/**
 * Starts Temporal's development server in memory, does the work, and ends it.
 *
 * @param dynamicConfig what differs from the server settings that we ship
 */
export async function withTemporal<T>(
  dynamicConfig: Readonly<Record<string, boolean | number>>,
  work: (temporal: BenchTemporal) => Promise<T>,
): Promise<T> {
  const directory = createTemporaryDirectory('mana-bench-');
  const server = await startTemporalServer({
    ui: false,
    logFile: join(directory.path, 'temporal.log'),
    searchAttributes: Object.values(SEARCH_ATTRIBUTE_NAMES),
    dynamicConfig,
  });
  try {
    const namespace = 'default';
    const connection = await connect({ address: server.address, namespace });
    try {
      const codecKeys = { primaryKeyId: 'bench-1', keys: new Map([['bench-1', randomBytes(32)]]) };
      const client = new Client({ connection, namespace, dataConverter: createDataConverter(codecKeys) });
      return await work({ address: server.address, namespace, client, codecKeys });
    } finally {
      await connection.close();
    }
  } finally {
    await server.stop();
    directory.remove();
  }
}

const POLL_EVERY_MS = 50;

/** @throws Error when the condition does not hold in time */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  deadlineMs: number,
): Promise<void> {
  const endMs = Date.now() + deadlineMs;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await delay(POLL_EVERY_MS);
  }
}

/** Does `work` with each item, so many at a time. */
export async function eachOf<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
