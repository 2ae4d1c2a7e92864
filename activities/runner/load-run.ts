import type { IterationId, UserId } from '#domain/base/ids.ts';
import { claimInstant, claimState } from './claim-instant.ts';
import { countedStage } from './counted-stage.ts';
import { claimAgentSlot, claimMission, type Claim } from './slots.ts';
import type { RunnerDependencies } from './dependencies.ts';
import { iterationIdOf } from '#crypto/derived-ids.ts';
import { isEncryptedValue } from '#crypto/field-value.ts';
import { unwrapGrant } from '#crypto/unwrap-grant.ts';
import { readBudget } from '#db/budget-reservations.ts';
import type { UserTransaction } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import { readAgent, readMission, type ReadMission } from '#db/missions.ts';
import { readPlanningStop } from '#db/planning-stop.ts';
import { endStage, findOwnSlot, setSlotIteration, type RunSlot } from '#db/run-slots.ts';
import { releaseAndForget } from '#db/run-storage.ts';
import { readClockAndZone } from '#db/time-zones.ts';
import type { Agent } from '#domain/wire/agent.ts';
import { tokensPerDay } from '#domain/run/budget.ts';
import { cadencePeriodMs } from '#domain/cadence/cadence.ts';
import { SlotBusyError, UserErasedError, type GrantProblem } from '#domain/base/errors.ts';
import { instantMs } from '#domain/base/instant.ts';
import { ranElsewhere } from '#domain/iteration/iterations.ts';
import { ENCRYPTED_MISSION_FIELDS, type Mission } from '#domain/wire/mission.ts';
import {
  dueKey,
  isDue,
  runNowKey,
  type LoadedRun,
  type LoadRunInput,
  type LoadRunResult,
  type RefusedRun,
} from '#domain/run/run.ts';
import { countUnwrapFailure } from '#metrics/grants.ts';
import { countPutAside } from '#metrics/put-aside.ts';

/**
 * Claims the mission, then reads it and passes the gates (docs/architecture.md section 4, point 1).
 *
 * The claim comes first: a run that finished between our read and our claim would otherwise be repeated, and paid for
 * again. Whoever gets through the gates holds the mission's slot, and the agent's if there is one.
 *
 * A run that is ready has claimed its instant in the log, in the same transaction; an attempt that finds its own claim goes on
 * with it, for `nextRunAt` has moved by then. It is claimed before a busy agent is waited for: an open tab must not run the
 * mission meanwhile.
 *
 * @throws WorkerLostError, TurnTakenError see `countedStage`
 * @throws SlotBusyError when the agent runs as many missions as it may; the mission's slot stays ours meanwhile
 */
export async function loadRun(deps: RunnerDependencies, input: LoadRunInput): Promise<LoadRunResult> {
  try {
    return await claimAndLoad(deps, input);
  } catch (error) {
    // A run that was started in the moment before: to nobody is anything to be said.
    if (error instanceof UserErasedError) return refused('deleted');
    throw error;
  }
}

async function claimAndLoad(deps: RunnerDependencies, input: LoadRunInput): Promise<LoadRunResult> {
  const userId = input.userId;
  const claim = await claimMission(deps, userId, input);
  if (claim === null) return { outcome: 'already-running', iterationId: null };
  const stage = {
    ...{ name: 'loadRun' as const, part: 'load' as const, lost: claim.lost },
    iterationId: givenUpIterationId(claim, input),
  };
  return countedStage(deps.database, userId, input, stage, () => loadClaimed(deps, input));
}

/** Where it is written that the mission could not even be read: its due instant is not known then, and nothing of it is looked at any more. */
const givenUpIterationId = (claim: Claim, input: LoadRunInput): IterationId =>
  claim.iterationId ??
  iterationIdOf(JSON.stringify(['given-up', input.userId, input.missionId, input.runId]));

async function loadClaimed(deps: RunnerDependencies, input: LoadRunInput): Promise<LoadRunResult> {
  const result = await deps.database.asUser(input.userId, async (tx) => {
    lockMission(tx, input.missionId);
    const gated = await passGates(deps, tx, input);
    // A run that ends here has nothing to finish under the slot, unless the next instant is still to be written. What a dead run
    // left, from which it took the mission over, would lie there until the next one.
    if (gated.outcome !== 'ready' && gated.iterationId === null) {
      releaseAndForget(tx, input);
    }
    return gated;
  });
  if (result.outcome === 'ready' && result.agentId !== null) {
    const claimed = await claimAgentSlot(deps, input.userId, { ...input, agentId: result.agentId });
    if (!claimed) throw new SlotBusyError(result.iterationId, result.longestWaitMs);
  }
  return result;
}

async function passGates(
  deps: RunnerDependencies,
  tx: UserTransaction,
  input: LoadRunInput,
): Promise<LoadRunResult> {
  // None of them needs another's answer.
  const [slot, read, planningStop, clock] = await Promise.all([
    findOwnSlot(tx, input),
    readMission(tx, input.missionId),
    readPlanningStop(tx),
    readClockAndZone(tx, input.missionId),
  ]);
  // It was ended after it had claimed its mission, and another run has that: nobody would end what it claims of the log.
  if (slot === null) return refused('already-running');
  const claimed = await openClaimOf(tx, slot);
  // As `setSlotIteration` does at first: a workflow task that fails behind this stage, however often, is no worker that died of it.
  if (claimed !== null) endStage(tx, input, 'load', 0);
  if (read === null) return refused('deleted', claimed);
  const { mission } = read;
  if (mission.state !== 'active') return refused('paused', claimed);
  // Nothing is written, so the instant stays due: it is started once planning is resumed. An instant that was claimed is finished.
  if (claimed === null && planningStop !== null) return refused('paused');
  const dueAtMs = claimed === null ? dueAt(mission, input) : nominalMs(input);
  const key = claimed === null ? keyOfRun(input, dueAtMs) : null;
  if (claimed === null && key === null) return refused('not-due');

  const iterationId = claimed ?? iterationIdOf(key ?? '');
  const instant = input.trigger === 'run-now' ? null : dueAtMs;
  if (claimed === null) {
    setSlotIteration(tx, { missionId: input.missionId, runId: input.runId, iterationId });
    if ((await claimState(tx, iterationId)) === 'ended') return { outcome: 'already-written', iterationId };
  }
  const { iterations } = read.merged.record;
  if (instant !== null && ranElsewhere(iterations, instant, clock.nowMs))
    return { outcome: 'ran-elsewhere', iterationId };

  // An agent that is gone, or another user's, names nobody: the mission runs as one without an agent.
  const agent = mission.agentId === null ? null : ((await readAgent(tx, mission.agentId))?.agent ?? null);
  if (agent !== null && agent.state !== 'active') return { outcome: 'agent-paused', iterationId };
  const budgetExhausted = await isBudgetUsedUp(deps, tx, agent);
  const tooLarge = isTooLarge(read);
  if (tooLarge) countPutAside('mission');
  const run = {
    ...ready(deps, tx.userId, mission, iterationId, agent?.id ?? null, clock.nowMs),
    budgetExhausted,
    tooLarge,
  };
  if (claimed === null)
    await claimInstant(
      tx,
      { missionId: input.missionId, iterationId, startedAtMs: input.startedAtMs, dueAtMs: instant },
      { read, agent },
      clock,
    );
  return instant === null ? run : { ...run, dueAtMs: instant };
}

/** The iteration that an earlier attempt of this run claimed, or a run that was reset; null where there is none. */
async function openClaimOf(
  tx: UserTransaction,
  { iterationId }: Pick<RunSlot, 'iterationId'>,
): Promise<IterationId | null> {
  if (iterationId === null) return null;
  return (await claimState(tx, iterationId)) === 'open' ? iterationId : null;
}

/** Then nothing is opened; whether a round may be asked is decided again before each of them. */
async function isBudgetUsedUp(
  deps: RunnerDependencies,
  tx: UserTransaction,
  agent: Agent | null,
): Promise<boolean> {
  const maxTokens = tokensPerDay(agent, deps.planner.defaultTokensPerDay);
  if (maxTokens === null) return false;
  const { usedTokens } = await readBudget(tx, agent?.id ?? null);
  return usedTokens >= maxTokens;
}

/** Before the array of iterations can no longer be written, so that the user can be told. */
const LARGEST_ITERATIONS_CHARS = 6_000_000;

const isTooLarge = ({ tooLarge, merged }: ReadMission): boolean =>
  tooLarge.length > 0 ||
  JSON.stringify(merged.record['iterations'] ?? null).length > LARGEST_ITERATIONS_CHARS;

const refused = (outcome: RefusedRun['outcome'], iterationId: IterationId | null = null): RefusedRun => ({
  outcome,
  iterationId,
});

const ready = (
  deps: RunnerDependencies,
  userId: UserId,
  mission: Mission,
  iterationId: IterationId,
  agentId: string | null,
  nowMs: number,
): LoadedRun => ({
  outcome: 'ready',
  iterationId,
  agentId,
  grant: grantState(deps, userId, mission.grant, nowMs),
  ownFieldsEncrypted: ENCRYPTED_MISSION_FIELDS.some((field) => isEncryptedValue(mission[field])),
  maxRounds: deps.planner.maxRounds,
  heartbeatTimeoutMs: deps.heartbeatTimeoutMs,
  longestWaitMs: Math.min(cadencePeriodMs(mission.cadence ?? { kind: 'manual' }) ?? DAY_MS, DAY_MS),
});

const DAY_MS = 24 * 3_600_000;

/** The text that names this run's due instant, or null when the mission is not due. */
function keyOfRun(input: LoadRunInput, dueAtMs: number | null): string | null {
  if (input.trigger === 'run-now') return runNowKey(input.userId, input.missionId, input.workflowId);
  return dueAtMs !== null && isDue(dueAtMs, input) ? dueKey(input.userId, input.missionId, dueAtMs) : null;
}

/** Not before the instant that the run is due at; that one is not in the record any more once it was claimed. */
const nominalMs = (input: LoadRunInput): number => input.scheduledAtMs ?? input.startedAtMs;

/** Cron missions of today's web app have no `nextRunAt` (docs/platform.md section 2): there the schedule's instant counts. */
const dueAt = (mission: Mission, input: LoadRunInput): number | null =>
  instantMs(mission.nextRunAt) ?? (mission.cadence?.kind === 'cron' ? input.scheduledAtMs : null);

/** Tries the grant and keeps nothing of it. */
function grantState(
  deps: RunnerDependencies,
  userId: UserId,
  grant: unknown,
  nowMs: number,
): 'usable' | GrantProblem {
  if (grant === null) return 'absent';
  const unwrapped = unwrapGrant({ privateKeys: deps.privateKeys, userId, grant, nowMs });
  if (!unwrapped.ok) {
    countUnwrapFailure(unwrapped.reason);
    return unwrapped.reason;
  }
  unwrapped.mdk.fill(0);
  return 'usable';
}
