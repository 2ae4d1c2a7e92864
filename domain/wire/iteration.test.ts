import { describe, expect, test } from 'vitest';
import { stepIdentity } from './iteration.ts';

describe('two calls are the same', () => {
  test('in whatever order, blanks and capitals their arguments stand', () =>
    expect(stepIdentity('t', { b: [1, { d: 'X  y' }], a: 'Ä ' })).toBe(
      stepIdentity('t', { a: 'a\u0308', b: [1, { d: ' x y' }] }),
    ));

  test('only with the same tool, values and types', () => {
    const all = [
      ...[stepIdentity('t', { a: 1 }), stepIdentity('t', { a: '1' }), stepIdentity('u', { a: 1 })],
      ...[stepIdentity('t', { a: 1, b: null }), stepIdentity('t', {}), stepIdentity('t', { a: [1] })],
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
