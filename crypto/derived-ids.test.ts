import { expect, it } from 'vitest';
import { eventIdOf, healEventIdOf, iterationIdOf, researchIdempotencyKey } from './derived-ids.ts';

const UUID_V5 = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const iterationId = iterationIdOf('["user-1","mission-1","2026-05-04T12:00:00.000Z"]');

it('ids stay what they were: runs under way find what they wrote', () => {
  expect(iterationId).toBe('31969eb3-e2af-55c7-b33c-488846b8692c');
  expect(eventIdOf(iterationId)).toBe('6e291afe-1d35-5a84-a3da-c95935a6da1d');
  expect(healEventIdOf('00000000-0000-4000-8000-000000000001')).toBe('92470890-0261-5db8-91bc-c379af34e53e');
});

it('ids are UUIDs of version 5 and differ by kind and name', () => {
  const ids = [
    iterationId,
    iterationIdOf('another due key'),
    iterationIdOf(iterationId),
    eventIdOf(iterationId),
    healEventIdOf(iterationId),
    researchIdempotencyKey(iterationId),
  ];
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(UUID_V5);
});
