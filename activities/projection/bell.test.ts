import { expect, it } from 'vitest';
import { createBell } from './bell.ts';

const LONG_MS = 600_000;
const { signal } = new AbortController();

it('who waits is woken, once for each time', async () => {
  const bell = createBell();
  const waiting = bell.wait(LONG_MS, signal);
  bell.ring();
  expect(await waiting).toBe(true);
  expect(await bell.wait(0, signal)).toBe(false);
});

it('what rang while nobody waited is heard', async () => {
  const bell = createBell();
  bell.ring();
  bell.ring();
  expect(await bell.wait(LONG_MS, signal)).toBe(true);
  expect(await bell.wait(0, signal)).toBe(false);
});

it('who is stopped waits no longer', async () => {
  const stopping = new AbortController();
  const waiting = createBell().wait(LONG_MS, stopping.signal);
  stopping.abort();
  expect(await waiting).toBe(false);
  expect(await createBell().wait(LONG_MS, stopping.signal)).toBe(false);
});
