import { expect, it } from 'vitest';
import { watchPolls } from './readiness.ts';

it('a poll is recent for 90 s from when it was first seen, whatever the server’s clock called it', () => {
  let nowMs = 5_000;
  const isRecent = watchPolls(() => nowMs);
  expect(isRecent(null)).toBe(false);
  // Ten minutes ahead of us, or behind: it is only a name.
  expect(isRecent('1795951800.5')).toBe(true);
  nowMs += 90_000;
  expect(isRecent('1795951800.5')).toBe(true);
  nowMs += 1;
  expect(isRecent('1795951800.5')).toBe(false);
  expect(isRecent('1795951890.0')).toBe(true);
  expect(isRecent(null)).toBe(false);
});
