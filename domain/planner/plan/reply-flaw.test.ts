import { describe, expect, it } from 'vitest';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { flawOf } from './reply-flaw.ts';

const replyOf = (more: Partial<PlannerReply>): PlannerReply => ({
  ...{ content: null, toolCalls: [], finishReason: 'stop', resolvedModel: null },
  ...{ totalTokens: 0, promptTokens: 0, completionTokens: 0 },
  ...more,
});
const toolCalls = [{ id: '', name: 'create_task', arguments: {} }];

describe('what is wrong with a reply', () => {
  it.each<[string | null, number, Partial<PlannerReply>]>([
    ['empty', 0, {}],
    ['empty', 0, { content: ' ', finishReason: null }],
    ['empty', 0, { finishReason: 'tool_calls' }],
    ['empty', 3, { finishReason: 'tool_calls' }],
    // The model has planned, and has no word to add.
    [null, 3, {}],
    ['provider-error', 0, { finishReason: 'error', content: 'Ich wür' }],
    ['provider-error', 3, { finishReason: 'error' }],
    ['refused', 0, { finishReason: 'refusal', content: 'Das kann ich nicht.' }],
    ['call-as-text', 0, { content: '{"name": "create_task"}' }],
    ['call-as-text', 0, { content: '<tool_call>{"na', finishReason: 'length' }],
    [null, 0, { finishReason: 'content_filter' }],
    [null, 0, { finishReason: 'length' }],
    [null, 0, { content: 'Nichts zu tun.' }],
    [null, 0, { toolCalls, finishReason: 'error' }],
    [null, 0, { toolCalls, content: '<tool_call>' }],
  ])('is %s after %i steps: %j', (flaw, steps, reply) => expect(flawOf(replyOf(reply), steps)).toBe(flaw));
});
