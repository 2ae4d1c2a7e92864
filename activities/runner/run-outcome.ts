import type { RunnerDependencies } from './dependencies.ts';
import { claimState } from './claim-instant.ts';
import { missionWords } from './run-contents.ts';
import { unsealInputs } from './resolve-inputs.ts';
import { missionDataKey, standingRunKey } from './run-keys.ts';
import { readRounds } from './transcript.ts';
import type { UserTransaction } from '#db/client.ts';
import type { ReadMission } from '#db/missions.ts';
import { recordKey } from '#db/sync-changes.ts';
import { unknownTokensOfIteration } from '#db/token-usage.ts';
import { GrantUnusableError, RunKeyLostError } from '#domain/base/errors.ts';
import { languageOfRounds } from '#domain/planner/plan/iteration-summary.ts';
import { languageOf, type PromptLanguage } from '#domain/base/language.ts';
import { failureOfRounds } from '#domain/planner/plan/plan-failure.ts';
import { stepsOfRounds, type Notice, type StoredRound } from '#domain/planner/plan/stored-round.ts';
import type { EndCause, WriteIterationInput, WriteIterationResult } from '#domain/run/run.ts';
import type { RunFailure } from '#domain/wire/iteration.ts';

/** What is to be written, once the transcript is open; in the language that the user reads. */
export type Outcome =
  | { readonly kind: 'planned'; readonly rounds: readonly StoredRound[]; readonly language: PromptLanguage }
  | { readonly kind: 'failed'; readonly failure: RunFailure; readonly language: PromptLanguage }
  /** A claim ends without a plan and without a fault of the run's own. */
  | { readonly kind: 'ended'; readonly cause: EndCause; readonly language: PromptLanguage }
  | { readonly kind: 'advance-only' };

/**
 * What a run comes to that may not plan: its claim ends, or without one only the next instant is written. Of a mission or an
 * agent that was stopped meanwhile nothing else is written, whatever the run had planned.
 */
export async function endOf(
  deps: RunnerDependencies,
  tx: UserTransaction,
  input: WriteIterationInput,
  read: ReadMission,
  cause: EndCause,
): Promise<Outcome> {
  const claim = await claimState(tx, input.iterationId);
  if (claim !== 'open') return { kind: 'advance-only' };
  return { kind: 'ended', cause, language: await languageOfEnd(deps, tx, input, read) };
}

/** What was sealed for the run tells its language, unless the grant has ended. */
async function languageOfEnd(
  deps: RunnerDependencies,
  tx: UserTransaction,
  input: WriteIterationInput,
  read: ReadMission,
): Promise<PromptLanguage> {
  const plainLanguage = languageOf(Object.values(missionWords(read.mission, {})));
  if (!input.grantUsable) return plainLanguage;
  let mdk: Buffer;
  try {
    mdk = await missionDataKey(deps, tx, read);
  } catch (error) {
    if (!(error instanceof GrantUnusableError)) throw error;
    return plainLanguage;
  }
  try {
    return await languageOfSealedWords(tx, input, read, mdk);
  } finally {
    mdk.fill(0);
  }
}

/** A plan whose transcript no longer opens (the grant ended in the last moment) becomes a failure that says so. */
export async function outcomeOf(
  deps: RunnerDependencies,
  tx: UserTransaction,
  input: WriteIterationInput,
  read: ReadMission,
): Promise<Outcome> {
  const { result } = input;
  if (result.kind === 'advance-only') return { kind: 'advance-only' };
  const plainLanguage = languageOf(Object.values(missionWords(read.mission, {})));
  const failed = (failure: RunFailure, language = plainLanguage): Outcome => ({
    kind: 'failed',
    failure,
    language,
  });
  let key: Buffer;
  try {
    key = input.grantUsable ? await missionDataKey(deps, tx, read) : await standingRunKey(deps, tx, input);
  } catch (error) {
    const isLost = error instanceof RunKeyLostError;
    if (!isLost && !(error instanceof GrantUnusableError)) throw error;
    if (result.kind === 'failed') return failed(result.failure);
    if (result.cutShort !== undefined) return failed(result.cutShort);
    if (isLost) return failed({ code: 'run-interrupted', phase: 'finalizing' });
    return failed({ code: `grant-${error.problem}`, phase: 'finalizing' });
  }
  try {
    const ownLanguage = (): Promise<PromptLanguage> | PromptLanguage =>
      input.grantUsable ? languageOfSealedWords(tx, input, read, key) : plainLanguage;
    // What is stored decides, not what the workflow was told: an activity of several rounds that never returned had kept
    // those before the last one, and they were paid for.
    const stored = await readRounds({ tx, run: input, key });
    const cause = result.kind === 'failed' ? result.failure : result.cutShort;
    const cutBy = isWhole(deps, stored) ? undefined : cause;
    if (cutBy !== undefined && stepsOfRounds(stored).length === 0) return failed(cutBy, await ownLanguage());
    if (stored.length === 0)
      return failed({ code: 'run-interrupted', phase: 'finalizing' }, await ownLanguage());
    const rounds = cutBy === undefined ? stored : await cutShort(tx, input, stored, cutBy);
    const language = languageOfRounds(rounds) ?? (await ownLanguage());
    const failure = failureOfRounds(rounds);
    return failure === null ? { kind: 'planned', rounds, language } : failed(failure, language);
  } finally {
    key.fill(0);
  }
}

/** No round was to follow: what failed behind it took nothing from the plan, also from one that says that nothing is needed. */
const isWhole = ({ planner }: RunnerDependencies, rounds: readonly StoredRound[]): boolean =>
  rounds.at(-1)?.finished === true || rounds.length >= planner.maxRounds;

/**
 * The last round that came about tells why there is no more, and what the one behind it cost; the user gets its steps all the
 * same.
 */
async function cutShort(
  tx: UserTransaction,
  { iterationId }: WriteIterationInput,
  rounds: readonly StoredRound[],
  { code }: RunFailure,
): Promise<readonly StoredRound[]> {
  const last = rounds.at(-1);
  if (last === undefined) return rounds;
  const told = rounds
    .flatMap(({ notices }) => notices)
    .reduce((sum, notice) => sum + (notice.kind === 'unknown-spend' ? notice.estimatedTokens : 0), 0);
  const estimatedTokens = (await unknownTokensOfIteration(tx, iterationId)) - told;
  const notices: Notice[] = [
    ...last.notices,
    { kind: 'cut-short', code },
    ...(estimatedTokens > 0 ? [{ kind: 'unknown-spend' as const, estimatedTokens }] : []),
  ];
  return [...rounds.slice(0, -1), { ...last, notices }];
}

/** Of the mission's own words as far as they can be read; German where none of them can. */
async function languageOfSealedWords(
  tx: UserTransaction,
  input: WriteIterationInput,
  read: ReadMission,
  mdk: Buffer,
): Promise<PromptLanguage> {
  const { records } = await unsealInputs({ tx, run: input, key: mdk }, ['aiMissions']);
  const own = records.get(recordKey('aiMissions', input.missionId)) ?? {};
  return languageOf(Object.values(missionWords(read.mission, own)));
}

export function resultOf(outcome: Outcome): WriteIterationResult {
  if (outcome.kind === 'advance-only') return { outcome: 'advanced', steps: 0, failureCode: null };
  if (outcome.kind === 'ended') {
    const isStopped = outcome.cause === 'stopped';
    return { outcome: isStopped ? 'stopped' : 'advanced', steps: 0, failureCode: null };
  }
  if (outcome.kind === 'failed') return { outcome: 'failed', steps: 0, failureCode: outcome.failure.code };
  const steps = stepsOfRounds(outcome.rounds).length;
  const totalTokens = outcome.rounds.reduce((sum, { reply }) => sum + reply.totalTokens, 0);
  const rounds = outcome.rounds.length;
  return { outcome: steps === 0 ? 'empty-plan' : 'planned', steps, failureCode: null, rounds, totalTokens };
}
