import { readCompaction } from './compact-transcript.ts';
import type { RunnerDependencies } from './dependencies.ts';
import type { OpenedRun } from './open-run.ts';
import { readResearchNote } from './research.ts';
import { resolvePrompt } from './resolve-prompt.ts';
import { readBudget } from '../../db/budget-reservations.ts';
import type { UserTransaction } from '../../db/client.ts';
import type { ReadMission } from '../../db/missions.ts';
import { readClockMs } from '../../db/sync-changes.ts';
import { timeZoneOfMission } from '../../db/time-zones.ts';
import type { Agent } from '../../domain/agent.ts';
import { budgetReminder } from '../../domain/budget.ts';
import type { BudgetReminder } from '../../domain/budget.ts';
import { conversationOf } from '../../domain/conversation.ts';
import type { ChatMessage } from '../../domain/conversation.ts';
import { toMissionId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import { openStepsOf } from '../../domain/open-steps.ts';
import { flaggedBlocksIn } from '../../domain/prompt-sources.ts';
import { delimiterOf, readToolsFor, readToolsToOffer } from '../../domain/read-tools.ts';
import { promptMessages } from '../../domain/round-entry.ts';
import type { RoundEntry } from '../../domain/round-entry.ts';
import type { PlanRoundInput } from '../../domain/run.ts';
import type { AskedOfRound } from '../../domain/stored-request.ts';
import { chooseTools } from '../../domain/tool-choice.ts';
import type { CompletionRequest } from '../../llm/gateway.ts';

/** What the model is asked in a round, and what has to be known to make steps of its reply. */
export interface RoundRequest {
  readonly request: CompletionRequest;
  readonly asked: AskedOfRound;
}

/** The messages and the tools of a round; all of it is text by now, whatever the records say later. */
export async function roundRequestOf(
  deps: RunnerDependencies,
  tx: UserTransaction,
  userId: UserId,
  input: PlanRoundInput,
  run: {
    readonly read: ReadMission;
    /** Of the transcript, 32 bytes. */
    readonly key: Buffer;
    readonly earlier: readonly RoundEntry[];
    readonly opened: OpenedRun;
    readonly agent: Agent | null;
  },
): Promise<RoundRequest> {
  const { earlier, opened, agent } = run;
  const [first] = earlier;
  const research = await readResearchNote(tx, userId, input, run.key);
  const kept = first?.prompt ?? null;
  const nowMs = await readClockMs(tx);
  const timeZone = await timeZoneOfMission(tx, userId, toMissionId(input.missionId));
  const opening =
    kept !== null
      ? null
      : resolvePrompt(opened, run.read, {
          nowMs,
          timeZone,
          research,
          budget: await reminderOf(tx, userId, agent),
          maxRounds: deps.planner.maxRounds,
        });
  const prompt = kept ?? opening?.prompt ?? [];
  const delimiter = delimiterOf(prompt);
  // Looking through the whole prompt again costs tens of milliseconds, and most runs bear no mark.
  const isFlagged = [...earlier, ...(opening === null ? [] : [opening])].some(
    ({ flaggedInputs }) => flaggedInputs.length > 0,
  );
  const policy = agent?.policy ?? null;
  // Data that cannot be marked as data is not read.
  const reads = delimiter === null ? [] : readToolsFor(policy, opened.records);
  const { callable, offered } = chooseTools({
    ...{ policy, records: opened.records },
    reads: delimiter === null ? [] : readToolsToOffer(reads, opened.records, { messages: prompt, delimiter }),
    words: [...Object.values(opened.mission), opened.agent?.role ?? null, opened.agent?.systemPrompt ?? null],
    earlier: earlier.map(({ reply }) => reply),
  });
  const compaction = first === undefined ? null : await readCompaction(tx, userId, input, run.key);
  const messages = conversationOf({
    ...{ prompt, compaction, rounds: earlier, language: first?.language ?? opened.language },
  });
  const isLast = input.round >= deps.planner.maxRounds;
  return {
    request: {
      ...{ model: deps.planner.model, messages, tools: offered },
      // Whatever it called now, nobody would answer; a run of one round has to plan in it.
      toolChoice: isLast && input.round > 1 ? 'none' : 'auto',
    },
    asked: {
      opening: opening === null ? null : { ...opening, prompt: promptMessages(opening.prompt) },
      planned: callable.map(({ name }) => name),
      answered: reads.map(({ name }) => name),
      compactedUpTo: compaction?.upToRound ?? 0,
      delimiter,
      flaggedTexts:
        delimiter === null || !isFlagged ? [] : flaggedBlocksIn(textsOf(prompt, earlier), delimiter),
      notices:
        opening !== null && research?.outcome === 'failed'
          ? [{ kind: 'research-failed', research: research.kind }]
          : [],
      facts: {
        ...{ nowMs, timeZone },
        records: opened.records.map(({ module, table, id }) => ({ module, table, id })),
        openSteps: openStepsOf(run.read.mission.iterations),
      },
    },
  };
}

/** What the model has read so far, whether or not it was summarised since. */
export const textsOf = (prompt: readonly ChatMessage[], earlier: readonly RoundEntry[]): string[] => [
  ...prompt.map(({ content }) => content ?? ''),
  ...earlier.flatMap(({ toolResults }) => toolResults.map(({ content }) => content)),
];

/** Before this round's tokens are reserved; the prompt has to be there first. */
async function reminderOf(
  tx: UserTransaction,
  userId: UserId,
  agent: Agent | null,
): Promise<BudgetReminder | null> {
  if (agent === null || agent.maxTokensPerDay === null) return null;
  const { usedTokens } = await readBudget(tx, userId, agent.id);
  return budgetReminder(usedTokens, agent.maxTokensPerDay);
}
