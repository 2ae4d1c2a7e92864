/**
 * `yarn audit:erase --user <id>`: deletes a user's decrypt audit and its checkpoints, for good, when the account is
 * erased. Sealed rows of a run under way go with it. Prints the head that the chain had.
 */
import { parseArgs } from 'node:util';
import { printLine, runAuditCommand, UsageError } from './audit-command.ts';
import { loadMaintenanceConfig } from '#config/maintenance.ts';
import { readAuditHead } from '#db/audit-chain.ts';
import type { Database } from '#db/client.ts';
import { eraseAudit } from '#db/maintenance.ts';

async function erase(database: Database): Promise<boolean> {
  const { values } = parseArgs({ options: { user: { type: 'string' } } });
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

await runAuditCommand(loadMaintenanceConfig, erase);
