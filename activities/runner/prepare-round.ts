import type { RunnerDependencies } from './dependencies.ts';
import { openMission } from './open-mission.ts';
import { openRun, problemOfWords } from './open-run.ts';
import { researchWanted } from './research.ts';
import { roundRequestOf } from './round-request.ts';
import type { RoundRequest } from './round-request.ts';
import { resultOfRound } from './round-result.ts';
import { reserveTokens, sizeOfRequest } from './token-budget.ts';
import type { BudgetedCall, Reservation } from './token-budget.ts';
import { readRounds, storeRound } from './transcript.ts';
import type { UserTransaction } from '../../db/client.ts';
import { lockMission } from '../../db/mission-lock.ts';
import { readAgent } from '../../db/missions.ts';
import type { ReadMission } from '../../db/missions.ts';
import { holdsSlot } from '../../db/run-slots.ts';
import { auditUnopened } from '../../db/run-storage.ts';
import { tokensPerDay } from '../../domain/budget.ts';
import { toMissionId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import { closingEntry, stepsOf } from '../../domain/round-entry.ts';
import type { Notice, RoundEntry } from '../../domain/round-entry.ts';
import type { PlanRoundInput, PlanRoundResult, WordsProblem } from '../../domain/run.ts';

/** A round that is to be asked, with its tokens reserved. */
export interface AskedRound extends RoundRequest {
  readonly kind: 'ask';
  /** Of the transcript, 32 bytes; whoever has it overwrites it. */
  readonly key: Buffer;
  readonly earlier: readonly RoundEntry[];
  readonly call: BudgetedCall;
}

/** What has to be asked, what the round came to without asking, or that other runs hold the budget. */
export type PreparedRound =
  | { readonly kind: 'done'; readonly result: PlanRoundResult }
  | { readonly kind: 'held'; readonly agentId: string | null }
  | AskedRound;

/**
 * Prepares a round in one transaction: whether the grant still holds is read in it, before anything that it opens.
 *
 * @throws GrantUnusableError
 */
export const prepareRound = (
  deps: RunnerDependencies,
  userId: UserId,
  input: PlanRoundInput,
): Promise<PreparedRound> =>
  deps.database.asUser(userId, async (tx) => {
    // A revocation must not come between the check of the grant and the reading of what it opens.
    if (input.grantUsable) await lockMission(tx, userId, toMissionId(input.missionId));
    // The run has ended meanwhile: nobody waits for this round, and nobody would forget it.
    if (!(await holdsSlot(tx, userId, input))) return ended('transcript-lost', []);
    const { read, key } = await openMission(deps, tx, userId, input);
    let keepsKey = false;
    try {
      const prepared = await prepareWith(deps, tx, userId, input, read, key);
      keepsKey = prepared.kind === 'ask';
      return prepared;
    } finally {
      if (!keepsKey) key.fill(0);
    }
  });

async function prepareWith(
  deps: RunnerDependencies,
  tx: UserTransaction,
  userId: UserId,
  input: PlanRoundInput,
  read: ReadMission,
  key: Buffer,
): Promise<PreparedRound> {
  const rounds = await readRounds(tx, userId, input, key);
  const earlier = rounds.slice(0, input.round - 1);
  const done = rounds[input.round - 1];
  if (done !== undefined)
    return { kind: 'done', result: resultOfRound(earlier, done, deps.planner.contextTokens) };
  if (earlier.length < input.round - 1) return ended('transcript-lost', earlier);

  const opened = await openRun(tx, userId, input, read, {
    agentId: input.agentId,
    mdk: input.grantUsable ? key : null,
  });
  if (input.round === 1) {
    await auditUnopened(tx, input, opened.unopened);
    const problem = problemOfWords(read.mission, opened);
    if (problem !== null) return ended(problem, []);
    const research = await researchWanted(deps, tx, userId, input, opened);
    if (research !== null)
      return { kind: 'done', result: { status: 'research-wanted', research, steps: 0, totalTokens: 0 } };
  }
  const agent = input.agentId === null ? null : ((await readAgent(tx, userId, input.agentId))?.agent ?? null);
  const round = await roundRequestOf(deps, tx, userId, input, { read, key, earlier, opened, agent });
  const call: BudgetedCall = { ...input, agentId: input.agentId, purpose: 'plan' };
  const size = sizeOfRequest(round.request);
  const maxTokens = tokensPerDay(agent, deps.planner.defaultTokensPerDay);
  const reservation = await reserveTokens(tx, userId, call, maxTokens, size);
  if (reservation.kind === 'used-up')
    return stopAtBudget(tx, userId, input, key, earlier, reservation.budget);
  if (reservation.kind === 'held') return { kind: 'held', agentId: input.agentId };
  return {
    kind: 'ask',
    key,
    earlier,
    call,
    ...round,
    notices: noticesOf(earlier, reservation, round.notices),
  };
}

/** The user is told once in a run that the budget comes to its end. */
function noticesOf(
  earlier: readonly RoundEntry[],
  reservation: Extract<Reservation, { kind: 'reserved' }>,
  notices: readonly Notice[],
): Notice[] {
  const isTold = earlier.some((entry) => entry.notices.some(({ kind }) => kind === 'budget'));
  const { reminder } = reservation;
  return reminder === null || isTold ? [...notices] : [...notices, { kind: 'budget', ...reminder }];
}

/** Ends the rounds; what was planned before is kept, with an entry that tells why no more came. */
async function stopAtBudget(
  tx: UserTransaction,
  userId: UserId,
  input: PlanRoundInput,
  key: Buffer,
  earlier: readonly RoundEntry[],
  budget: { readonly usedTokens: number; readonly maxTokens: number },
): Promise<PreparedRound> {
  const [first] = earlier;
  if (first !== undefined && stepsOf(earlier).length > 0)
    await storeRound(tx, userId, input, key, input.round, closingEntry(first, { kind: 'budget', ...budget }));
  return ended('budget-exhausted', earlier);
}

const ended = (
  status: 'budget-exhausted' | 'transcript-lost' | WordsProblem,
  earlier: readonly RoundEntry[],
): PreparedRound => ({
  kind: 'done',
  result: { status, steps: stepsOf(earlier).length, totalTokens: 0 },
});
