import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { keepRound } from './keep.ts';
import { askAndKeep } from './ask.ts';
import { AnsweredMeanwhileError, lastLook } from './last-look.ts';
import { prepareRound, type AskedRound, type PreparedRound } from './prepare.ts';
import { claimAgentSlot } from '#activities/runner/slots.ts';
import { settleDeadReservations } from '#activities/runner/token-budget.ts';
import {
  BudgetReservedError,
  GatewayRejectedError,
  SlotBusyError,
  WindowTooSmallError,
} from '#domain/base/errors.ts';
import type { PlanRoundInput, PlanRoundResult } from '#domain/run/run.ts';
import type { AskedAgain } from '#domain/planner/plan/stored-request.ts';

/**
 * One round with the model, in three steps that a repeated attempt does not repeat: the request is kept, the reply is kept as
 * it came, and the steps are made of it. So a crash costs at most the call in flight, which is then repeated byte for byte,
 * and a failure after the reply costs nothing (docs/architecture.md section 4, point 4).
 *
 * A request that is refused as larger than the model's window, or may be, is made smaller and asked once more.
 *
 * @param signal aborts the gateway call
 * @throws WindowTooSmallError when that one is too large as well
 * @throws GrantUnusableError, RunKeyLostError, GatewayUnavailableError, GatewayDeniedError, GatewayRejectedError
 * @throws BudgetReservedError while rounds of other missions hold what is left of the agent's budget
 * @throws SlotBusyError while other missions hold the agent's places; this one let go of its own while it waited
 */
export async function planOneRound(
  deps: RunnerDependencies,
  input: PlanRoundInput,
  signal: AbortSignal,
): Promise<PlanRoundResult> {
  const userId = input.userId;
  let again: AskedAgain | null = null;
  let isAnswered = false;
  for (;;) {
    const preparedAtMs = performance.now();
    const prepared = await prepare(deps, input, again);
    if (prepared.kind === 'done') return prepared.result;
    const isAskedAgain = (error: unknown): boolean => changeAfter(error, prepared) !== null;
    try {
      const look = lastLook(deps, input, prepared.call, preparedAtMs);
      const raw =
        prepared.raw ?? (await askAndKeep(deps, userId, prepared, signal, { isAskedAgain, lastLook: look }));
      return await keepRound(deps, input, prepared, raw);
    } catch (error) {
      // Prepared once more it finds the reply. Not again and again: one that does not open would be waited for for ever.
      if (error instanceof AnsweredMeanwhileError && !isAnswered) {
        isAnswered = true;
        continue;
      }
      const changed = changeAfter(error, prepared);
      if (changed === null) throw verdictOn(error);
      again = changed;
    } finally {
      prepared.key.fill(0);
    }
  }
}

/** How a refused request may be asked once more, at once: refusals are not charged. Null where nothing would change. */
function changeAfter(error: unknown, { asked, size }: AskedRound): AskedAgain | null {
  if (!(error instanceof GatewayRejectedError) || asked.again !== null) return null;
  if (error.problem.overflow === true || error.problem.mayOverflow === true) return 'smaller';
  return size.toolChoice === 'none' ? 'plainer' : null;
}

const verdictOn = (error: unknown): unknown =>
  error instanceof GatewayRejectedError && error.problem.overflow === true
    ? new WindowTooSmallError()
    : error;

type Ready = Extract<PreparedRound, { kind: 'ask' | 'done' }>;

/** Runs that are dead settle nothing any more: somebody else has to, before it is said that they hold the budget. */
async function prepare(
  deps: RunnerDependencies,
  input: PlanRoundInput,
  changed: AskedAgain | null,
): Promise<Ready> {
  const prepared = await prepareInPlace(deps, input, changed);
  if (prepared.kind !== 'held') return prepared;
  const { agentId } = prepared;
  const settled = await settleDeadReservations(deps, input.userId, { agentId, runId: input.runId });
  const again = settled ? await prepareInPlace(deps, input, changed) : prepared;
  if (again.kind === 'held') throw new BudgetReservedError();
  return again;
}

/** A place of the agent is held while rounds are asked: one that was let go of to wait is taken again first. */
async function prepareInPlace(
  deps: RunnerDependencies,
  input: PlanRoundInput,
  changed: AskedAgain | null,
): Promise<Exclude<PreparedRound, { kind: 'no-place' }>> {
  const prepared = await prepareRound(deps, input, changed);
  if (prepared.kind !== 'no-place') return prepared;
  const { missionId, runId, iterationId } = input;
  const run = { missionId, runId, agentId: prepared.agentId };
  const again = (await claimAgentSlot(deps, input.userId, run))
    ? await prepareRound(deps, input, changed)
    : prepared;
  if (again.kind === 'no-place') throw new SlotBusyError(iterationId, 0);
  return again;
}
