import { fitConversation, tokensOfMessages } from '#domain/planner/plan/fit-conversation.ts';
import { fitPrompt } from '#domain/planner/prompt/planner-prompt.ts';
import {
  conversationOf,
  type ChatMessage,
  type ConversationRound,
} from '#domain/planner/plan/conversation.ts';
import { planReply } from '#domain/planner/plan/plan.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { answerRead } from '#domain/planner/prompt/read-tools.ts';
import { endOfRound, type RoundEnd } from '#domain/planner/plan/round-end.ts';
import { fillOfFirstRound, toolsOfRound } from '#domain/planner/prompt/round-tools.ts';
import { toGatewayTool, toolsByName, type GatewayTool } from '#domain/planner/tools/tool-catalog.ts';
import { toolsTokens } from '#domain/planner/tools/tool-choice.ts';
import { readChars, replyTokens, requestTokens, type ModelWindow } from '#domain/planner/model/window.ts';
import type { Scenario } from './scenarios.ts';

export interface SimulatedRound {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly GatewayTool[];
  /** `max_tokens`. */
  readonly maxTokens: number;
}

type Model = (round: number, tools: ReadonlySet<string>) => PlannerReply;

/** That of a runner without settings of its own. */
const WINDOW: ModelWindow = { contextTokens: 128_000, maxReplyTokens: 8_192 };

/** The requests of a run with a scripted model, made by the product's own rules; without databases. */
export function simulateRun(
  { prompt, policy, records }: Scenario,
  model: Model,
  window: ModelWindow = WINDOW,
): SimulatedRound[] {
  const { agent, mission } = prompt;
  const words = [...Object.values(mission), agent?.role ?? null, agent?.systemPrompt ?? null];
  const first = fitPrompt(prompt, fillOfFirstRound({ policy, records, words, earlier: [], window }));
  const rounds: SimulatedRound[] = [];
  const done: (ConversationRound & {
    readonly flaw: RoundEnd['flaw'];
    readonly steps: ReturnType<typeof planReply>['newSteps'];
  })[] = [];
  for (let round = 1; round <= prompt.maxRounds; round += 1) {
    const earlier = done.map((each) => each.reply);
    const conversation = conversationOf({ prompt: first, rounds: done, language: prompt.language });
    const tools = { policy, records, words, earlier, window };
    const { callable, offered, reads } = toolsOfRound(tools, first, conversation);
    const toolTokens = toolsTokens(offered);
    const messages = fitConversation(conversation, requestTokens(window) - toolTokens);
    rounds.push({
      ...{ messages, tools: offered.map(toGatewayTool) },
      maxTokens: replyTokens(window, tokensOfMessages(messages) + toolTokens),
    });
    const reply = model(round, new Set(offered.map(({ name }) => name)));
    const previousSteps = done.flatMap(({ steps }) => steps);
    const { newSteps, toolResults } = planReply({
      ...{ reply, round, previousSteps, offered: toolsByName(callable), maxReadChars: readChars(window) },
      reads: {
        tools: toolsByName(reads),
        answer: (toolName, params) =>
          answerRead(toolName, params, { ...prompt, records, maxChars: readChars(window) }),
      },
      ...{ facts: null, openSteps: [] },
      review: () => ({ flags: [], drop: false }),
      stepId: (index) => `step-${index}`,
    });
    const end = endOfRound(
      { reply, toolResults },
      {
        ...{ earlier: done, plannedSteps: previousSteps.length, newSteps: newSteps.length },
        isLast: round === prompt.maxRounds,
      },
    );
    done.push({ ...end, reply, toolResults, steps: newSteps });
    if (end.finished) break;
  }
  return rounds;
}

const call = (name: string, args: Record<string, unknown>) => ({ id: '', name, arguments: args });
const reply = (content: string | null, toolCalls: PlannerReply['toolCalls']): PlannerReply => ({
  ...{ content, toolCalls, finishReason: toolCalls.length === 0 ? 'stop' : 'tool_calls' },
  ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0, resolvedModel: null },
});

/** Reads where it can, then plans a week, then closes with a few words. */
export const typicalModel: Model = (round, tools) => {
  const reads = ['list_tasks', 'list_notes'].filter((name) => tools.has(name));
  if (round === 1 && reads.length > 0)
    return reply(
      null,
      reads.map((name) => call(name, {})),
    );
  const isPlanned = round > (reads.length > 0 ? 2 : 1);
  if (isPlanned)
    return reply(
      'Zwei Termine für das Angebot und das Zelt, und der Zahnarzt als Aufgabe. Freitag bleibt frei.',
      [],
    );
  return reply(null, [
    call('create_event', {
      ...{ title: 'Angebot Adler: drei Varianten', startTime: '2026-12-01T14:00:00+01:00' },
      ...{ endTime: '2026-12-01T16:00:00+01:00', description: 'Die mittlere mit Wartung.' },
    }),
    call('create_event', {
      ...{ title: 'Zelt prüfen', startTime: '2026-12-02T15:00:00+01:00' },
      ...{ endTime: '2026-12-02T15:45:00+01:00' },
    }),
    call('create_task', {
      title: 'Praxis anrufen: Zahnarzttermin',
      dueDate: '2026-12-01',
      priority: 'medium',
    }),
  ]);
};
