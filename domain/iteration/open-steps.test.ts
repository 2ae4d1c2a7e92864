import { describe, expect, test } from 'vitest';
import { openStepsOf } from './open-steps.ts';
import { stepIdentity } from '#domain/wire/iteration.ts';

const step = (status: unknown, title: unknown = 'Milk', toolName: unknown = 'create_task') => ({
  ...{ id: 's', summary: '', status },
  intent: { kind: 'toolCall', toolName, params: { title } },
});
const iteration = (...plan: unknown[]) => ({ id: 'i', plan });

describe('the open steps of earlier iterations', () => {
  test('are the planned and the staged ones', () => {
    const statuses = [
      'planned',
      'staged',
      'approved',
      'rejected',
      'skipped',
      'failed',
      'newer',
      undefined,
      7,
    ];
    const all = statuses.map((status) => step(status, String(status)));
    expect(openStepsOf([iteration(...all)])).toEqual([
      stepIdentity('create_task', { title: 'planned' }),
      stepIdentity('create_task', { title: 'staged' }),
    ]);
  });

  test('are read from whatever devices wrote, and never throw', () => {
    let deep: unknown = 'x';
    for (let level = 0; level < 90; level += 1) deep = [deep];
    const odd = [null, 7, 'x', [], {}, { status: 'planned' }, { status: 'staged', intent: null }];
    const more = [step('planned', deep), step('planned', 'x', 7), step('staged', 'x'.repeat(30_000))];
    expect(openStepsOf([{ id: 'i' }, { id: 'j', plan: 'x' }, iteration(...odd, ...more)])).toEqual([]);
  });

  test('are bounded, and the newest count', () => {
    const many = Array.from({ length: 2_000 }, (_, index) => iteration(step('staged', `t${index}`)));
    const open = openStepsOf(many);
    expect(open).toHaveLength(500);
    expect(open[0]).toContain('t1999');
  });
});
