import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { toUserId, toIterationId } from '#domain/base/ids.ts';
import { createRunKey, unwrapRunKey, wrapRunKey } from './run-key.ts';

const context = { userId: toUserId('user-1'), iterationId: toIterationId('run-1') };
const oldKey = { id: '2026-05', key: randomBytes(32) };
const newKey = { id: 'schlüssel-2', key: randomBytes(32) };
const codecKeys = new Map([oldKey, newKey].map(({ id, key }) => [id, key]));
const runKey = createRunKey();
const wrapped = wrapRunKey(oldKey, context, runKey);

it('a run key unwraps with the codec key that it names, also after rotation', () => {
  expect(runKey).toHaveLength(32);
  expect(createRunKey()).not.toEqual(runKey);
  expect(unwrapRunKey(codecKeys, context, wrapped)).toEqual(runKey);
  expect(unwrapRunKey(codecKeys, context, wrapRunKey(newKey, context, runKey))).toEqual(runKey);
});

it('a run key does not unwrap without its codec key, or for another user or run', () => {
  expect(unwrapRunKey(new Map([[newKey.id, newKey.key]]), context, wrapped)).toBeNull();
  expect(unwrapRunKey(new Map([[oldKey.id, newKey.key]]), context, wrapped)).toBeNull();
  expect(unwrapRunKey(codecKeys, { ...context, userId: toUserId('user-2') }, wrapped)).toBeNull();
  expect(unwrapRunKey(codecKeys, { ...context, iterationId: toIterationId('run-2') }, wrapped)).toBeNull();
});

it('a wrapped run key with any byte changed or cut does not unwrap, and nothing throws', () => {
  fc.assert(
    fc.property(fc.nat(wrapped.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
      const changed = Buffer.from(wrapped);
      changed[index] = (changed[index] ?? 0) ^ mask;
      expect(unwrapRunKey(codecKeys, context, changed)).toBeNull();
      expect(unwrapRunKey(codecKeys, context, wrapped.subarray(0, index))).toBeNull();
    }),
    { numRuns: 1000 },
  );
});

it('codec key ids of 0 or more than 255 bytes, and keys of other lengths, are refused', () => {
  for (const id of ['', 'ö'.repeat(128)]) {
    expect(() => wrapRunKey({ id, key: oldKey.key }, context, runKey)).toThrow(RangeError);
  }
  expect(() => wrapRunKey(oldKey, context, runKey.subarray(1))).toThrow(TypeError);
});
