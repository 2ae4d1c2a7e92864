import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { openDatabase, type Database } from '#db/client.ts';
import { withClient } from '#dev/platform-schema.ts';
import { checkChain } from '#commands/audit-chain-check.ts';
import { createTestDatabases, type TestDatabases } from './databases.ts';

export let databases: TestDatabases;
let maintenance: Database;
/** Databases and a maintenance user's pool for a test file about the chain of the decrypt audit. */
export function setUpAuditChain(): void {
  beforeAll(async () => {
    databases = await createTestDatabases();
    maintenance = openDatabase({
      url: databases.urls.maintenance.sync,
      applicationName: 'audit-test',
      maxConnections: 1,
    });
  });
  afterAll(async () => {
    await maintenance.close();
    await databases.drop();
  });
}

export const newUser = (): string => `user-${randomUUID()}`;
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
export const asSuperuser = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(databases.superuser.syncUrl, work);
export const asVault = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  withClient(databases.urls.vault.sync, work);

/** What the second implementation says about a chain: problems and number of rows. */
export const check = (userId: string) =>
  maintenance.asSystem(async (tx) => {
    const { findings, rows } = await checkChain(tx, userId, { publicKeys: [] });
    return { findings: findings.map(({ kind, fromSeq }) => `${kind} ${fromSeq}`), rows };
  });
