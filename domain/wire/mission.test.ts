import { expect, it } from 'vitest';
import { parseMission } from './mission.ts';

it('keeps what of a mission can be read, and passes over the rest', () => {
  const input = { module: 'notes', table: 'notes', id: 'n1' };
  const iteration = { id: 'i1', status: 'done', somethingNew: true };
  const grant = { wrappedKey: 'x' };
  const mission = parseMission('m1', {
    ...{
      title: 'Plan',
      conceptMarkdown: 7,
      objective: null,
      state: 'active',
      nextRunAt: '2026-01-01T06:00:00Z',
    },
    cadence: { kind: 'daily', atHour: 7, atMinute: 0 },
    inputs: [input, { module: 'notes', table: 'notes', id: '' }, 'notes:n2', null],
    iterations: [null, iteration, { status: 'running' }],
    ...{ grant, agentId: 'a1' },
  });
  expect(mission).toEqual({
    ...{ id: 'm1', title: 'Plan', conceptMarkdown: null, objective: null, state: 'active' },
    ...{ cadence: { kind: 'daily', atHour: 7, atMinute: 0 }, nextRunAt: '2026-01-01T06:00:00Z' },
    ...{ inputs: [input], iterations: [iteration], grant, agentId: 'a1' },
  });
});

it('reads a record of other kinds of values as a mission that has nothing', () => {
  const record = {
    title: [],
    state: 'running',
    cadence: { kind: 'daily', atHour: 24 },
    inputs: {},
    iterations: 'x',
  };
  expect(parseMission('m1', record)).toEqual({
    ...{ id: 'm1', title: null, conceptMarkdown: null, objective: null, state: null, cadence: null },
    ...{ nextRunAt: null, inputs: [], iterations: [], grant: null, agentId: null },
  });
});
