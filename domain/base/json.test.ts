import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { storableJson } from './json.ts';

describe('storableJson', () => {
  it('takes NUL out and replaces lone surrogates, in keys, lists and objects', () => {
    expect(storableJson({ 'a\u0000b': ['x\u0000', '\ud800'], c: { d: 'ok \udc00 ok' } })).toEqual({
      ab: ['x', '\ufffd'],
      c: { d: 'ok \ufffd ok' },
    });
  });

  it('leaves alone what jsonb takes: pairs of surrogates, numbers, booleans, null', () => {
    const value = { emoji: '🚆', list: [1, -0.5, true, null, ''], nested: { deep: [{}] } };
    expect(storableJson(value)).toEqual(value);
  });

  it('lets neither through, whatever the value is', () => {
    const text = fc.string({ unit: 'binary' }).map((made) => `${made}\u0000\ud83d`);
    fc.assert(
      fc.property(fc.dictionary(text, fc.array(text)), (value) => {
        const json = JSON.stringify(storableJson(value));
        expect(json).not.toMatch(/\\u0000|\\ud[89a-f]/i);
      }),
    );
  });
});
