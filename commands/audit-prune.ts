/**
 * `bin/yarn missions audit prune --before <iso> [--user <id>]`: deletes audit rows older than an instant, oldest first, and leaves a
 * signed checkpoint for each chain. A chain that does not verify is left alone, or the checkpoint would vouch for it.
 * Mint-log rows of v2 grants that expired before that instant (and 30 days ago) go as well.
 */
import { checkChain } from './audit-chain-check.ts';
import { instantArgument, printLine, runAuditCommand, UsageError } from './audit-command.ts';
import type { Command } from 'commander';
import { loadPruneConfig, type PruneConfig } from '#config/maintenance.ts';
import { signCheckpoint } from '#crypto/audit-checkpoint.ts';
import { nextAuditedUser, readCheckpoints } from '#db/audit-chain.ts';
import type { Database } from '#db/client.ts';
import { deleteExpiredGrants, pruneAudit, readPrunable } from '#db/maintenance.ts';

/** Rows of one transaction, while which nobody can write to that user's chain. */
const ROWS_AT_A_TIME = 20_000n;

type Pruned = { readonly pruned: number; readonly isMore: boolean } | { readonly problem: string };

/** Prunes the next part of a chain. The chain's lock is held from the first statement to the commit. */
const prunePart = (
  database: Database,
  config: PruneConfig,
  userId: string,
  beforeIso: string,
): Promise<Pruned> =>
  database.asSystem(async (tx) => {
    const prunable = await readPrunable(tx, userId, beforeIso);
    if (prunable === null) return { pruned: 0, isMore: false };
    const prunedThrough = (await readCheckpoints(tx, userId)).at(-1)?.seq ?? 0n;
    const upTo = await checkChain(tx, userId, {
      publicKeys: config.checkpointPublicKeys,
      throughSeq: smaller(prunable.seq, prunedThrough + ROWS_AT_A_TIME),
    });
    const [finding] = upTo.findings;
    if (finding !== undefined) return { problem: finding.message };
    const checkpoint = { userId, ...upTo.end };
    const pruned = await pruneAudit(tx, userId, beforeIso, {
      ...checkpoint,
      ...signCheckpoint(config.checkpointPrivateKey, checkpoint),
    });
    return { pruned, isMore: upTo.end.seq < prunable.seq };
  });

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** @returns whether the chain could be pruned */
async function pruneUser(
  database: Database,
  config: PruneConfig,
  userId: string,
  beforeIso: string,
): Promise<boolean> {
  let rows = 0;
  for (;;) {
    const part = await prunePart(database, config, userId, beforeIso);
    if ('problem' in part) {
      printLine({ event: 'audit-not-pruned', userId, message: part.problem });
      return false;
    }
    rows += part.pruned;
    if (part.isMore) continue;
    if (rows > 0) printLine({ event: 'audit-pruned', userId, rows });
    return true;
  }
}

async function prune(
  database: Database,
  config: PruneConfig,
  values: { readonly before?: string; readonly user?: string },
): Promise<boolean> {
  const beforeIso = instantArgument('before', values.before);
  if (values.user !== undefined) {
    if (values.user === '') throw new UsageError('--user: give a user id');
    return pruneUser(database, config, values.user, beforeIso);
  }
  let ok = true;
  for (
    let userId = await nextAuditedUser(database.system, null);
    userId !== null;
    userId = await nextAuditedUser(database.system, userId)
  ) {
    ok = (await pruneUser(database, config, userId, beforeIso)) && ok;
  }
  const grants = await deleteExpiredGrants(database.system, beforeIso);
  printLine({ event: 'audit-pruning-done', ok, expiredGrants: grants });
  return ok;
}

export const addAuditPrune = (audit: Command): void => {
  audit
    .command('prune')
    .description('deletes audit rows older than an instant, oldest first, and leaves signed checkpoints')
    .option('--before <iso>', 'an instant like 2026-01-31T00:00:00Z')
    .option('--user <id>', 'of one user alone')
    .addHelpText('after', '\nEnvironment: MAINTENANCE_DATABASE_URL, AUDIT_CHECKPOINT_PRIVATE_KEY_PEM')
    .action((values: { readonly before?: string; readonly user?: string }) =>
      runAuditCommand(loadPruneConfig, (database, config) => prune(database, config, values)),
    );
};
