import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compactTranscript } from '#activities/runner/round/compact.ts';
import { modelGateway, type SentRequest } from '#dev/scripted-model.ts';
import { missionAt } from '#dev/web-app.ts';
import { GatewayUnavailableError } from '#domain/base/errors.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import { delimiterOf } from '#domain/planner/prompt/read-tools.ts';
import type { CompletionOptions } from '#llm/gateway.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import {
  call,
  createTask,
  reply,
  STORY_AGENT,
  storiesOf,
  type Stories,
  type Story,
} from '#test/support/round-stories.ts';

const SUMMARY = 'ZUSAMMENFASSUNG-NUR-VERSCHLUESSELT';
const POLICY = { policy: { ...STORY_AGENT.policy, tools: { create_task: 'propose' } } };

let harness: ActivityHarness;
let stories: Stories;
beforeAll(async () => {
  harness = await createActivityHarness('compaction-test');
  stories = storiesOf(harness);
});
afterAll(() => harness.close());

interface Asked {
  readonly request: SentRequest;
  readonly options: CompletionOptions;
}

/** Compacts the rounds so far; the cheaper model answers so. */
async function compact(
  told: Story,
  round: number,
  answer: () => PlannerReply | Promise<PlannerReply>,
  asked: Asked[] = [],
) {
  const gateway = modelGateway((request, options) => {
    asked.push({ request, options });
    return answer();
  });
  const deps = { ...harness.runner, gateway };
  const input = { ...told.run, round, agentId: told.loaded.agentId, grantUsable: false };
  return compactTranscript(deps, input, new AbortController().signal);
}

const summarised = (): PlannerReply => reply({ content: SUMMARY });

/** One round that read a task and planned another. */
async function afterOneRound(agent: Readonly<Record<string, unknown>> = {}): Promise<Story> {
  const told = await stories.write({ t1: { title: 'Zelt', isCompleted: false } }, { ...POLICY, ...agent });
  await told.round(1, () => reply({ toolCalls: [call('list_tasks', {}), createTask('Zelt packen')] }));
  return told;
}

describe('compacting', () => {
  it('replaces the rounds by a summary of the cheaper model, marked as data, that keeps the planned steps', async () => {
    const told = await afterOneRound();
    const asked: Asked[] = [];
    expect(await compact(told, 1, summarised, asked)).toEqual({ compacted: true, totalTokens: 12 });
    expect(asked[0]?.request).toMatchObject({ model: 'mana/fast-text', tools: [] });
    expect(asked[0]?.request.messages[1]?.content).toContain('"title":"Zelt"');

    await told.round(2, () => reply({ content: 'Fertig.' }));
    const delimiter = delimiterOf(told.requests[0]?.messages ?? []) ?? '';
    const [, , summary, resume, ...rest] = told.requests[1]?.messages ?? [];
    expect(summary?.content).toMatch(
      new RegExp(`^<<<${delimiter} summary\n[^<]*${SUMMARY}[^<]*create_task: [^<]*\n${delimiter}>>>$`),
    );
    expect(resume?.role).toBe('user');
    expect(rest).toEqual([]);
  });

  it('is done once for each round, under a key of its own, and goes on from its summary', async () => {
    const told = await afterOneRound();
    const asked: Asked[] = [];
    await compact(told, 1, summarised, asked);
    expect(await compact(told, 1, summarised, asked)).toEqual({ compacted: true, totalTokens: 0 });
    expect(asked).toHaveLength(1);
    await told.round(2, () => reply({ toolCalls: [call('get_task_stats', {})] }));
    await compact(told, 2, () => reply({ content: 'ZWEITE' }), asked);
    expect(asked[1]?.request.messages[1]?.content).toContain(SUMMARY);
    expect(asked[1]?.request.messages[1]?.content).not.toContain('"title":"Zelt"');
    await told.round(3, () => reply({ content: 'Fertig.' }));
    expect(told.requests[2]?.messages[2]?.content).toContain('ZWEITE');
    expect(told.requests[2]?.messages).toHaveLength(4);
    expect(new Set(asked.map(({ options }) => options.idempotencyKey)).size).toBe(2);
    expect(await stories.usage(told)).toEqual([
      { round: 1, purpose: 'compact', tokens: 12 },
      { round: 1, purpose: 'plan', tokens: 12 },
      { round: 2, purpose: 'compact', tokens: 12 },
      { round: 2, purpose: 'plan', tokens: 12 },
      { round: 3, purpose: 'plan', tokens: 12 },
    ]);
  });

  it('keeps the summary encrypted, and forgets it with the run', async () => {
    const told = await afterOneRound();
    await compact(told, 1, summarised);
    const stored = (): Promise<Readonly<Record<string, unknown>>[]> =>
      query(
        harness.databases.superuser.syncUrl,
        'select entry from mana_ai.run_notes where iteration_id = $1',
        [told.run.iterationId],
      );
    const [note] = await stored();
    expect((note?.['entry'] as Buffer).toString('latin1')).not.toContain(SUMMARY.slice(0, 8));
    await told.forget();
    expect(await stored()).toEqual([]);
  });
});

describe('the rounds stay as they are', () => {
  it.each<[string, () => PlannerReply]>([
    ['after an empty reply', () => reply({ content: ' ' })],
    ['after one that was held back', () => reply({ content: 'x', finishReason: 'content_filter' })],
  ])('%s; its tokens are counted', async (_, answer) => {
    const told = await afterOneRound();
    expect(await compact(told, 1, answer)).toEqual({ compacted: false, totalTokens: 12 });
    await told.round(2, () => reply({ content: 'Fertig.' }));
    expect(told.requests[1]?.messages.filter(({ role }) => role === 'tool')).toHaveLength(2);
    expect(await stories.usage(told)).toContainEqual({ round: 1, purpose: 'compact', tokens: 12 });
  });

  it('when the gateway fails, and the failure is the gateway’s', async () => {
    const told = await afterOneRound({ maxTokensPerDay: 1_000_000 });
    const down = new GatewayUnavailableError({ kind: null, status: 503, retryAfterMs: null });
    await expect(compact(told, 1, () => Promise.reject(down))).rejects.toMatchObject({
      problem: down.problem,
    });
    expect(await compact(told, 1, summarised)).toMatchObject({ compacted: true });
    // A refusal costs nothing.
    expect(await stories.usage(told)).toEqual([
      { round: 1, purpose: 'compact', tokens: 12 },
      { round: 1, purpose: 'plan', tokens: 12 },
    ]);
  });

  it('when the agent has no budget left, the mission was paused, or the run has ended: then nobody is asked', async () => {
    const asked: Asked[] = [];
    const paused = await afterOneRound();
    await harness.webApp.update(paused.user, missionAt(paused.run.missionId), { state: 'paused' });
    expect(await compact(paused, 1, summarised, asked)).toEqual({ compacted: false, totalTokens: 0 });
    const poor = await afterOneRound({ maxTokensPerDay: 12 });
    expect(await compact(poor, 1, summarised, asked)).toEqual({ compacted: false, totalTokens: 0 });
    const ended = await afterOneRound();
    await ended.forget();
    expect(await compact(ended, 1, summarised, asked)).toEqual({ compacted: false, totalTokens: 0 });
    expect(asked).toEqual([]);
  });
});
