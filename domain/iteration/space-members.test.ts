import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_MERGE_STATE, takeInRows, type MergeState } from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { healingAmong } from './iteration-healing.ts';
import {
  loses,
  memberTimeMicros,
  memberWritesJson,
  NO_MEMBER_WRITES,
  overwrittenBy,
  parseMemberWrites,
  stoppedByMembers,
  takeInMemberRows,
  withStepsOfMembers,
  type MemberWrites,
} from './space-members.ts';
import type { StoredObject } from '#domain/wire/iteration.ts';

type Fields = Readonly<Record<string, unknown>>;
const at = (second: number): string => formatInstant(Date.UTC(2026, 10, 28) + second * 1_000);

let rows = 0;
const row = (data: unknown, second: number, op = 'update', clientId = 'device'): ChangeRow => {
  rows += 1;
  const names = typeof data === 'object' && data !== null ? Object.keys(data) : [];
  return {
    ...{ id: `row-${String(rows).padStart(6, '0')}`, op, data, clientId, createdAt: at(second) },
    fieldMeta: op === 'update' ? Object.fromEntries(names.map((name) => [name, at(second)])) : {},
  };
};
const own = (...some: readonly ChangeRow[]): MergeState => takeInRows(EMPTY_MERGE_STATE, some);
const member = (...some: readonly ChangeRow[]): MemberWrites => takeInMemberRows(NO_MEMBER_WRITES, some);
const inserted = row({ state: 'active', createdAt: at(0) }, 0, 'insert');
const UNTOUCHED = { isAnothers: false, isDeleted: false, state: null };

describe('what members stop', () => {
  it.each([
    ['nothing', [], UNTOUCHED],
    ['a pause', [row({ state: 'paused' }, 5)], { ...UNTOUCHED, state: 'paused' }],
    ['the latest of several', [row({ state: 'done' }, 5), row({ state: 'archived' }, 6)], { ...UNTOUCHED, state: 'archived' }],
    ['a pause from before', [row({ state: 'paused' }, -5)], UNTOUCHED],
    ['a pause that was taken back', [row({ state: 'paused' }, 5), row({ state: 'active' }, 6)], UNTOUCHED],
    ['a state that there is not', [row({ state: 'paused!' }, 5)], UNTOUCHED],
    ['a state that is an object', [row({ state: { is: 'paused' } }, 5)], UNTOUCHED],
    ['a part of a state', [row({ 'state.is': 'paused' }, 5)], UNTOUCHED],
    ['a tombstone', [row({ deletedAt: at(5) }, 5)], { ...UNTOUCHED, isDeleted: true }],
    ['a tombstone that is no time', [row({ deletedAt: {} }, 5)], { ...UNTOUCHED, isDeleted: true }],
    ['a tombstone taken away', [row({ deletedAt: at(5) }, 5), row({ deletedAt: null }, 6)], UNTOUCHED],
    ['a removal', [row({}, 5, 'delete')], { ...UNTOUCHED, isDeleted: true }],
    ['a removal taken back', [row({}, 5, 'delete'), row({ createdAt: at(6) }, 6, 'insert')], UNTOUCHED],
    ['a pause from before its removal and return', [
      row({ state: 'paused' }, 5), row({}, 6, 'delete'), row({ createdAt: at(7) }, 7, 'insert'),
    ], UNTOUCHED],
    ['data that is none', [row(null, 5), row('paused', 5), row([], 5)], UNTOUCHED],
  ])('%s', (_what, some, expected) => {
    expect(stoppedByMembers(own(inserted), [member(...some)])).toEqual(expected);
  }); // prettier-ignore

  it('is no more than what stands after the mission’s own removal', () => {
    const again = own(
      inserted,
      row({}, 7, 'delete'),
      row({ state: 'active', createdAt: at(8) }, 8, 'insert'),
    );
    expect(stoppedByMembers(again, [member(row({ state: 'paused', deletedAt: at(5) }, 5))])).toEqual(
      UNTOUCHED,
    );
    expect(stoppedByMembers(again, [member(row({}, 5, 'delete'))])).toEqual(UNTOUCHED);
  });

  it('is another’s mission for whom only edited it', () => {
    const edited = own(row({ state: 'active' }, 5));
    expect(stoppedByMembers(edited, [member(inserted)])).toMatchObject({ isAnothers: true });
    expect(stoppedByMembers(edited, [member(row({ title: 'x' }, 6))])).toMatchObject({ isAnothers: false });
    expect(stoppedByMembers(own(inserted), [member(inserted)])).toMatchObject({ isAnothers: false });
  });
});

const anyRow = fc
  .record({
    op: fc.constantFrom('insert', 'update', 'delete'),
    second: fc.integer({ min: 0, max: 6 }),
    data: fc.dictionary(
      fc.constantFrom(
        'state',
        'deletedAt',
        'iterations',
        'nextRunAt',
        'title',
        'createdAt',
        'state.x',
        '__proto__',
      ),
      fc.oneof(
        fc.constantFrom('active', 'paused', 'done', at(2), at(5), null),
        fc.array(fc.record({ id: fc.constantFrom('a', 'b'), plan: fc.constant([]) })),
        fc.jsonValue(),
      ),
    ),
  })
  .map(({ op, second, data }) => row(data, second, op));

describe('a member’s rows', () => {
  it('come in any order, more than once and with what was kept in between, and never throw', () => {
    fc.assert(
      fc.property(fc.array(anyRow), fc.array(anyRow), (some, more) => {
        const kept = memberWritesJson(member(...some));
        const known = parseMemberWrites(JSON.parse(JSON.stringify(kept)) as typeof kept);
        if (known === null) throw new Error('what was kept does not parse');
        const oneByOne = takeInMemberRows(known, [...more, ...some.slice(0, 2)]);
        const all = member(...more.toReversed(), ...some.toReversed());
        const sorted = (writes: MemberWrites) => ({
          ...writes,
          merge: { ...writes.merge, writes: new Map([...writes.merge.writes].sort()) },
        });
        expect(sorted(oneByOne)).toEqual(sorted(all));
        for (const mission of [own(inserted), own(...more), EMPTY_MERGE_STATE])
          stoppedByMembers(mission, [all]);
      }),
    );
  });

  it('leave their times, so that what we write is later', () => {
    const some = [member(row({ nextRunAt: at(50) }, 50)), member(row({ nextRunAt: null }, 70))];
    expect(memberTimeMicros(some, 'nextRunAt')).toBe(BigInt(Date.UTC(2026, 10, 28) + 70_000) * 1000n);
    expect(memberTimeMicros(some, 'iterations')).toBeNull();
  });

  it('are kept without what they say, and no longer than an outline may be', () => {
    const step = { id: 's', summary: 'CANARY', intent: { kind: 'note', body: 'CANARY' }, status: 'CANARY' };
    const iteration = {
      id: 'i',
      summary: 'CANARY',
      userFeedback: 'CANARY',
      overallStatus: 'CANARY',
      plan: [step],
    };
    const some = member(row({ title: 'CANARY', iterations: [iteration] }, 1));
    expect(JSON.stringify(memberWritesJson(some))).not.toContain('CANARY');
    const many = Array.from({ length: 5_000 }, (_each, n) => ({ ...iteration, id: `i${n}` }));
    expect(member(row({ iterations: many }, 1)).outline).toBeNull();
    expect(takeInMemberRows(some, [row({ iterations: many }, 0)]).outline).toHaveLength(1);
  });
});

const step = (status: string): Fields => ({
  id: 's',
  summary: 'x',
  intent: { kind: 'note', body: 'x' },
  status,
});
const ours = (overallStatus: string, status: string, more: Fields = {}): StoredObject => ({
  ...{
    id: 'i',
    startedAt: at(0),
    source: 'server',
    summary: 'x',
    overallStatus,
    plan: [step(status)],
    ...more,
  },
});
const byUs = (iterations: readonly unknown[], second: number) =>
  row({ iterations }, second, 'update', RUNNER_CLIENT_ID);
const said = (iterations: unknown, second = 5): MemberWrites => member(row({ iterations }, second));

describe('a member’s array', () => {
  it.each([
    ['lacks an iteration', [], true],
    ['is none', 'none', true],
    ['has it as it is', [ours('awaiting-review', 'planned')], false],
    ['has it further', [ours('approved', 'approved')], false],
    ['has a status that is newer than we are', [ours('later', 'later')], false],
    ['has another beside it', [ours('awaiting-review', 'planned'), { id: 'j', plan: [] }], false],
    ['has it as it ran', [ours('running', 'planned', { plan: [] })], true],
    ['has it with another text', [ours('awaiting-review', 'planned', { summary: 'y' })], true],
    ['has a step that does something else', [
      ours('awaiting-review', 'planned', { plan: [{ ...step('planned'), intent: { kind: 'note', body: 'y' } }] }),
    ], true],
    ['has no steps', [ours('awaiting-review', 'planned', { plan: [] })], true],
  ])('%s', (_what, array, isLoss) => {
    const mine = ours('awaiting-review', 'planned');
    const { outline } = said(array);
    if (outline === null) throw new Error('no outline');
    expect(loses(outline, [mine])).toBe(isLoss);
    const healing = healingAmong([inserted, byUs([mine], 1)], [said(array)]);
    expect(healing?.iterations ?? null).toEqual(isLoss ? [mine] : null);
  }); // prettier-ignore

  it('without the feedback that stands has lost it', () => {
    const mine = ours('awaiting-review', 'planned', { userFeedback: 'gut' });
    const healing = healingAmong([inserted, byUs([mine], 1)], [said([ours('awaiting-review', 'planned')])]);
    expect(healing?.iterations).toEqual([mine]);
  });

  it('that stands below ours gives it its steps, the latest of several members', () => {
    const mine = ours('awaiting-review', 'planned');
    const members = [said([ours('approved', 'approved')], 3), said([ours('rejected', 'rejected')], 2)];
    expect(healingAmong([inserted, byUs([mine], 9)], members)?.iterations).toEqual([
      ours('approved', 'approved'),
    ]);
    expect(withStepsOfMembers([mine], members.toReversed())).toEqual([ours('approved', 'approved')]);
  });

  it('ends no claim of ours, and gives no other iteration a state', () => {
    const claim = ours('running', 'planned', { plan: [] });
    const browser = { ...ours('running', 'planned'), id: 'b', source: 'browser' };
    const theirs = said([ours('approved', 'approved'), { ...ours('failed', 'failed'), id: 'b' }]);
    const array = [claim, browser];
    expect(withStepsOfMembers(array, [theirs])).toBe(array);
  });

  it('is not above ours where it was written before, nor where nobody can write after it', () => {
    const { writes } = own(byUs([], 5));
    const position = writes.get('iterations')?.position ?? null;
    expect(overwrittenBy(position, [said([], 4)])).toBeNull();
    expect(overwrittenBy(position, [said([], 6)])).not.toBeNull();
    const late = row({ iterations: [] }, 1);
    const never = { ...late, fieldMeta: { iterations: '9999-12-31T23:59:59.999999Z' } };
    expect(overwrittenBy(position, [member(never)])).toBeNull();
  });

  it('starts nothing where no run of ours ever wrote', () => {
    expect(
      healingAmong([inserted, row({ iterations: [ours('approved', 'approved')] }, 1)], [said([])]),
    ).toBeNull();
  });

  it('costs twice as much with twice as many entries, also of one id', () => {
    const reads = [500, 1_000].map((entries) => {
      let count = 0;
      const counted = (status: string): StoredObject =>
        Object.defineProperty({ ...ours('awaiting-review', status) }, 'id', {
          enumerable: true,
          get: () => {
            count += 1;
            return 'i';
          },
        });
      const mine = Array.from({ length: entries }, () => counted('planned'));
      const theirs = said(Array.from({ length: 200 }, () => ours('approved', 'approved')));
      expect(withStepsOfMembers(mine, [theirs, theirs])).toHaveLength(entries);
      expect(loses(theirs.outline ?? [], mine)).toBe(false);
      return count;
    });
    expect((reads[1] ?? 0) / (reads[0] ?? 1)).toBeLessThan(2.5);
  });
});
