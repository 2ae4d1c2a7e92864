import { describe, expect, it } from 'vitest';
import type { ChangeRow } from '#domain/wire/rows.ts';
import { lastRevocationMs } from './grant-revocation.ts';

const row = (op: string, data: unknown, fieldMeta: unknown = {}): ChangeRow => ({
  id: 'r1',
  op,
  data,
  fieldMeta,
  createdAt: '2026-05-04T12:00:00.123456Z',
  clientId: 'device-1',
});
const at = (iso: string): number => Date.parse(iso);

describe('lastRevocationMs', () => {
  it('is the field time of the last update that wrote null', () => {
    const rows = [
      row('update', { grant: null }, { grant: '2026-05-04T10:00:00.000Z' }),
      row('update', { grant: null }, { grant: '2026-05-04T11:00:00.000Z' }),
      row('update', { grant: {} }, { grant: '2026-05-04T11:30:00.000Z' }),
    ];
    expect(lastRevocationMs(rows)).toBe(at('2026-05-04T11:00:00.000Z'));
    expect(lastRevocationMs(rows.toReversed())).toBe(at('2026-05-04T11:00:00.000Z'));
  });

  it.each([{}, { grant: 5 }, { grant: 'soon' }, null, 'x', []])(
    'is the time of the row when the field has no readable time: %j',
    (fieldMeta) => {
      expect(lastRevocationMs([row('update', { grant: null }, fieldMeta)])).toBe(
        at('2026-05-04T12:00:00.123Z'),
      );
    },
  );

  it.each([
    ['an update without the field', row('update', { title: null })],
    ['an update that wrote a grant', row('update', { grant: {} })],
    ['an insert that says there was none yet', row('insert', { grant: null })],
    ['a delete', row('delete', { grant: null })],
    ['a leaf below the grant', row('update', { 'grant.wrappedKey': null })],
    ['no object', row('update', [null])],
    ['nothing', row('update', null)],
    ['a value from the prototype', row('update', Object.create({ grant: null }))],
  ])('is null for %s', (_, change) => {
    expect(lastRevocationMs([change])).toBeNull();
  });
});
