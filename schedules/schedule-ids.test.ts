import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dueWorkflowId, missionScheduleId } from './schedule-ids.ts';

it('ordinary ids stand in it as they are', () => {
  expect(missionScheduleId('user-1', '0e8c')).toBe('mission:user-1:0e8c');
  expect(dueWorkflowId('user-1', '0e8c', 1_767_225_600_000)).toBe('mission:user-1:0e8c:due:1767225600000');
});

it('different pairs never share an id, and none outgrows what SQL persistence stores', () => {
  const id = fc.oneof(
    fc.string({ maxLength: 400 }),
    fc.string({ unit: fc.constantFrom(':', 'a', '%', '=', '/', 'ü', '🎈', ' ', '\n') }),
  );
  fc.assert(
    fc.property(id, id, id, id, (userA, missionA, userB, missionB) => {
      const [a, b] = [missionScheduleId(userA, missionA), missionScheduleId(userB, missionB)];
      expect(a === b).toBe(userA === userB && missionA === missionB);
      expect(a.length).toBeLessThanOrEqual(210);
      expect(a).toMatch(/^mission:[\w.!~*'()%=-]*:[\w.!~*'()%=-]*$/);
    }),
  );
  expect(missionScheduleId('a:b', 'c')).not.toBe(missionScheduleId('a', 'b:c'));
  expect(missionScheduleId('x'.repeat(500), 'c')).not.toBe(missionScheduleId('x'.repeat(501), 'c'));
});

it('text that is not well-formed is no error', () => {
  expect(missionScheduleId('\ud800', 'c')).toBe('mission:%EF%BF%BD:c');
});
