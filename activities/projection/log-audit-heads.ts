import type { ProjectionDependencies } from './dependencies.ts';
import { lockDueAuditHeads, markAuditHeadsLogged, readAuditHeads } from '#db/audit-chain.ts';

const PAGE_SIZE = 500;

/**
 * Logs the head of every user's audit chain, once a day. Kept where whoever administers the database cannot change it, the
 * log proves later that a chain was cut off or rewritten (docs/audit.md). The lines are those of `bin/yarn audit:heads`.
 *
 * @returns how many heads; 0 when they were logged less than a day ago, or another worker is at it
 */
export async function logAuditHeads(deps: ProjectionDependencies, signal: AbortSignal): Promise<number> {
  return deps.database.asSystem(async (tx) => {
    if (!(await lockDueAuditHeads(tx))) return 0;
    let logged = 0;
    let heads = await readAuditHeads(tx, null, PAGE_SIZE);
    while (heads.length > 0) {
      signal.throwIfAborted();
      for (const { userId, seq, hash } of heads) {
        deps.log.info('audit head', {
          event: 'audit-head',
          userId,
          seq: String(seq),
          hash: hash.toString('hex'),
        });
      }
      logged += heads.length;
      heads = await readAuditHeads(tx, heads.at(-1)?.userId ?? null, PAGE_SIZE);
    }
    await markAuditHeadsLogged(tx);
    return logged;
  });
}
