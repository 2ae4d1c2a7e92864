import { readCompaction } from './compact.ts';
import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import type { RunContents, RunOutline } from '#activities/runner/run-contents.ts';
import type { MissionScope } from '#activities/runner/run-scope.ts';
import { readResearchNote } from '#activities/runner/research.ts';
import { resolvePrompt } from './prompt.ts';
import { readBudget } from '#db/budget-reservations.ts';
import type { UserTransaction } from '#db/client.ts';
import type { ResearchTask } from '#db/research-tasks.ts';
import { readClockAndZone } from '#db/time-zones.ts';
import type { Agent } from '#domain/wire/agent.ts';
import { budgetReminder, type BudgetReminder } from '#domain/run/budget.ts';
import { conversationOf, type ChatMessage } from '#domain/planner/plan/conversation.ts';
import { openStepsOf } from '#domain/iteration/open-steps.ts';
import { fitConversation, tokensOfMessages } from '#domain/planner/plan/fit-conversation.ts';
import { flaggedBlocksIn } from '#domain/planner/prompt/prompt-sources.ts';
import { delimiterOf } from '#domain/planner/prompt/read-tools.ts';
import { promptMessages, type StoredRound } from '#domain/planner/plan/stored-round.ts';
import { fillOfFirstRound, toolsOfRound, type ToolsOfRun } from '#domain/planner/prompt/round-tools.ts';
import type { PlanRoundInput } from '#domain/run/run.ts';
import type { AskedAgain, AskedOfRound } from '#domain/planner/plan/stored-request.ts';
import { replyTokens, requestTokens, type ModelWindow } from '#domain/planner/model/window.ts';
import { toolsTokens } from '#domain/planner/tools/tool-choice.ts';
import type { CompletionRequest } from '#llm/gateway.ts';

/** What the model is asked in a round, and what has to be known to make steps of its reply. */
export interface RoundRequest {
  readonly request: CompletionRequest;
  readonly asked: AskedOfRound;
}

/** What the requests of a run are made of. */
export interface RequestedRun {
  readonly earlier: readonly StoredRound[];
  /** Whole where the run has no prompt yet. */
  readonly contents: RunContents | RunOutline;
  readonly agent: Agent | null;
  /** The run's research; null for a later round than the first. */
  readonly task: ResearchTask | null;
  /** How the request is to differ from one that was refused; null for the usual one. */
  readonly again: AskedAgain | null;
  /** What that one had, with room for its reply; for one that is to be smaller. */
  readonly refusedTokens: number | null;
}

/** The messages and the tools of a round; all of it is text by now, whatever the records say later. */
export async function roundRequestOf(
  deps: RunnerDependencies,
  scope: MissionScope<PlanRoundInput>,
  run: RequestedRun,
): Promise<RoundRequest> {
  const { tx, run: input, read } = scope;
  const { earlier, contents, agent, again } = run;
  const [first] = earlier;
  const windowTokens = shrunkWindow(deps, run);
  const window = windowOf(deps, windowTokens);
  const kept = first?.prompt ?? null;
  const [research, { nowMs, timeZone }, compaction] = await Promise.all([
    kept === null ? readResearchNote(scope, run.task) : null,
    readClockAndZone(tx, input.missionId),
    first === undefined ? null : readCompaction(scope),
  ]);
  const opening =
    kept !== null || !('inputs' in contents)
      ? null
      : resolvePrompt(contents, read, {
          ...{ nowMs, timeZone, research, maxRounds: deps.planner.maxRounds },
          budget: await reminderOf(tx, agent),
          fillOf: fillOfFirstRound(toolsOfRun(run, window)),
        });
  const prompt = kept ?? opening?.prompt ?? [];
  const delimiter = delimiterOf(prompt);
  const conversation = conversationOf({
    ...{ prompt, compaction, rounds: earlier, language: first?.language ?? contents.language },
  });
  const { reads, callable, offered } = toolsOfRound(toolsOfRun(run, window), prompt, conversation);
  const messages = fitConversation(conversation, requestTokens(window) - toolsTokens(offered));
  const isLast = input.round >= deps.planner.maxRounds;
  return {
    request: {
      ...{ model: deps.planner.model, messages, tools: offered },
      maxTokens: replyTokens(window, tokensOfMessages(messages) + toolsTokens(offered)),
      // Whatever it called now, nobody would answer; a run of one round has to plan in it.
      toolChoice: isLast && input.round > 1 && again !== 'plainer' ? 'none' : 'auto',
    },
    asked: {
      opening: opening === null ? null : { ...opening, prompt: promptMessages(opening.prompt) },
      planned: callable.map(({ name }) => name),
      answered: reads.map(({ name }) => name),
      ...{ compactedUpTo: compaction?.upToRound ?? 0, again, windowTokens },
      delimiter,
      // Looking through the whole prompt again costs tens of milliseconds, and most runs bear no mark.
      flaggedTexts:
        delimiter === null || !hasReadFlagged(opening, earlier)
          ? []
          : flaggedBlocksIn(textsOf(prompt, earlier), delimiter),
      notices:
        opening !== null && research?.outcome === 'failed'
          ? [{ kind: 'research-failed', research: research.kind }]
          : [],
      facts: {
        ...{ nowMs, timeZone },
        records: contents.records.map(({ module, table, id }) => ({ module, table, id })),
        openSteps: openStepsOf(read.mission.iterations),
      },
    },
  };
}

/**
 * The window of a run's requests, by what the model was seen to count.
 *
 * @param shrunkTo in tokens; null: as it is set
 */
export function windowOf(
  { planner, calibration }: Pick<RunnerDependencies, 'planner' | 'calibration'>,
  shrunkTo: number | null,
): ModelWindow {
  const counted = Math.max(1, calibration.factor(planner.model));
  return {
    contextTokens: (shrunkTo ?? planner.contextTokens) / counted,
    maxReplyTokens: planner.maxReplyTokens,
  };
}

/**
 * What a model that refused a request as too large is taken to have: half of what was asked of it, and so for the rest of the
 * run. Half of the setting alone would often be as large as the request was. Null where nothing was refused.
 */
export function shrunkWindow(
  { planner }: Pick<RunnerDependencies, 'planner'>,
  { earlier, refusedTokens }: Pick<RequestedRun, 'earlier' | 'refusedTokens'>,
): number | null {
  const last = earlier.findLast(({ shrunk }) => shrunk);
  const before = last === undefined ? null : (last.shrunkTo ?? planner.contextTokens / 2);
  return refusedTokens === null ? before : Math.min(before ?? planner.contextTokens, refusedTokens) / 2;
}

const toolsOfRun = ({ agent, contents, earlier }: RequestedRun, window: ModelWindow): ToolsOfRun => ({
  ...{ policy: agent?.policy ?? null, records: contents.records },
  words: [
    ...Object.values(contents.mission),
    contents.agent?.role ?? null,
    contents.agent?.systemPrompt ?? null,
  ],
  ...{ earlier: earlier.map(({ reply }) => reply), window },
});

/** What the model has read so far, whether or not it was summarised since. */
export const textsOf = (prompt: readonly ChatMessage[], earlier: readonly StoredRound[]): string[] => [
  ...prompt.map(({ content }) => content ?? ''),
  ...earlier.flatMap(({ toolResults }) => toolResults.map(({ content }) => content)),
];

/** Whether a source of the run bears marks of injected instructions. */
export const hasReadFlagged = (
  opening: Pick<StoredRound, 'flaggedInputs'> | null,
  earlier: readonly Pick<StoredRound, 'flaggedInputs'>[],
): boolean =>
  [...(opening === null ? [] : [opening]), ...earlier].some(({ flaggedInputs }) => flaggedInputs.length > 0);

/** Before this round's tokens are reserved; the prompt has to be there first. */
async function reminderOf(tx: UserTransaction, agent: Agent | null): Promise<BudgetReminder | null> {
  if (agent === null || agent.maxTokensPerDay === null) return null;
  const { usedTokens } = await readBudget(tx, agent.id);
  return budgetReminder(usedTokens, agent.maxTokensPerDay);
}
