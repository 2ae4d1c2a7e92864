import { describe, expect, it } from 'vitest';
import { fairnessKeyOf } from './fairness.ts';

describe('fairnessKeyOf', () => {
  it('is the id itself where that is short ASCII', () => {
    expect(fairnessKeyOf('0d9f2f7e-2f64-4f5e-a6b0-0ce0b7f3a111')).toBe(
      '0d9f2f7e-2f64-4f5e-a6b0-0ce0b7f3a111',
    );
  });

  it.each(['x'.repeat(65), 'ä'.repeat(300), '👩‍🚀'.repeat(40), 'with space'])(
    'is at most 64 bytes of ASCII, and tells users apart: %s',
    (userId) => {
      const key = fairnessKeyOf(userId);
      expect(new TextEncoder().encode(key).length).toBeLessThanOrEqual(64);
      expect(key).toMatch(/^[\x21-\x7e]+$/);
      expect(fairnessKeyOf(`${userId}!`)).not.toBe(key);
    },
  );
});
