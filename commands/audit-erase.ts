/**
 * `bin/yarn missions audit erase --user <id>`: deletes a user's decrypt audit and its checkpoints, for good, when the account is
 * erased. Sealed rows of a run under way go with it. Prints the head that the chain had.
 */
import { printLine, runAuditCommand, UsageError } from './audit-command.ts';
import type { Command } from 'commander';
import { loadMaintenanceConfig } from '#config/maintenance.ts';
import { readAuditHead } from '#db/audit-chain.ts';
import type { Database } from '#db/client.ts';
import { eraseAudit } from '#db/maintenance.ts';

async function erase(database: Database, values: { readonly user?: string }): Promise<boolean> {
  const userId = values.user ?? '';
  if (userId === '') throw new UsageError('--user: give the id of the user whose audit is to be erased');
  await database.asSystem(async (tx) => {
    const head = await readAuditHead(tx, userId);
    const rows = await eraseAudit(tx, userId);
    printLine({
      event: 'audit-erased',
      userId,
      rows,
      lastSeq: String(head.seq),
      lastHash: head.hash.toString('hex'),
    });
  });
  return true;
}

export const addAuditErase = (audit: Command): void => {
  audit
    .command('erase')
    .description("deletes a user's audit and its checkpoints, for good; prints the head that the chain had")
    .option('--user <id>', 'whose')
    .addHelpText('after', '\nEnvironment: MAINTENANCE_DATABASE_URL')
    .action((values: { readonly user?: string }) =>
      runAuditCommand(loadMaintenanceConfig, (database) => erase(database, values)),
    );
};
