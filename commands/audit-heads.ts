/**
 * `bin/yarn missions audit heads`: prints the head of every user's chain, one JSON line each, as the projection logs them daily. Keep
 * them where whoever administers the database cannot change it: `bin/yarn audit:verify --heads` holds the chains against it.
 */
import { printLine, runAuditCommand } from './audit-command.ts';
import type { Command } from 'commander';
import { loadMaintenanceConfig } from '#config/maintenance.ts';
import { readAuditHeads } from '#db/audit-chain.ts';
import type { Database } from '#db/client.ts';

const PAGE_SIZE = 500;

async function printHeads(database: Database): Promise<boolean> {
  const at = new Date().toISOString();
  let heads = await readAuditHeads(database.system, null, PAGE_SIZE);
  while (heads.length > 0) {
    for (const { userId, seq, hash } of heads) {
      printLine({ event: 'audit-head', userId, seq: String(seq), hash: hash.toString('hex'), at });
    }
    heads = await readAuditHeads(database.system, heads.at(-1)?.userId ?? null, PAGE_SIZE);
  }
  return true;
}

export const addAuditHeads = (audit: Command): void => {
  audit
    .command('heads')
    .description(
      "prints the head of every user's chain: keep them where no administrator of the database can change them",
    )
    .addHelpText('after', '\nEnvironment: MAINTENANCE_DATABASE_URL')
    .action(() => runAuditCommand(loadMaintenanceConfig, printHeads));
};
