import type { AgentPolicy } from '#domain/wire/agent.ts';
import type { ChatMessage } from '#domain/planner/plan/conversation.ts';
import { tokensOfMessages, tokensThatStay } from '#domain/planner/plan/fit-conversation.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { delimiterOf, readToolsFor, readToolsToOffer } from './read-tools.ts';
import type { MissionInput } from '#domain/wire/mission.ts';
import type { ToolDefinition } from '#domain/planner/tools/tool-catalog.ts';
import { chooseTools, toolsTokens, type ToolChoice } from '#domain/planner/tools/tool-choice.ts';
import {
  FIRST_ROUND_SHARE,
  requestTokens,
  toolRoom,
  type ModelWindow,
} from '#domain/planner/model/window.ts';

/** What the tools of a round depend on, besides the prompt. */
export interface ToolsOfRun {
  /** Null for a mission without an agent. */
  readonly policy: AgentPolicy | null;
  readonly records: readonly MissionInput[];
  /** The user's own: of the mission and of the agent's persona. */
  readonly words: readonly (string | null)[];
  /** Replies of the rounds so far. */
  readonly earlier: readonly Pick<PlannerReply, 'toolCalls'>[];
  readonly window: ModelWindow;
}

export interface RoundTools extends ToolChoice {
  /** What is answered at once, offered or not. */
  readonly reads: readonly ToolDefinition[];
}

/**
 * @param prompt the first messages of the run: what they show whole needs no reading tool
 * @param conversation the messages of a further round, the prompt among them
 */
export function toolsOfRound(
  { policy, records, words, earlier, window }: ToolsOfRun,
  prompt: readonly ChatMessage[],
  conversation: readonly ChatMessage[] = [],
): RoundTools {
  const delimiter = delimiterOf(prompt);
  // Data that cannot be marked as data is not read.
  const reads = delimiter === null ? [] : readToolsFor(policy, records);
  const worthOffering =
    delimiter === null ? [] : readToolsToOffer(reads, records, { messages: prompt, delimiter });
  const room = toolRoom(window, tokensThatStay(conversation));
  return { reads, ...chooseTools({ policy, records, words, earlier, reads: worthOffering, room }) };
}

/** How much of its room in a window a first round fills, with its tools; see `fitPrompt`. */
export const fillOfFirstRound =
  (run: ToolsOfRun) =>
  (messages: readonly ChatMessage[]): number =>
    (tokensOfMessages(messages) + toolsTokens(toolsOfRound(run, messages).offered)) /
    (requestTokens(run.window) * FIRST_ROUND_SHARE);
