import { describe, expect, it } from 'vitest';
import { violationsIn, type Asked, type MissionSeen, type Observation } from './support/invariants.ts';

const planned = {
  id: 'i1',
  overallStatus: 'awaiting-review',
  plan: [{ summary: 'Zelt', status: 'planned' }],
};
const failed = {
  ...{ id: 'i1', overallStatus: 'failed', plan: [], summary: 'Warum.' },
  errorDetails: { name: 'no-plan', message: 'Warum.' },
};
const cancelled = { ...failed, id: 'i2', errorDetails: { name: 'run-cancelled', message: 'Warum.' } };
const mission: MissionSeen = {
  ...{
    missionId: 'm',
    dueCount: 1,
    runsWithIteration: 1,
    runsCutShort: 0,
    iterations: [planned],
    losses: [],
    isInjected: false,
  },
};
const round: Asked = {
  ...{ idempotencyKey: 'k', body: 'x', askedAtMs: 0, answeredAtMs: 1, isWellAnswered: true },
};
const sound: Observation = {
  processes: [{ name: 'runner', hasEnded: false, healthMs: 5 }],
  victims: [{ name: 'victim', lateMs: 900 }],
  missions: [
    mission,
    { ...mission, iterations: [failed] },
    { ...mission, dueCount: null, iterations: [planned, cancelled], runsCutShort: 2 },
  ],
  asked: [round, { ...round, idempotencyKey: 'l', body: 'y' }],
  opened: [{ recordId: 'n', seenAtMs: 5, auditedAtMs: 4 }],
  ...{ auditProblems: [], leaks: [], leftovers: { run_slots: 0 }, openRuns: [] },
};
const withMission = (changes: Partial<MissionSeen>): Partial<Observation> => ({
  missions: [{ ...mission, ...changes }],
});
const later = { askedAtMs: 2, answeredAtMs: 3 };

describe('the look at a service after an attack', () => {
  it('finds nothing where nothing is wrong', () => {
    expect(violationsIn(sound)).toEqual([]);
  });

  it('lets a request be repeated whose reply never came whole, or held nothing', () => {
    const unread = { ...round, isWellAnswered: false };
    const lost = { ...round, answeredAtMs: null, isWellAnswered: false };
    expect(violationsIn({ ...sound, asked: [lost, { ...round, ...later }] })).toEqual([]);
    expect(violationsIn({ ...sound, asked: [unread, { ...round, ...later, idempotencyKey: 'l' }] })).toEqual(
      [],
    );
  });

  it.each<[fault: string, planted: Partial<Observation>, complaint: string]>([
    [
      'a process that ended',
      { processes: [{ name: 'runner', hasEnded: true, healthMs: 5 }] },
      'the process ended',
    ],
    ['a silent process', { processes: [{ name: 'runner', hasEnded: false, healthMs: null }] }, 'no health'],
    ['a late victim', { victims: [{ name: 'v', lateMs: 10_001 }] }, 'victim v'],
    ['a victim that never ran', { victims: [{ name: 'v', lateMs: null }] }, 'victim v'],
    ['a doubled iteration', withMission({ iterations: [planned, planned] }), 'written twice'],
    [
      'a second iteration of one instant',
      withMission({ iterations: [planned, { ...planned, id: 'i2' }], runsWithIteration: 2 }),
      'due 1 times',
    ],
    ['an iteration that no row holds', withMission({ iterations: [] }), '0 iterations of 1 runs'],
    [
      'an iteration of no run beside one that was cut short',
      withMission({ dueCount: null, runsWithIteration: 0, runsCutShort: 1 }),
      '1 iterations of 0 runs: awaiting-review',
    ],
    [
      'an end of a run that nobody ended',
      withMission({ dueCount: null, iterations: [planned, cancelled] }),
      '1 iterations of 0 runs that were cut short',
    ],
    ['a lost iteration', withMission({ losses: ['iteration i1'] }), 'lost: iteration i1'],
    [
      'a failure without words',
      withMission({ iterations: [{ ...failed, summary: ' ' }] }),
      'without a reason',
    ],
    [
      'a failure without a code',
      withMission({ iterations: [{ ...failed, errorDetails: undefined }] }),
      'without a reason',
    ],
    [
      'a flagged step that devices carry out',
      withMission({ iterations: [{ ...planned, plan: [{ summary: '⚠ Zelt', status: 'planned' }] }] }),
      'flagged step',
    ],
    ['a step beside injected data that devices carry out', withMission({ isInjected: true }), 'flagged step'],
    ['a key used twice after its reply', { asked: [round, { ...round, ...later }] }, 'asked again'],
    [
      'a round paid twice under two keys',
      { asked: [round, { ...round, ...later, idempotencyKey: 'l' }] },
      'asked again',
    ],
    [
      'other bytes under one key',
      {
        asked: [
          { ...round, answeredAtMs: null },
          { ...round, ...later, body: 'z' },
        ],
      },
      'other bytes',
    ],
    ['a request without a key', { asked: [{ ...round, idempotencyKey: null }] }, 'without a key'],
    [
      'a record opened without audit',
      { opened: [{ recordId: 'n', seenAtMs: 5, auditedAtMs: null }] },
      'record n',
    ],
    ['a record audited too late', { opened: [{ recordId: 'n', seenAtMs: 5, auditedAtMs: 6 }] }, 'record n'],
    ['a broken chain', { auditProblems: ['changed row'] }, 'audit: changed row'],
    ['a leak', { leaks: ['metrics: KEK'] }, 'leak: metrics'],
    ['a leaked slot', { leftovers: { run_slots: 1 } }, 'run_slots: 1'],
    ['a run that stands still', { openRuns: ['r: planRound'] }, 'run r: planRound: still under way'],
  ])('complains of %s', (_, planted, complaint) => {
    const [first, ...others] = violationsIn({ ...sound, ...planted });
    expect(first).toContain(complaint);
    expect(others.filter((other) => !other.includes(complaint) && !other.includes('iterations'))).toEqual([]);
  });
});
