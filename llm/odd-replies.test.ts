import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  conversationOf,
  type ChatMessage,
  type ConversationRound,
} from '#domain/planner/plan/conversation.ts';
import { planReply } from '#domain/planner/plan/plan.ts';
import type { PlanStep } from '#domain/wire/iteration.ts';
import { boundedReply } from '#domain/planner/model/planner-reply.ts';
import { endOfRound } from '#domain/planner/plan/round-end.ts';
import { toolsByName } from '#domain/planner/tools/tool-catalog.ts';
import { callableTools } from '#domain/planner/tools/tool-choice.ts';
import { strictRequestProblems } from '#test/support/strict-provider.ts';
import { encodeRequest } from './gateway.ts';
import { readReply } from './reply-schema.ts';

const PROMPT: ChatMessage[] = [
  { role: 'system', content: 's' },
  { role: 'user', content: 'u' },
];
const tools = callableTools(null, []);
const offered = toolsByName(tools);

const oddText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '',
    ' ',
    '\ud83d',
    'a\u0000',
    '<think>',
    '</think>Fertig',
    'recorded',
    '…',
    '{"a":1}',
    'Gut.',
  ),
  fc.constantFrom(
    '<|channel|>analysis<|message|>x',
    '<|tool_call|>',
    'create_task(x',
    '[TOOL_CALLS]',
    '<|im_end|>',
  ),
);
const anything = fc.oneof(oddText, fc.jsonValue(), fc.constant(undefined));
const args = fc.oneof(
  anything,
  fc
    .record({ title: anything, priority: anything }, { requiredKeys: [] })
    .map((made) => JSON.stringify(made)),
);
const call = fc.oneof(
  anything,
  fc.record(
    {
      id: fc.oneof(anything, fc.constantFrom('call_0', 0)),
      function: fc.record(
        {
          name: fc.oneof(anything, fc.constantFrom('create_task', 'functions.create_note')),
          arguments: args,
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  ),
);
const message = fc.record(
  {
    content: fc.oneof(anything, fc.array(fc.oneof(anything, fc.record({ type: oddText, text: anything })))),
    tool_calls: fc.oneof(anything, fc.array(call, { maxLength: 4 })),
    function_call: anything,
    refusal: anything,
  },
  { requiredKeys: [] },
);
const finishReason = fc.oneof(anything, fc.constantFrom('stop', 'length', 'error', 'tool_calls', 'refusal'));
const bodies = fc.array(
  fc.record({ message, finish_reason: finishReason }).map((choice) => JSON.stringify({ choices: [choice] })),
  { minLength: 1, maxLength: 4 },
);

/** The rounds of a run with these bodies, and the steps so far. */
function roundsOf(texts: readonly string[]): ConversationRound[] {
  const rounds: ConversationRound[] = [];
  const steps: PlanStep[] = [];
  for (const bodyText of texts) {
    const read = readReply({ bodyText, resolvedModel: null });
    if (read === null) throw new Error('no reply');
    const reply = boundedReply(read);
    const { newSteps, toolResults } = planReply({
      ...{ reply, offered, previousSteps: steps, round: rounds.length + 1 },
      reads: { tools: new Map(), answer: () => '' },
      review: () => ({ flags: [], drop: false }),
      ...{ facts: null, openSteps: [], stepId: String },
    });
    const end = endOfRound(
      { reply, toolResults },
      {
        earlier: rounds.map(({ flaw = null, ...round }) => ({ ...round, flaw })),
        ...{ plannedSteps: steps.length, newSteps: newSteps.length, isLast: false },
      },
    );
    steps.push(...newSteps);
    rounds.push({ reply, toolResults, ...end });
    if (end.finished) break;
  }
  return rounds;
}

it('whatever a model replies, the next request is one that every provider takes', () =>
  fc.assert(
    fc.property(bodies, (texts) => {
      const rounds = roundsOf(texts);
      // Of a run that has ended nothing is sent any more.
      const asked = rounds.at(-1)?.finished === true ? rounds.slice(0, -1) : rounds;
      const messages = conversationOf({ prompt: PROMPT, rounds: asked, language: 'de' });
      expect(strictRequestProblems(encodeRequest({ model: 'm', messages, tools }))).toEqual([]);
    }),
    { numRuns: 300 },
  ));
