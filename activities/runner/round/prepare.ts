import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import {
  readMissionOfRun,
  scopeWith,
  type MissionScope,
  type RunScope,
} from '#activities/runner/run-scope.ts';
import { readContents, readOutline, problemOfWords } from '#activities/runner/run-contents.ts';
import { researchWanted } from '#activities/runner/research.ts';
import { roundRequestOf, shrunkWindow, windowOf, type RequestedRun } from './request.ts';
import { callOf, claim, keepRequest, newIdempotencyKey, type KeptCall } from './kept-call.ts';
import { resultOfRound } from './result.ts';
import {
  reserveTokens,
  sizeOfRequest,
  wholeTokens,
  type BudgetedCall,
  type Reservation,
} from '#activities/runner/token-budget.ts';
import { readRounds, storeRound } from '#activities/runner/transcript.ts';
import { lockMission } from '#db/mission-lock.ts';
import { readAgent } from '#db/missions.ts';
import { readResearchTask } from '#db/research-tasks.ts';
import { readOwnSlot } from '#db/run-slots.ts';
import { auditUnopened } from '#db/run-storage.ts';
import { readClockMs } from '#db/sync-changes.ts';
import { tokensPerDay } from '#domain/run/budget.ts';
import { ranElsewhere } from '#domain/iteration/iterations.ts';
import {
  isStopped,
  type PlanRoundInput,
  type PlanRoundResult,
  type RoundStop,
  type WordsProblem,
} from '#domain/run/run.ts';
import {
  closingEntry,
  stepsOfRounds,
  type Notice,
  type StoredRound,
} from '#domain/planner/plan/stored-round.ts';
import type { AskedAgain, AskedOfRound, StoredRequest } from '#domain/planner/plan/stored-request.ts';
import { encodeRequest } from '#llm/gateway.ts';
import type { RawReply } from '#llm/reply-schema.ts';
import { sizeOf, type RequestSize } from '#llm/request-size.ts';

/** A round whose request is kept. Without a reply it is to be asked, with its tokens reserved. */
export interface AskedRound {
  readonly kind: 'ask';
  /** Of the transcript, 32 bytes; whoever has it overwrites it. */
  readonly key: Buffer;
  readonly earlier: readonly StoredRound[];
  readonly call: BudgetedCall & KeptCall;
  readonly request: StoredRequest;
  readonly size: RequestSize;
  readonly asked: AskedOfRound;
  /** As an earlier attempt kept it: nothing is asked any more. */
  readonly raw: RawReply | null;
}

/**
 * What has to be asked, what the round came to without asking, that other runs hold the budget, or that the run holds
 * no place of its agent.
 */
export type PreparedRound =
  | { readonly kind: 'done'; readonly result: PlanRoundResult }
  | { readonly kind: 'held'; readonly agentId: string | null }
  | { readonly kind: 'no-place'; readonly agentId: string }
  | AskedRound;

/**
 * Prepares a round in one transaction: whether the grant still holds is read in it, before anything that it opens.
 *
 * @throws GrantUnusableError
 */
export const prepareRound = (
  deps: RunnerDependencies,
  input: PlanRoundInput,
  again: AskedAgain | null = null,
): Promise<PreparedRound> =>
  deps.database.asUser(input.userId, async (tx) => {
    // A revocation must not come between the check of the grant and the reading of what it opens.
    if (input.grantUsable) lockMission(tx, input.missionId);
    const [slot, mission] = await Promise.all([readOwnSlot(tx, input), readMissionOfRun(tx, input)]);
    // The run has ended meanwhile: nobody waits for this round, and nobody would forget it.
    if (slot === null) return ended('transcript-lost', []);
    if (input.agentId !== null && slot.agentId === null) return { kind: 'no-place', agentId: input.agentId };
    const scope = await scopeWith(deps, tx, input, mission);
    let keepsKey = false;
    try {
      const prepared = await prepareIn(deps, scope, again);
      keepsKey = prepared.kind === 'ask';
      return prepared;
    } finally {
      if (!keepsKey) scope.key.fill(0);
    }
  });

async function prepareIn(
  deps: RunnerDependencies,
  scope: MissionScope<PlanRoundInput>,
  again: AskedAgain | null,
): Promise<PreparedRound> {
  const { tx, run: input, key, read } = scope;
  const [rounds, readNow] = await Promise.all([
    readRounds(scope),
    input.agentId === null ? null : readAgent(tx, input.agentId),
  ]);
  const earlier = rounds.slice(0, input.round - 1);
  const done = rounds[input.round - 1];
  if (done !== undefined) {
    const shrunkTo = shrunkWindow(deps, { earlier: [...earlier, done], refusedTokens: null });
    return { kind: 'done', result: resultOfRound(earlier, done, windowOf(deps, shrunkTo)) };
  }
  if (earlier.length < input.round - 1) return ended('transcript-lost', earlier);
  const agent = readNow?.agent ?? null;
  if (isStopped(read.mission, input.agentId, agent)) return ended('stopped', earlier);
  if (input.round === 1 && input.dueAtMs !== undefined) {
    const isTaken = ranElsewhere(read.merged.record['iterations'], input.dueAtMs, await readClockMs(tx));
    if (isTaken) return ended('ran-elsewhere', earlier);
  }

  const call = callOf(scope, 'plan');
  const claimed = await claim(scope, call);
  const known = claimed.request?.round ?? null;
  if (claimed.request !== null && known !== null && claimed.raw !== null)
    return {
      ...{ kind: 'ask', key, earlier, call, asked: known, raw: claimed.raw },
      ...{ request: claimed.request, size: sizeOf(claimed.request.bodyText) },
    };

  // Asked for anew: what was kept was refused.
  const standing = again === null || known?.again === again ? claimed.request : null;
  const refusedTokens =
    again === 'smaller' && standing === null && claimed.request !== null
      ? wholeTokens(deps, claimed.request.bodyText)
      : null;
  const made = await requestOf(deps, scope, { earlier, agent, again, refusedTokens }, standing);
  if ('status' in made) return { kind: 'done', result: made };
  const size = sizeOf(made.bodyText);
  const maxTokens = tokensPerDay(agent, deps.planner.defaultTokensPerDay);
  const reservation = await reserveTokens(tx, call, maxTokens, sizeOfRequest(deps, size));
  if (reservation.kind === 'used-up') return stopAtBudget(scope, earlier, reservation.budget);
  if (reservation.kind === 'held') return { kind: 'held', agentId: input.agentId };
  const asked = { ...made.round, notices: noticesOf(earlier, reservation, made.round.notices) };
  const request = { ...made, round: asked };
  if (known === null || standing === null) keepRequest(scope, call, request);
  return { kind: 'ask', key, earlier, call, request, size, asked, raw: null };
}

/** What an earlier attempt was about to send, or else a new request; or that research comes first. */
async function requestOf(
  deps: RunnerDependencies,
  scope: MissionScope<PlanRoundInput>,
  run: Omit<RequestedRun, 'contents' | 'task'>,
  request: StoredRequest | null,
): Promise<(StoredRequest & { readonly round: AskedOfRound }) | PlanRoundResult> {
  if (request !== null && request.round !== null) return { ...request, round: request.round };
  const unopened = run.earlier[0]?.unopened ?? null;
  const [contents, task] = await Promise.all([
    // Where the prompt stands no record is opened for it again; older entries do not say which of them would open.
    unopened === null ? readContents(scope, run.agent) : readOutline(scope, run.agent, unopened),
    // Only the first round opens with it.
    scope.run.round === 1 ? readResearchTask(scope.tx, scope.run.iterationId) : null,
  ]);
  if (scope.run.round === 1 && 'inputs' in contents) {
    await auditUnopened(scope.tx, scope.run, contents.unopened);
    const problem = problemOfWords(scope.read.mission, contents);
    if (problem !== null) return { status: problem, steps: 0, totalTokens: 0 };
    const research = researchWanted(deps, task, contents);
    if (research !== null) return { status: 'research-wanted', research, steps: 0, totalTokens: 0 };
  }
  const made = await roundRequestOf(deps, scope, { ...run, contents, task });
  return {
    bodyText: encodeRequest(made.request),
    idempotencyKey: newIdempotencyKey(),
    round: made.asked,
  };
}

/** The user is told once in a run that the budget comes to its end. */
function noticesOf(
  earlier: readonly StoredRound[],
  reservation: Extract<Reservation, { kind: 'reserved' }>,
  notices: readonly Notice[],
): Notice[] {
  const isTold = earlier.some((entry) => entry.notices.some(({ kind }) => kind === 'budget'));
  const { reminder } = reservation;
  return reminder === null || isTold ? [...notices] : [...notices, { kind: 'budget', ...reminder }];
}

/** Ends the rounds; what was planned before is kept, with an entry that tells why no more came. */
async function stopAtBudget(
  scope: RunScope<PlanRoundInput>,
  earlier: readonly StoredRound[],
  budget: { readonly usedTokens: number; readonly maxTokens: number },
): Promise<PreparedRound> {
  const [first] = earlier;
  if (first !== undefined && stepsOfRounds(earlier).length > 0)
    await storeRound(scope, scope.run.round, closingEntry(first, { kind: 'budget', ...budget }));
  return ended('budget-exhausted', earlier);
}

const ended = (
  status: 'budget-exhausted' | 'transcript-lost' | RoundStop | WordsProblem,
  earlier: readonly StoredRound[],
): PreparedRound => ({
  kind: 'done',
  result: { status, steps: stepsOfRounds(earlier).length, totalTokens: 0 },
});
