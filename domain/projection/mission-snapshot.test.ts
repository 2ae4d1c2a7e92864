import { describe, expect, it } from 'vitest';
import { EMPTY_MERGE_STATE, takeInRows } from '#domain/change-log/field-merge.ts';
import { snapshotOf } from './mission-snapshot.ts';

const merged = (data: Record<string, unknown>) =>
  takeInRows(EMPTY_MERGE_STATE, [
    { id: 'r1', op: 'insert', data, fieldMeta: {}, createdAt: '2026-05-04T12:00:00.000000Z', clientId: 'd' },
  ]);
const NOTHING = { state: null, cadence: null, nextRunAtIso: null, agentId: null };

describe('snapshotOf', () => {
  it('keeps scheduling fields only', () => {
    const record = {
      title: 'geheim',
      objective: 'geheim',
      conceptMarkdown: 'geheim',
      state: 'active',
      cadence: { kind: 'interval', everyMinutes: 30, note: 'geheim' },
      nextRunAt: '2026-05-04T14:00:00+02:00',
      agentId: 'a1',
      iterations: [{ id: 'i1', plan: [], summary: 'geheim' }],
      inputs: [{ module: 'notes', table: 'notes', id: 'geheim' }],
      grant: {
        wrappedKey: 'geheim',
        derivation: { version: 'v1', missionId: 'm1', tables: ['notes'], recordIds: ['notes:n1'] },
        issuedAt: '2026-05-04T12:00:00.000Z',
        expiresAt: '2026-05-11T12:00:00Z',
      },
    };
    const snapshot = snapshotOf('m1', merged(record));
    expect(snapshot).toEqual({
      exists: true,
      state: 'active',
      cadence: { kind: 'interval', everyMinutes: 30 },
      nextRunAtIso: '2026-05-04T12:00:00.000Z',
      agentId: 'a1',
    });
    expect(JSON.stringify(snapshot)).not.toContain('geheim');
  });

  it('of a mission that is gone says only that', () => {
    expect(snapshotOf('m1', EMPTY_MERGE_STATE)).toEqual({ exists: false, ...NOTHING });
  });

  it('counts fields of the wrong type as absent', () => {
    const record = {
      state: 5,
      cadence: 'daily',
      nextRunAt: 17,
      agentId: {},
      grant: 'x',
      iterations: 'x',
      inputs: 1,
    };
    expect(snapshotOf('m1', merged(record))).toEqual({ exists: true, ...NOTHING });
  });

  it.each(['0000-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z', '9999-12-31T00:00:00.001Z', 'tomorrow', ''])(
    'takes no instant outside the years that are written: %s',
    (nextRunAt) => {
      expect(snapshotOf('m1', merged({ nextRunAt })).nextRunAtIso).toBeNull();
    },
  );
});
