import { ActivityFailure, ApplicationFailure, TimeoutFailure, type TimeoutType } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { roundFailure, sealFailure } from './run-failures.ts';

const failureBy = (cause: Error): ActivityFailure =>
  new ActivityFailure('the activity failed', 'planRound', '1', 'TIMEOUT', undefined, cause);
const timeout = (type: TimeoutType): ActivityFailure =>
  failureBy(new TimeoutFailure('the time is over', undefined, type));

describe('work that no worker took in its time', () => {
  test('says so, and is not called interrupted', () => {
    const failure = timeout('SCHEDULE_TO_START');
    expect(sealFailure(null, failure)).toEqual({ code: 'overloaded', phase: 'resolving-inputs' });
    expect(roundFailure(null, failure)).toEqual({ code: 'overloaded', phase: 'calling-llm' });
  });

  test('is told from work that was begun', () => {
    for (const type of ['SCHEDULE_TO_CLOSE', 'START_TO_CLOSE', 'HEARTBEAT'] as const) {
      expect(sealFailure(null, timeout(type)).code).toBe('run-interrupted');
      expect(roundFailure(null, timeout(type)).code).toBe('run-interrupted');
    }
    const lost = ApplicationFailure.create({ type: 'WORKER_LOST', message: 'lost' });
    expect(sealFailure(lost, failureBy(lost)).code).toBe('worker-lost');
  });
});
