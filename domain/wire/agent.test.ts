import { expect, it } from 'vitest';
import { parseAgent } from './agent.ts';

const policy = {
  tools: { create_task: 'auto' },
  defaultsByModule: { notes: 'deny' },
  defaultForAi: 'propose',
};

it('reads an agent as it was stored', () => {
  const record = {
    ...{ name: 'Ada', role: 'planner', systemPrompt: 'Be brief.', memory: 'enc:1:x', policy },
    ...{ maxTokensPerDay: 5_000, maxConcurrentMissions: 3, state: 'active' },
  };
  expect(parseAgent('a1', record)).toEqual({ id: 'a1', ...record });
  expect(parseAgent('a1', { ...record, maxTokensPerDay: 0, state: 'archived' })).toMatchObject({
    ...{ maxTokensPerDay: 0, state: 'archived' },
  });
});

it('lets an agent that cannot be read spend nothing, do nothing by itself, and run one mission at a time', () => {
  const unreadable = {
    ...{ name: 7, role: {}, policy: { defaultForAi: 'all' }, state: 'busy' },
    ...{ maxTokensPerDay: -1, maxConcurrentMissions: 0 },
  };
  expect(parseAgent('a1', unreadable)).toEqual({
    ...{ id: 'a1', name: 'a1', role: null, systemPrompt: null, memory: null, state: 'paused' },
    ...{ policy: { tools: {}, defaultsByModule: {}, defaultForAi: 'propose' } },
    ...{ maxTokensPerDay: null, maxConcurrentMissions: 1 },
  });
});
