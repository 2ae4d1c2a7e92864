import { describe, expect, it } from 'vitest';
import { dueKey, isDue, runNowKey } from './run.ts';

const AT = Date.parse('2026-05-04T12:00:00.000Z');

describe('isDue', () => {
  it.each([
    ['in the very millisecond of the start', AT, AT, null, true],
    ['before the start', AT - 1, AT, null, true],
    ['in the second that the start is rounded up to', AT + 1_000, AT + 1, null, true],
    ['a millisecond after that second', AT + 1_001, AT + 1, null, false],
    ['after a start on the full second', AT + 1, AT, null, false],
    ['at the nominal time of a run that started early', AT + 5_000, AT, AT + 5_000, true],
    ['at the start of a run whose nominal time was earlier', AT + 5_000, AT + 5_000, AT, true],
    ['at the nominal time of a run that started days before it', AT + 86_400_000, AT, AT + 86_400_000, false],
    ['a day after both', AT + 86_400_000, AT, AT + 5_000, false],
  ])('an instant %s', (_, nextRunAtMs, startedAtMs, scheduledAtMs, due) => {
    expect(isDue(nextRunAtMs, { startedAtMs, scheduledAtMs })).toBe(due);
  });
});

describe('the key of a run', () => {
  it('is the same for the same instant of the same mission, and no other', () => {
    expect(dueKey('u', 'm', AT)).toBe(dueKey('u', 'm', AT));
    const keys = [
      dueKey('u', 'm', AT),
      dueKey('u', 'm', AT + 1),
      dueKey('u', 'n', AT),
      dueKey('v', 'm', AT),
      dueKey('u","m', '', AT),
      dueKey('', 'u","m', AT),
      runNowKey('u', 'm', String(AT)),
      runNowKey('u', 'm', 'workflow'),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});
