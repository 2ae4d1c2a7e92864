import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { createReadTools, type ReadToolsOfRun } from './read-tools.ts';
import { takeBack } from './ask.ts';
import type { AskedRound } from './prepare.ts';
import { hasReadFlagged, textsOf, windowOf } from './request.ts';
import { resultOfRound } from './result.ts';
import { learnFrom, settleTokens } from '#activities/runner/token-budget.ts';
import { readRounds, storeRound } from '#activities/runner/transcript.ts';
import { lockMission } from '#db/mission-lock.ts';
import { holdCall } from '#db/model-calls.ts';
import { holdsSlot } from '#db/run-slots.ts';
import { unknownTokensOfRound } from '#db/token-usage.ts';
import { shownIdsIn, type ArgumentFacts } from '#domain/planner/tools/argument-checks.ts';
import { GrantUnusableError } from '#domain/base/errors.ts';
import { planReply, type PlannedReply } from '#domain/planner/plan/plan.ts';
import { boundedReply, type PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { readSources } from '#domain/planner/prompt/read-sources.ts';
import { endOfRound, type RoundEnd } from '#domain/planner/plan/round-end.ts';
import {
  promptMessages,
  stepsOfRounds,
  type Notice,
  type StoredRound,
} from '#domain/planner/plan/stored-round.ts';
import type { PlanRoundInput, PlanRoundResult } from '#domain/run/run.ts';
import { readChars } from '#domain/planner/model/window.ts';
import { createStepReview } from '#domain/planner/plan/step-review.ts';
import { toolsNamed } from '#domain/planner/tools/tool-catalog.ts';
import { readReply, type RawReply } from '#llm/reply-schema.ts';
import { countFlaw } from '#metrics/gateway.ts';

/**
 * Makes the round of a reply that is kept: its steps, the answers to its calls and its tokens, in one transaction. May be
 * repeated as often as it fails. If an earlier attempt was faster, its reply is the round. A run that was cancelled or
 * terminated while the gateway answered has forgotten already: then only the tokens are kept.
 *
 * @throws GatewayUnavailableError when the reply holds nothing to read; then the next attempt asks again
 * @throws GrantUnusableError when a tool was to read, and the grant has ended meanwhile; the tokens are kept
 */
export async function keepRound(
  deps: RunnerDependencies,
  input: PlanRoundInput,
  prepared: AskedRound,
  raw: RawReply,
): Promise<PlanRoundResult> {
  const { earlier, key, call } = prepared;
  const received = readReply(raw);
  if (received === null) throw await takeBack(deps, input.userId, { ...prepared, raw });
  const reply = boundedReply(received);
  const window = windowOf(deps, prepared.asked.windowTokens);
  const maxReadChars = readChars(window);
  const wantsToRead = reply.toolCalls.some(({ name }) => prepared.asked.answered.includes(name));
  const kept = await deps.database.asUser(input.userId, async (tx) => {
    // As when a round is prepared: what is read under a grant is read while it cannot be revoked.
    if (wantsToRead && input.grantUsable) lockMission(tx, input.missionId);
    // The slot first, as whoever ends the run does: neither waits for what the other holds.
    const holding = holdsSlot(tx, input);
    holdCall(tx, call);
    const [holds, , unknownTokens] = await Promise.all([
      holding,
      settleTokens(tx, call, reply),
      unknownTokensOfRound(tx, input.iterationId, input.round),
    ]);
    if (!holds) return { ended: true } as const;
    let reads: ReadToolsOfRun = NO_READS;
    try {
      if (wantsToRead) reads = await createReadTools(deps, tx, input, prepared.asked, maxReadChars);
    } catch (error) {
      // Returned, not thrown: the tokens were spent all the same.
      if (error instanceof GrantUnusableError) return { error };
      throw error;
    }
    const entry = entryOf(deps, input, prepared, { reply, reads, unknownTokens, maxReadChars });
    const scope = { tx, run: input, key };
    if (await storeRound(scope, input.round, entry)) return { entry, isNew: true };
    const stored = (await readRounds(scope))[input.round - 1];
    return { entry: stored ?? entry, isNew: false };
  });
  if ('error' in kept) throw kept.error;
  if ('ended' in kept)
    return {
      status: 'transcript-lost',
      steps: stepsOfRounds(earlier).length,
      totalTokens: reply.totalTokens,
    };
  // Only now: a transaction that did not commit is repeated.
  if (kept.isNew && kept.entry.flaw !== null) countFlaw(kept.entry.flaw);
  if (kept.isNew) learnFrom(deps, prepared.size, kept.entry.reply);
  return resultOfRound(earlier, kept.entry, window);
}

const NO_READS: ReadToolsOfRun = {
  records: [],
  tools: new Map(),
  answer: () => 'error: nothing to read here',
};

function entryOf(
  deps: RunnerDependencies,
  input: PlanRoundInput,
  { asked, earlier, size }: AskedRound,
  round: {
    readonly reply: PlannerReply;
    readonly reads: ReadToolsOfRun;
    readonly unknownTokens: number;
    readonly maxReadChars: number;
  },
): StoredRound {
  const { opening } = asked;
  const { reply, reads } = round;
  const isLast = input.round >= deps.planner.maxRounds;
  const knownUrls = [...earlier.flatMap((entry) => entry.knownUrls), ...(opening?.knownUrls ?? [])];
  const outcome = planReply({
    reply,
    offered: toolsNamed(asked.planned),
    reads,
    review: createStepReview({
      knownUrls,
      hasReadFlagged: hasReadFlagged(opening, earlier),
      flaggedTexts: asked.flaggedTexts,
      policyMode: deps.planner.policyMode,
    }),
    facts: factsOf(asked, earlier),
    openSteps: asked.facts?.openSteps ?? [],
    previousSteps: stepsOfRounds(earlier),
    ...{ round: input.round, maxReadChars: round.maxReadChars },
    stepId: (index) => `${input.iterationId}-${index + 1}`,
  });
  const plannedSteps = stepsOfRounds(earlier).length;
  const newSteps = outcome.newSteps.length;
  const end = endOfRound(
    { reply, toolResults: outcome.toolResults },
    { earlier, plannedSteps, newSteps, isLast },
  );
  // The model knows it from the next round on.
  const read = readSources(outcome.toolResults, reads.records, asked.delimiter);
  return {
    prompt: opening === null ? null : promptMessages(opening.prompt),
    unreadableInputs: [...(opening?.unreadableInputs ?? [])],
    reply,
    steps: [...outcome.newSteps],
    toolResults: [...outcome.toolResults],
    ...{ flaw: end.flaw, finished: end.finished },
    language: opening?.language ?? earlier[0]?.language ?? 'de',
    requestTokens: size.tokens,
    compactedUpTo: asked.compactedUpTo,
    shrunk: asked.again === 'smaller' || asked.windowTokens !== null,
    shrunkTo: asked.windowTokens,
    unopened: opening?.unopened ?? null,
    flaggedInputs: [...(opening?.flaggedInputs ?? []), ...read.flaggedInputs],
    knownUrls: [...(opening?.knownUrls ?? []), ...read.knownUrls],
    notices: [
      ...asked.notices,
      ...noticesOf(reply, outcome, {
        ...{ end, isLast, steps: plannedSteps + newSteps },
        unknownTokens: round.unknownTokens,
      }),
    ],
  };
}

/** What the arguments of this round's calls are held against: what the model had read when it made them. */
function factsOf(
  { facts, opening }: AskedRound['asked'],
  earlier: AskedRound['earlier'],
): ArgumentFacts | null {
  if (facts === null) return null;
  const prompt = opening?.prompt ?? earlier[0]?.prompt ?? [];
  return { ...facts, isShown: shownIdsIn(textsOf(prompt, earlier)) };
}

function noticesOf(
  reply: PlannerReply,
  { droppedSteps, refusedSteps, repeatsOpenStep }: PlannedReply,
  round: {
    readonly end: RoundEnd;
    readonly steps: number;
    readonly isLast: boolean;
    readonly unknownTokens: number;
  },
): Notice[] {
  const isFiltered = reply.finishReason === 'content_filter' && round.steps > 0;
  const isCutOff = round.isLast && reply.finishReason === 'length';
  return [
    ...(round.unknownTokens > 0
      ? [{ kind: 'unknown-spend' as const, estimatedTokens: round.unknownTokens }]
      : []),
    ...(droppedSteps > 0 ? [{ kind: 'dropped-steps' as const, count: droppedSteps }] : []),
    ...(repeatsOpenStep ? [{ kind: 'still-open' as const }] : []),
    ...(isFiltered ? [{ kind: 'content-filtered' as const }] : []),
    ...(isCutOff ? [{ kind: 'cut-off' as const }] : []),
    ...(refusedSteps > 0 ? [{ kind: 'plan-full' as const }] : []),
    ...(round.end.repeats ? [{ kind: 'repeats' as const }] : []),
    ...(round.isLast && !round.end.finished && !isCutOff ? [{ kind: 'rounds-used-up' as const }] : []),
  ];
}
