import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRunCursors } from './run-cursors.ts';

const list = ['user', 'mission'];
const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const cursors = createRunCursors({ primaryKeyId: 'a', keys: new Map([['a', first]]) });

describe('the cursor of a list of runs', () => {
  it('gives back the token of the server, for this list only, in every process with the key', () => {
    const elsewhere = createRunCursors({
      primaryKeyId: 'b',
      keys: new Map([
        ['b', second],
        ['a', first],
      ]),
    });
    const strangers = createRunCursors({ primaryKeyId: 'a', keys: new Map([['a', second]]) });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (token) => {
        const cursor = cursors.encode(list, token) ?? '';
        expect(cursor).toMatch(/^[\w-]+$/);
        for (const api of [cursors, elsewhere])
          expect([...(api.decode(list, cursor) ?? [])]).toEqual([...token]);
        expect(strangers.decode(list, cursor)).toBeNull();
        expect(createRunCursors(null).decode(list, cursor)).toBeNull();
        expect(cursors.decode(['user', 'another'], cursor)).toBeNull();
        expect(cursors.decode(list, `${cursor}A`)).toBeNull();
        expect(cursors.decode(list, cursor.slice(1))).toBeNull();
      }),
    );
  });

  it('is none on the last page, and no other text is one', () => {
    expect(cursors.encode(list, new Uint8Array())).toBeNull();
    fc.assert(fc.property(fc.string(), (text) => cursors.decode(list, text) === null));
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        (bytes) => cursors.decode(list, Buffer.from(bytes).toString('base64url')) === null,
      ),
    );
  });
});
