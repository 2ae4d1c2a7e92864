import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_MERGE_STATE, takeInRows } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { formatInstant } from '#domain/base/instant.ts';
import {
  knownMissionJson,
  knownMissionSchema,
  takeInMissionRows,
  UNKNOWN_MISSION,
  type KnownMission,
} from './known-mission.ts';
import { AGENT_FIELDS, agentSnapshotOf, snapshotOf } from './mission-snapshot.ts';
import { keepFields } from '#domain/change-log/merge-state.ts';

/** Few distinct times, so that ties of every kind come up. */
const time = fc.integer({ min: 0, max: 8 }).map((minute) => formatInstant(Date.UTC(2026, 4, 4, 12, minute)));
const scalar = fc.constantFrom<unknown>(
  null,
  'active',
  'paused',
  'daily',
  'interval',
  5,
  30,
  true,
  'x'.repeat(300),
);
const cadence = fc.constantFrom<unknown>(
  { kind: 'interval', everyMinutes: 30 },
  { kind: 'daily', atHour: 8, atMinute: 15 },
  { kind: 'cron', expression: '0 9 * * 1', note: 'a text' },
  { kind: 'manual' },
  [],
  'daily',
  null,
);
const fields = fc.dictionary(
  fc.constantFrom(
    ...[
      'state',
      'cadence',
      'cadence.kind',
      'cadence.atHour',
      'cadence.everyMinutes',
      'cadence.kind.x',
      'nextRunAt',
    ],
    ...['agentId', 'agentId.x', 'deletedAt', 'title', 'title.x', 'iterations', 'iterations.0', 'grant', 'id'],
  ),
  fc.oneof(scalar, cadence, time, fc.constant([{ id: 'i1', plan: [] }])),
  { maxKeys: 5 },
);
const rowsWithoutIds = fc.array(
  fc.record({
    op: fc.constantFrom('insert', 'update', 'update', 'update', 'delete', 'upsert'),
    data: fc.oneof({ weight: 9, arbitrary: fields }, { weight: 1, arbitrary: scalar }),
    fieldMeta: fc.oneof(
      fc.constant({}),
      fc.dictionary(fc.constantFrom('state', 'cadence', 'nextRunAt'), time),
    ),
    createdAt: time,
    clientId: fc.constantFrom('device-1', RUNNER_CLIENT_ID, null),
  }),
  { maxLength: 12 },
);
const someRows: fc.Arbitrary<ChangeRow[]> = rowsWithoutIds.map((rows) =>
  rows.map((row, index) => ({ ...row, id: `row-${index}` })),
);
/** The rows in parts, in another order, some of them twice. */
const arranged = someRows.chain((rows) =>
  fc.record({
    rows: fc.constant(rows),
    parts: fc
      .array(fc.subarray(rows, { minLength: 0 }), { maxLength: 3 })
      .chain((early) =>
        fc.shuffledSubarray(rows, { minLength: rows.length }).map((rest) => [...early, rest]),
      ),
  }),
);

/** As between two passes: what is kept goes through the database. */
const stored = (known: KnownMission): KnownMission =>
  knownMissionSchema.parse(JSON.parse(JSON.stringify(knownMissionJson(known))));

const inParts = (parts: readonly (readonly ChangeRow[])[]): KnownMission =>
  parts.reduce<KnownMission>((known, part) => stored(takeInMissionRows(known, part).known), UNKNOWN_MISSION);

describe('rows taken in part by part', () => {
  it('give the snapshot that all rows give at once, in any order and however often', () => {
    fc.assert(
      fc.property(arranged, ({ rows, parts }) => {
        const whole = snapshotOf('m1', takeInRows(EMPTY_MERGE_STATE, rows));
        expect(snapshotOf('m1', inParts(parts).merge)).toEqual(whole);
      }),
      { numRuns: 10_000 },
    );
  });

  it('give the same of an agent', () => {
    fc.assert(
      fc.property(arranged, ({ rows, parts }) => {
        const kept = parts.reduce(
          (state, part) => takeInRows(state, part, keepFields(AGENT_FIELDS)),
          EMPTY_MERGE_STATE,
        );
        const whole = agentSnapshotOf('a1', takeInRows(EMPTY_MERGE_STATE, rows));
        expect(agentSnapshotOf('a1', kept)).toEqual(whole);
      }),
      { numRuns: 1_000 },
    );
  });

  it('keep no text but those of the cadence and the agent’s id', () => {
    fc.assert(
      fc.property(someRows, (rows) => {
        const marked = rows.map((row) =>
          typeof row.data === 'object' && row.data !== null && !Array.isArray(row.data)
            ? {
                ...row,
                data: { ...row.data, title: 'MARK', objective: { x: 'MARK' }, 'grant.wrappedKey': 'MARK' },
              }
            : row,
        );
        expect(JSON.stringify(knownMissionJson(inParts([marked])))).not.toContain('MARK');
      }),
      { numRuns: 500 },
    );
  });
});

interface VectorRow {
  readonly id: string;
  readonly op: string;
  readonly data: unknown;
  readonly field_meta: unknown;
  readonly created_at: string;
}
const { cases } = JSON.parse(
  readFileSync(new URL('../../test/vectors/lww.json', import.meta.url), 'utf8'),
) as {
  readonly cases: readonly { readonly name: string; readonly rows: readonly VectorRow[] }[];
};

it.each(cases)('the vector "$name" taken in row by row', ({ rows: vectorRows }) => {
  const rows = vectorRows.map((row): ChangeRow => ({
    ...{ id: row.id, op: row.op, data: row.data, fieldMeta: row.field_meta },
    ...{ createdAt: row.created_at, clientId: 'device-1' },
  }));
  const whole = snapshotOf('m1', takeInRows(EMPTY_MERGE_STATE, rows));
  expect(snapshotOf('m1', inParts(rows.map((row) => [row])).merge)).toEqual(whole);
  expect(snapshotOf('m1', inParts(rows.toReversed().map((row) => [row])).merge)).toEqual(whole);
});

describe('a wish to end a run', () => {
  const MINUTE_MS = 60_000;
  const startMs = Date.UTC(2026, 4, 4, 12);
  const wishIn = (data: unknown, more: Partial<ChangeRow> = {}) => {
    const row = {
      ...{ id: 'r', op: 'update', data, clientId: 'device-1', fieldMeta: {} },
      ...{ createdAt: formatInstant(startMs + 30 * MINUTE_MS), ...more },
    };
    const { cancelRequestedAtMs, cancelRequestedIds } = takeInMissionRows(UNKNOWN_MISSION, [row]);
    return { atMs: cancelRequestedAtMs, ids: cancelRequestedIds };
  };
  const iteration = (more: Readonly<Record<string, unknown>>) => ({
    ...{ id: 'i1', plan: [], startedAt: formatInstant(startMs), ...more },
  });
  const NONE = { atMs: null, ids: [] };

  it('on the mission means what began before it was written, by whatever clock within a minute', () => {
    const fieldMeta = { cancelRequested: formatInstant(startMs) };
    expect(wishIn({ cancelRequested: true }, { fieldMeta })).toEqual({ atMs: startMs + MINUTE_MS, ids: [] });
    // No later than the row was stored, though the clock lies ahead.
    const ahead = { cancelRequested: formatInstant(startMs + 60 * MINUTE_MS) };
    expect(wishIn({ cancelRequested: true }, { fieldMeta: ahead })).toEqual({
      ...{ atMs: startMs + 30 * MINUTE_MS, ids: [] },
    });
  });

  it('on an iteration means that one, and what began with it', () => {
    const wishes = [iteration({ cancelRequested: true }), iteration({ id: 'i2' })];
    expect(wishIn({ iterations: wishes })).toEqual({ atMs: startMs + MINUTE_MS, ids: ['i1'] });
  });

  it.each<[what: string, data: unknown, more?: Partial<ChangeRow>]>([
    ['an iteration that has ended', { iterations: [iteration({ cancelRequested: true, finishedAt: 'x' })] }],
    ['another value', { cancelRequested: 'true', iterations: [iteration({ cancelRequested: 'true' })] }],
    ['what is no list', { iterations: { 0: iteration({ cancelRequested: true }) } }],
    ['another field', { inputs: [iteration({ cancelRequested: true })] }],
    ['entries that are no objects', { iterations: [null, 5, ['cancelRequested']] }],
    [
      'a row of ours',
      { cancelRequested: true, iterations: [iteration({ cancelRequested: true })] },
      { clientId: RUNNER_CLIENT_ID },
    ],
  ])('is not %s', (_what, data, more) => {
    expect(wishIn(data, more)).toEqual(NONE);
  });
});
