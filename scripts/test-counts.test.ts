import { expect, test } from 'vitest';
import { countTests } from './test-counts.ts';

const report = (...files: readonly (readonly [status: string, ...tests: string[]])[]) =>
  JSON.stringify({
    testResults: files.map(([status, ...tests]) => ({
      status,
      assertionResults: tests.map((test) => ({ status: test })),
    })),
  });

test('passed and failed tests of all files are added up', () => {
  const text = report(['passed', 'passed', 'passed'], ['failed', 'passed', 'failed', 'failed']);
  expect(countTests(text, false)).toEqual({ passed: 3, failed: 2 });
});

test('a skipped test counts as failed', () => {
  expect(countTests(report(['passed', 'passed', 'skipped', 'todo']), true)).toEqual({ passed: 1, failed: 2 });
});

test('a file that could not be loaded counts as one failure', () => {
  expect(countTests(report(['failed'], ['passed', 'passed']), false)).toEqual({ passed: 1, failed: 1 });
});

test('a run that failed outside of its tests counts as one failure', () => {
  expect(countTests(report(['passed', 'passed']), false)).toEqual({ passed: 1, failed: 1 });
});

test('a run without a readable report counts as one failure', () => {
  expect(countTests('', true)).toEqual({ passed: 0, failed: 1 });
  expect(countTests('{"testResults": 1}', true)).toEqual({ passed: 0, failed: 1 });
});
