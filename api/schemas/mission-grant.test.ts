import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { missionGrantRequestSchema } from './mission-grant.ts';

const request = { missionId: 'm1', tables: ['notes'], recordIds: ['notes:n1'] };
const problemOf = (change: Record<string, unknown>): string | null => {
  const parsed = missionGrantRequestSchema.safeParse({ ...request, ...change });
  return parsed.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ') ?? null;
};
const ids = (count: number, length = 8): string[] =>
  Array.from(
    { length: count },
    (_, index) => `notes:${String(index).padStart(length - 'notes:'.length, '0')}`,
  );

describe('the body of a grant request', () => {
  it('is accepted with the fields of the contract, and further ones are dropped', () => {
    const parsed = missionGrantRequestSchema.parse({
      ...request,
      ttlMs: 1,
      timeZone: 'Europe/Berlin',
      extra: { a: 1 },
    });
    expect(parsed).toEqual({ ...request, ttlMs: 1, timeZone: 'Europe/Berlin' });
  });

  it.each([
    ['1000 record ids of 300 characters', { recordIds: ids(1000, 300) }],
    ['the same record twice', { recordIds: ['notes:1', 'notes:1'] }],
    ['a table that no record uses', { tables: ['notes', 'tasks'] }],
    ['a record of a table that is not named', { recordIds: ['tasks:1'] }],
    ['an id with colons, commas and emoji', { recordIds: ['notes:a:b,c🧩'] }],
    ['a ttl that is no number', { ttlMs: 'soon' }],
    ['a time zone of null', { timeZone: null }],
  ])('%s is fine', (_what, change) => {
    expect(problemOf(change)).toBeNull();
  });

  it.each([
    ['missionId', { missionId: undefined }, 'missionId: found nothing, expected text of 1 to 256 characters'],
    ['missionId', { missionId: '' }, 'missionId: found an empty text, expected text of 1 to 256 characters'],
    ['missionId', { missionId: 7 }, 'missionId: found number, expected text of 1 to 256 characters'],
    [
      'missionId',
      { missionId: 'x'.repeat(257) },
      'missionId: found 257 characters, expected text of 1 to 256 characters',
    ],
    [
      'missionId',
      { missionId: 'a\0' },
      'missionId: found a character that cannot be stored (U+0000 or a lone surrogate)',
    ],
    [
      'missionId',
      { missionId: '\ud800' },
      'missionId: found a character that cannot be stored (U+0000 or a lone surrogate)',
    ],
    ['tables', { tables: [] }, 'tables: found 0 items, expected a list of 1 to 1000 items'],
    ['tables', { tables: 'notes' }, 'tables: found string, expected a list of 1 to 1000 items'],
    ['tables', { tables: [null] }, 'tables.0: found null, expected text of 1 to 100 characters'],
    ['recordIds', { recordIds: [] }, 'recordIds: found 0 items, expected a list of 1 to 1000 items'],
    [
      'recordIds',
      { recordIds: ids(1001) },
      'recordIds: found 1001 items, expected a list of 1 to 1000 items',
    ],
    ['recordIds', { recordIds: undefined }, 'recordIds: found nothing, expected a list of 1 to 1000 items'],
    [
      'recordIds',
      { recordIds: ['n1'] },
      'recordIds.0: found a text of another form, expected "<table>:<id>"',
    ],
    [
      'recordIds',
      { recordIds: [':n1'] },
      'recordIds.0: found a text of another form, expected "<table>:<id>"',
    ],
    [
      'recordIds',
      { recordIds: ['notes:'] },
      'recordIds.0: found a text of another form, expected "<table>:<id>"',
    ],
    [
      'timeZone',
      { timeZone: 'Mars/Base' },
      'timeZone: found an unknown time zone, expected an IANA name like Europe/Berlin',
    ],
    [
      'timeZone',
      { timeZone: '' },
      'timeZone: found an unknown time zone, expected an IANA name like Europe/Berlin',
    ],
    [
      'timeZone',
      { timeZone: 3 },
      'timeZone: found no text, expected an IANA time zone like Europe/Berlin, or nothing',
    ],
  ])('a bad %s is refused: %j', (_name, change, problem) => {
    expect(problemOf(change)).toBe(problem);
  });

  it('a refusal never quotes the body', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 3 }), (text) => {
        const marked = `§${text}`;
        const body = {
          missionId: { [marked]: marked },
          tables: [marked, { [marked]: 1 }],
          recordIds: [marked],
          timeZone: marked,
        };
        expect(problemOf(body) ?? '').not.toContain('§');
      }),
      { numRuns: 200 },
    );
  });
});
