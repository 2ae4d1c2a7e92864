import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { sha256OfWrappedKey } from '#crypto/wrap-grant.ts';
import { grantEnd } from '#db/grant-use.ts';
import { hasReply, type CallRef } from '#db/model-calls.ts';
import { readRunGrant } from '#db/run-grants.ts';
import { holdsSlot } from '#db/run-slots.ts';
import { GrantUnusableError, OwnError, RunEndedError } from '#domain/base/errors.ts';
import { parseGrant } from '#domain/wire/grant.ts';
import type { RunRef } from '#domain/run/run.ts';

/** As long as a request may be on its way since the grant was looked at. */
const LOOKS_AGAIN_AFTER_MS = 1_000;

/** Another attempt has kept a reply: whoever prepares the call once more finds it. */
export class AnsweredMeanwhileError extends OwnError {
  override readonly name = 'AnsweredMeanwhileError';
}

/**
 * A request that was prepared may leave much later: it waits for its place while the gateway is busy, and a process may stand still.
 * Then it is looked at once more what the run may do by now. Where it leaves at once, this asks nobody. A revocation that no projection
 * has entered yet is found before the next round.
 *
 * @param preparedAtMs of `performance.now()`, before the call was prepared
 * @returns the `lastLook` of the call; it throws GrantUnusableError, RunEndedError, AnsweredMeanwhileError
 */
export const lastLook =
  (
    deps: Pick<RunnerDependencies, 'database' | 'looksAgainAfterMs'>,
    run: RunRef & { readonly grantUsable: boolean },
    call: CallRef,
    preparedAtMs: number,
  ) =>
  async (): Promise<void> => {
    if (performance.now() - preparedAtMs < (deps.looksAgainAfterMs ?? LOOKS_AGAIN_AFTER_MS)) return;
    await deps.database.asUser(run.userId, async (tx) => {
      const [holds, isAnswered, kept] = await Promise.all([
        holdsSlot(tx, run),
        hasReply(tx, call),
        run.grantUsable ? readRunGrant(tx, run.runId) : null,
      ]);
      if (!holds) throw new RunEndedError();
      if (isAnswered) throw new AnsweredMeanwhileError('another attempt has kept a reply to the call');
      // A run that began before grants were kept has the record's, which is looked at before the next round.
      const grant = parseGrant(kept);
      const end = grant === null ? null : await grantEnd(tx, sha256OfWrappedKey(grant.wrappedKey));
      if (typeof end === 'string') throw new GrantUnusableError(end);
    });
  };
