import { describe, expect, it } from 'vitest';
import { allHolds, viewSchedule, type PauseReason, type ScheduleFacts } from './schedule-view.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const HOUR = 3_600_000;
const active: ScheduleFacts = {
  state: 'active',
  cadence: { kind: 'interval', everyMinutes: 60 },
  nextRunAtMs: NOW + HOUR,
  agentState: null,
  optedOut: false,
  timeZone: 'Europe/Berlin',
  pausedByOperator: false,
};

describe('what a user sees of a schedule', () => {
  it('is five fires and no pause while nothing holds the mission back', () => {
    expect(viewSchedule({ ...active, agentState: 'active' }, NOW)).toEqual({
      nextFiresMs: [1, 2, 3, 4, 5].map((hours) => NOW + hours * HOUR),
      pausedReason: null,
    });
  });

  it.each<[PauseReason, Partial<ScheduleFacts>]>([
    ['mission-paused', { state: 'paused' }],
    ['mission-paused', { state: null }],
    ['mission-done', { state: 'done' }],
    ['mission-archived', { state: 'archived', optedOut: true }],
    ['opted-out', { optedOut: true, agentState: 'paused' }],
    ['agent-paused', { agentState: 'paused', pausedByOperator: true }],
    ['agent-archived', { agentState: 'archived' }],
    ['operator', { pausedByOperator: true }],
    ['no-cadence', { cadence: null }],
    ['no-cadence', { cadence: { kind: 'manual' }, nextRunAtMs: null }],
    ['no-cadence', { cadence: { kind: 'daily', atHour: 8, atMinute: 0 }, nextRunAtMs: null }],
  ])('is the reason %s and no fire for %o', (pausedReason, change) => {
    expect(viewSchedule({ ...active, ...change }, NOW)).toEqual({ nextFiresMs: [], pausedReason });
  });

  it('names everything that holds it, once each, to whom asks for all', () => {
    const held = { ...active, state: 'done', optedOut: true, agentState: 'archived', pausedByOperator: true };
    expect(allHolds(held)).toEqual(['mission-done', 'opted-out', 'agent-archived', 'operator']);
    expect(allHolds({ ...active, cadence: null })).toEqual([]);
  });

  it('is no pause for a manual mission whose instant has just passed: it is about to run', () => {
    const due = { ...active, cadence: { kind: 'manual' } as const, nextRunAtMs: NOW };
    expect(viewSchedule(due, NOW)).toEqual({ nextFiresMs: [], pausedReason: null });
  });

  it("keeps the grid of the device's instant where nobody named a time zone", () => {
    const daily = { ...active, cadence: { kind: 'daily', atHour: 8, atMinute: 0 } as const, timeZone: null };
    expect(viewSchedule(daily, NOW).nextFiresMs.slice(0, 2)).toEqual([NOW + HOUR, NOW + 25 * HOUR]);
  });
});
