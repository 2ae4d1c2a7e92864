import { randomBytes } from 'node:crypto';
import type { RunContents } from '#activities/runner/run-contents.ts';
import type { ReadMission } from '#db/missions.ts';
import type { BudgetReminder } from '#domain/run/budget.ts';
import type { ChatMessage } from '#domain/planner/plan/conversation.ts';
import { instantMs } from '#domain/base/instant.ts';
import type { PromptLanguage } from '#domain/base/language.ts';
import type { UserZone } from '#domain/base/local-time.ts';
import { fitPrompt } from '#domain/planner/prompt/planner-prompt.ts';
import type { UnreadableInput } from '#domain/planner/prompt/prompt-inputs.ts';
import type { ResearchNote } from '#domain/run/research.ts';
import { flaggedInputsOf, knownUrlsOf } from '#domain/planner/prompt/prompt-sources.ts';
import type { FlaggedInput } from '#domain/planner/plan/stored-round.ts';

/** The first round's messages, and what the write-back has to know of them; the fields of a `StoredRound`. */
export interface ResolvedPrompt {
  readonly prompt: ChatMessage[];
  readonly unreadableInputs: UnreadableInput[];
  readonly language: PromptLanguage;
  readonly flaggedInputs: FlaggedInput[];
  readonly knownUrls: string[];
  readonly unopened: { readonly table: string; readonly recordId: string }[];
}

export interface PromptCircumstances {
  readonly nowMs: number;
  readonly timeZone: UserZone;
  /** Null without research. */
  readonly research: ResearchNote | null;
  /** Null while it is not worth saying. */
  readonly budget: BudgetReminder | null;
  /** How often the model is asked at most. */
  readonly maxRounds: number;
  /** How much of their room in the model's window these messages fill, with their tools; they fit up to 1. */
  readonly fillOf: (messages: readonly ChatMessage[]) => number;
}

/** Builds the first round's messages. Pure, but for the delimiter, which nobody may guess. */
export function resolvePrompt(
  opened: RunContents,
  read: ReadMission,
  { research, fillOf, ...circumstances }: PromptCircumstances,
): ResolvedPrompt {
  const { cadence, nextRunAt, iterations } = read.mission;
  const sources = { ...opened, research, recentIterations: iterations };
  const delimiter = randomBytes(12).toString('hex');
  const prompt = fitPrompt(
    {
      ...{ ...sources, ...circumstances, cadence, delimiter },
      nextRunAtMs: instantMs(nextRunAt),
      hasMoreRecords: opened.records.length > opened.inputs.length,
    },
    fillOf,
  );
  const shown = { messages: prompt, delimiter };
  const flaggedInputs = flaggedInputsOf(sources, shown);
  return {
    prompt,
    unreadableInputs: [...opened.unreadableInputs],
    language: opened.language,
    flaggedInputs,
    knownUrls: knownUrlsOf(sources, shown, flaggedInputs),
    unopened: [...opened.unopened],
  };
}
