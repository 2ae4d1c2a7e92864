import { describe, expect, it } from 'vitest';
import { NO_KNOWN_ITERATIONS, takeInIterations } from './known-iterations.ts';
import type { StoredObject } from '#domain/wire/iteration.ts';

const step = (status: string, more: StoredObject = {}): StoredObject => ({ id: 's1', status, ...more });
const ours = (more: StoredObject = {}): StoredObject => ({
  ...{ id: 'i1', source: 'server', overallStatus: 'awaiting-review', startedAt: '2026-05-04T12:00:00.000Z' },
  ...{ plan: [step('staged')], ...more },
});
const ofDevice = { id: 'd1', source: 'browser', overallStatus: 'approved', plan: [step('staged')] };

/** What is kept after a row of ours. */
const afterOurs = (value: readonly StoredObject[]) =>
  takeInIterations(NO_KNOWN_ITERATIONS, { value, byUs: true, wins: true });

describe('a row of a device over ours needs', () => {
  it.each<[what: string, before: readonly StoredObject[], after: readonly StoredObject[]]>([
    ['nothing changed', [ours()], [ours()]],
    ['it adds what is its own', [ours()], [ours(), ofDevice]],
    ['it leaves out what is its own', [ours(), ofDevice], [ours()]],
    ['it says something', [ours()], [ours({ userFeedback: 'gut' })]],
    ['it says something else', [ours({ userFeedback: 'gut' })], [ours({ userFeedback: 'doch nicht' })]],
    ['it has decided', [ours()], [ours({ overallStatus: 'approved' })]],
    ['it decided otherwise', [ours({ overallStatus: 'approved' })], [ours({ overallStatus: 'rejected' })]],
    ['a step got further', [ours()], [ours({ plan: [step('approved', { proposalId: 'p' })] })]],
    ['it left out a step', [ours()], [ours({ plan: [] })]],
  ])('no healing where %s', (_what, before, after) => {
    const { known, mayNeedHealing } = afterOurs(before);
    expect(mayNeedHealing).toBe(false);
    expect(takeInIterations(known, { value: after, byUs: false, wins: true }).mayNeedHealing).toBe(false);
  });

  const proposed = step('staged', { proposalId: 'p' });
  it.each<[what: string, before: StoredObject, after: readonly StoredObject[]]>([
    ['ours is missing', ours(), [ofDevice]],
    ['feedback is gone', ours({ userFeedback: 'gut' }), [ours()]],
    ['a decision is gone', ours({ overallStatus: 'approved' }), [ours()]],
    ['a step fell back', ours(), [ours({ plan: [step('planned')] })]],
    ['a proposal is gone', ours({ plan: [proposed] }), [ours({ plan: [step('staged')] })]],
    ['one of two steps with one id fell back', ours(), [ours({ plan: [step('staged'), step('planned')] })]],
    [
      'one of two steps with one id lost its proposal',
      ours({ plan: [proposed] }),
      [ours({ plan: [step('staged'), proposed] })],
    ],
  ])('to be healed where %s', (_what, before, after) => {
    const { known } = afterOurs([before]);
    expect(takeInIterations(known, { value: after, byUs: false, wins: true }).mayNeedHealing).toBe(true);
  });
});

describe('a row of ours', () => {
  it('over what a device wrote while it was read needs to be healed', () => {
    const { known } = takeInIterations(afterOurs([ours()]).known, {
      ...{ value: [ours(), ofDevice], byUs: false, wins: true },
    });
    const over = (value: readonly StoredObject[]) =>
      takeInIterations(known, { value, byUs: true, wins: true }).mayNeedHealing;
    expect(over([ours(), ofDevice])).toBe(false);
    expect(over([ours()])).toBe(true);
  });

  it('in place of a claim to which a device said something while it was read needs to be healed', () => {
    const claim = ours({ overallStatus: 'running', plan: [] });
    const said = (userFeedback: string) => ({ value: [{ ...claim, userFeedback }], byUs: false, wins: true });
    const read = takeInIterations(afterOurs([claim]).known, said('gut')).known;
    const { known } = takeInIterations(read, said('doch nicht'));
    const end = { value: [ours({ userFeedback: 'gut' })], byUs: true, wins: true };
    expect(takeInIterations(known, end).mayNeedHealing).toBe(true);
  });

  it('in place of its claim needs none', () => {
    const { known } = afterOurs([ours({ overallStatus: 'running', plan: [] })]);
    expect(takeInIterations(known, { value: [ours()], byUs: true, wins: true }).mayNeedHealing).toBe(false);
  });
});

it('what devices do to one another before we wrote is not ours to heal', () => {
  const first = takeInIterations(NO_KNOWN_ITERATIONS, { value: [ours()], byUs: false, wins: true });
  expect(takeInIterations(first.known, { value: [], byUs: false, wins: true }).mayNeedHealing).toBe(false);
});
