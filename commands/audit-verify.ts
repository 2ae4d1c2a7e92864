/**
 * `bin/yarn missions audit verify [--user <id>] [--heads <file>]`: recomputes the chains of the decrypt audit and names every row that
 * was changed, removed or moved. `--heads` takes lines that `bin/yarn audit:heads` printed, and finds chains that were cut
 * off or rewritten since; lines of `bin/yarn audit:erase` may stand among them. Exit code 1 when anything is wrong.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { z } from 'zod';
import { checkChain, type LoggedHead } from './audit-chain-check.ts';
import { printLine, runAuditCommand, UsageError } from './audit-command.ts';
import type { Command } from 'commander';
import { loadMaintenanceConfig, type MaintenanceConfig } from '#config/maintenance.ts';
import { nextAuditedUser } from '#db/audit-chain.ts';
import type { Database } from '#db/client.ts';
import { readOneSnapshot } from '#db/maintenance.ts';

const headLine = z.object({
  event: z.literal('audit-head'),
  userId: z.string().min(1),
  seq: z.string().regex(/^\d{1,19}$/),
  hash: z.string().regex(/^[\da-f]{64}$/),
});
/** `bin/yarn audit:erase` prints it: what that user's chain was before counts no more. */
const erasureLine = z.object({ event: z.literal('audit-erased'), userId: z.string().min(1) });
const loggedLine = z.discriminatedUnion('event', [headLine, erasureLine]);

/** Heads by user. Of the lines of others nothing is kept when one user is asked for. */
async function readHeads(file: string, onlyUser: string | null): Promise<Map<string, LoggedHead[]>> {
  const heads = new Map<string, LoggedHead[]>();
  let lineNumber = 0;
  for await (const line of createInterface({ input: createReadStream(file) })) {
    lineNumber += 1;
    if (line.trim() === '') continue;
    const parsed = loggedLine.safeParse(jsonOf(line));
    if (!parsed.success) {
      throw new UsageError(
        `--heads: line ${lineNumber} is not one of "bin/yarn audit:heads" or "bin/yarn audit:erase"`,
      );
    }
    const { data } = parsed;
    if (onlyUser !== null && data.userId !== onlyUser) continue;
    if (data.event === 'audit-erased') heads.delete(data.userId);
    else {
      const known = heads.get(data.userId) ?? [];
      known.push({ seq: BigInt(data.seq), hash: Buffer.from(data.hash, 'hex') });
      heads.set(data.userId, known);
    }
  }
  return heads;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @returns whether everything is as it was written */
async function verify(
  database: Database,
  config: MaintenanceConfig,
  values: { readonly user?: string; readonly heads?: string },
): Promise<boolean> {
  const onlyUser = values.user ?? null;
  if (onlyUser === '') throw new UsageError('--user: give a user id');
  const heads =
    values.heads === undefined ? new Map<string, LoggedHead[]>() : await readHeads(values.heads, onlyUser);
  const counts = { users: 0, rows: 0, problems: 0 };

  const verifyUser = async (userId: string): Promise<void> => {
    const checked = await database.asSystem(async (tx) => {
      await readOneSnapshot(tx);
      return checkChain(tx, userId, {
        publicKeys: config.checkpointPublicKeys,
        heads: heads.get(userId) ?? [],
      });
    });
    heads.delete(userId);
    counts.users += 1;
    counts.rows += checked.rows;
    counts.problems += checked.findings.length;
    for (const { kind, fromSeq, toSeq, message } of checked.findings) {
      printLine({
        event: 'audit-problem',
        userId,
        problem: kind,
        fromSeq: String(fromSeq),
        toSeq: String(toSeq),
        message,
      });
    }
  };

  if (onlyUser !== null) await verifyUser(onlyUser);
  else {
    for (
      let userId = await nextAuditedUser(database.system, null);
      userId !== null;
      userId = await nextAuditedUser(database.system, userId)
    ) {
      await verifyUser(userId);
    }
    // Heads of users without a chain: all of it is gone.
    for (const userId of [...heads.keys()]) await verifyUser(userId);
  }
  printLine({ event: 'audit-verified', ok: counts.problems === 0, ...counts });
  return counts.problems === 0;
}

export const addAuditVerify = (audit: Command): void => {
  audit
    .command('verify')
    .description('recomputes the chains and names every row that was changed, removed or moved')
    .option('--user <id>', 'of one user alone')
    .option('--heads <file>', 'lines of "audit heads", which the chains must still go through')
    .addHelpText('after', '\nEnvironment: MAINTENANCE_DATABASE_URL, AUDIT_CHECKPOINT_PUBLIC_KEY_PEM')
    .action((values: { readonly user?: string; readonly heads?: string }) =>
      runAuditCommand(loadMaintenanceConfig, (database, config) => verify(database, config, values)),
    );
};
