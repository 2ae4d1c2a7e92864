/**
 * `bin/yarn missions user erase <user-id> --yes`: leaves nothing of a user in our tables and in Temporal, and enters the user as erased,
 * so that it stays so (docs/operations.md, "Erasing a user"). Run again it goes on where it was cut short.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import type { Command } from 'commander';
import { runAuditCommand } from './audit-command.ts';
import { print, wholeSeconds } from './verb.ts';
import { loadMaintenanceConfig } from '#config/maintenance.ts';
import { loadCommandConnection } from '#config/temporal-command.ts';
import { readAuditHead } from '#db/audit-chain.ts';
import type { Database } from '#db/client.ts';
import { enterErasedUser, eraseUserRows } from '#db/erased-users.ts';
import { eraseUserRuns } from '#runs/erase-user-runs.ts';
import { connect, type TemporalConfig } from '#temporal/connection.ts';
import { createNamespaceClients } from '#temporal/namespaces.ts';

/** Rows of many years take a while; so does a transaction of a worker that was told that the user is not erased. */
const STATEMENT_MS = 600_000;
/** The longest that a call of Temporal takes which began before the user was entered: its own limits, and some more. */
const CALLS_END_WITHIN_SECONDS = 30;
const TIMEOUT_SECONDS = 600;
/** Of the rows: transactions that update what is deleted may wait for it in another order. */
const MAX_TRIES = 5;
const MAY_TRY_AGAIN = new Set(['40P01', '40001']);

interface Options {
  readonly yes?: boolean;
  readonly waitSeconds: number;
  readonly timeoutSeconds: number;
}

/** @throws what is in the way; who was entered stays entered, and the next call goes on */
async function eraseUser(
  database: Database,
  temporal: TemporalConfig,
  userId: string,
  options: Options,
  verb: Command,
): Promise<void> {
  const connection = await connect(temporal);
  try {
    await database.asSystem((tx) => enterErasedUser(tx, userId));
    const enteredAtMs = performance.now();
    const { head, tables } = await eraseRows(database, userId);
    const lastHash = head.hash.toString('hex');
    const rows = tables.get('decrypt_audit') ?? 0;
    print(
      verb,
      { event: 'audit-erased', userId, rows, lastSeq: String(head.seq), lastHash },
      `the audit's chain ended with row ${head.seq}, hash ${lastHash}`,
    );

    const { all } = createNamespaceClients(temporal, (namespace) => new Client({ connection, namespace }));
    const eraseRuns = () =>
      Promise.all(all.map((client) => eraseUserRuns(client, userId, options.timeoutSeconds * 1_000)));
    const first = await eraseRuns();
    await delay(Math.max(0, enteredAtMs + options.waitSeconds * 1_000 - performance.now()));
    const erased = [...first, ...(await eraseRuns())];
    const schedules = erased.reduce((sum, each) => sum + each.schedules, 0);
    const executions = erased.reduce((sum, each) => sum + each.executions, 0);
    // One that is missing here keeps what it has of the user: an operator has to see it.
    const namespaces = all.map(({ options: { namespace } }) => namespace);
    const counts = [...tables, ['schedules', schedules], ['executions', executions]];
    const lines = counts.map(([what, count]) => `${what}: ${count}`);
    print(
      verb,
      { event: 'user-erased', userId, tables: Object.fromEntries(tables), schedules, executions, namespaces },
      [...lines, `namespaces: ${namespaces.join(', ')}`, `erased: ${userId}`].join('\n'),
    );
  } finally {
    await connection.close();
  }
}

async function eraseRows(database: Database, userId: string) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await database.asSystem(async (tx) => ({
        head: await readAuditHead(tx, userId),
        tables: await eraseUserRows(tx, userId),
      }));
    } catch (error) {
      const isWorthIt = error instanceof Error && 'code' in error && MAY_TRY_AGAIN.has(String(error.code));
      if (!isWorthIt || tries === MAX_TRIES) throw error;
    }
  }
}

export const addUserErase = (user: Command): void => {
  user
    .command('erase')
    .argument('<user-id>', 'as the platform knows the user: the subject of the tokens')
    .description('deletes all that is kept of a user, in the database and in Temporal, for good')
    .option('--yes', 'do it: there is no way back')
    .option(
      '--wait-seconds <n>',
      'how long calls of Temporal may take that are under way',
      wholeSeconds,
      CALLS_END_WITHIN_SECONDS,
    )
    .option('--timeout-seconds <n>', 'how long to wait for Temporal to delete', wholeSeconds, TIMEOUT_SECONDS)
    .addHelpText('after', '\nEnvironment: MAINTENANCE_DATABASE_URL, TEMPORAL_*')
    .action((userId: string, options: Options, verb: Command) => {
      if (userId.trim() === '') verb.error('error: the user id is empty');
      if (userId !== userId.trim()) verb.error('error: the user id has white space around it');
      if (options.yes !== true)
        verb.error('error: nothing was changed; add --yes to erase the user, there is no way back');
      const temporal = loadCommandConnection(process.env);
      const work = async (database: Database): Promise<boolean> => {
        await eraseUser(database, temporal, userId, options, verb);
        return true;
      };
      return runAuditCommand(loadMaintenanceConfig, work, { statementMs: STATEMENT_MS });
    });
};
