import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldTimeMicros, mergeRecord, type MergedRecord } from './field-merge.ts';
import type { ChangeRow } from '#domain/wire/rows.ts';
import { formatInstant, parseInstantMicros } from '#domain/base/instant.ts';

interface VectorRow {
  id: string;
  op: string;
  data: unknown;
  field_meta: unknown;
  created_at: string;
}
interface VectorCase {
  name: string;
  recordId: string;
  rows: VectorRow[];
  out?: unknown;
  anyOf?: unknown[];
}
const vectors = JSON.parse(readFileSync(new URL('../../test/vectors/lww.json', import.meta.url), 'utf8')) as {
  cases: VectorCase[];
};

const toChangeRow = (row: VectorRow): ChangeRow => ({
  id: row.id,
  op: row.op,
  data: row.data,
  fieldMeta: row.field_meta,
  createdAt: row.created_at,
  clientId: 'device-1',
});

const at = (minute: number): string => formatInstant(Date.UTC(2026, 4, 4, 12, minute));
const micros = (minute: number): bigint => parseInstantMicros(at(minute)) ?? 0n;

let rowCount = 0;
const row = (op: string, minute: number, data: unknown, fieldMeta: unknown = {}): ChangeRow => {
  rowCount += 1;
  const id = `00000000-0000-4000-8000-${String(rowCount).padStart(12, '0')}`;
  return { id, op, data, fieldMeta, createdAt: at(minute), clientId: 'device-1' };
};
const mergedRecord = (...rows: ChangeRow[]): Record<string, unknown> | null =>
  mergeRecord('r1', rows)?.record ?? null;

/** Comparable, also in the order of keys: what is serialised must not depend on the order of rows either. */
const asText = (merged: MergedRecord | null): string =>
  JSON.stringify(
    merged && [merged.record, [...merged.fieldTimesMicros].map(([name, time]) => [name, String(time)])],
  );

describe('the vectors', () => {
  it('are 41', () => {
    expect(vectors.cases).toHaveLength(41);
  });

  it.each(vectors.cases.map((testCase) => ({ testCase, name: testCase.name })))(
    '$name, in any order and with rows repeated',
    ({ testCase }) => {
      const rows = testCase.rows.map(toChangeRow);
      const expected = mergeRecord(testCase.recordId, rows);
      const allowed = testCase.anyOf ?? [testCase.out];
      expect(allowed).toContainEqual(expected?.record ?? null);
      fc.assert(
        fc.property(shuffledAndRepeated(fc.constant(rows)), ({ arranged }) => {
          expect(asText(mergeRecord(testCase.recordId, arranged))).toBe(asText(expected));
        }),
        { numRuns: 50 },
      );
    },
  );
});

describe('any rows', () => {
  it('merge to the same record in any order, however often they are read', () => {
    fc.assert(
      fc.property(shuffledAndRepeated(wellFormedRows), ({ rows, arranged }) => {
        expect(asText(mergeRecord('r1', arranged))).toBe(asText(mergeRecord('r1', rows)));
      }),
      { numRuns: 10_000 },
    );
  });

  it('merge as a plain replay in the order of time does', () => {
    fc.assert(
      fc.property(wellFormedRows, (rows) => {
        expect(mergeRecord('r1', rows)?.record ?? null).toEqual(replay(rows));
      }),
      { numRuns: 5_000 },
    );
  });

  it('are never changed by merging', () => {
    fc.assert(
      fc.property(wellFormedRows, (rows) => {
        const before = JSON.stringify(rows);
        mergeRecord('r1', rows);
        expect(JSON.stringify(rows)).toBe(before);
      }),
      { numRuns: 1_000 },
    );
  });

  it('of arbitrary JSON never throw and never touch a prototype', () => {
    const op = fc.oneof(fc.constantFrom('insert', 'update', 'delete'), fc.string());
    const hostileObject = fc.dictionary(
      fc.constantFrom(
        '__proto__',
        'constructor',
        'constructor.prototype.x',
        'a.__proto__.x',
        '__proto__.x',
        'a',
        'a.b',
        '.',
        '',
      ),
      fc.jsonValue(),
    );
    const anything = fc.oneof(fc.jsonValue(), hostileObject);
    const rows = fc.array(
      fc.record({
        id: fc.string(),
        op,
        data: anything,
        fieldMeta: anything,
        createdAt: fc.oneof(fc.string(), fc.constant(at(1))),
        clientId: fc.constant(null),
      }),
    );
    fc.assert(
      fc.property(rows, (hostileRows) => {
        const merged = mergeRecord('r1', hostileRows);
        if (merged !== null) {
          expect(merged.record['id']).toBe('r1');
          expect(Object.getPrototypeOf(merged.record)).toBe(Object.prototype);
          fieldTimeMicros(merged, 'a');
        }
        expect('x' in {}).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('10,000 of them with large arrays merge without copying one', () => {
    const iterations = Array.from({ length: 200 }, (_, index) => ({
      id: `i${index}`,
      plan: [{ id: 's', status: 'planned' }],
    }));
    const rows = Array.from({ length: 10_000 }, (_, index) => {
      const time = formatInstant(Date.UTC(2026, 4, 4) + index * 1000);
      const fields = { iterations, nextRunAt: time, 'cadence.atHour': index % 24 };
      const fieldMeta = { iterations: time, nextRunAt: time, 'cadence.atHour': time };
      return { ...row('update', 0, fields, fieldMeta), createdAt: time };
    });
    const merged = mergeRecord('r1', rows);
    expect(merged?.record['iterations']).toBe(iterations);
  });
});

describe('malformed rows', () => {
  const good = row('insert', 0, { title: 'A', state: 'active' });

  it.each([[null], ['text'], [7], [true], [[]], [[{ title: 'B' }]]])(
    'an update whose data is %j changes nothing',
    (data) => {
      expect(mergedRecord(good, row('update', 5, data))).toEqual({ id: 'r1', title: 'A', state: 'active' });
      expect(mergedRecord(row('update', 5, data))).toBeNull();
    },
  );

  it.each(['upsert', 'INSERT', ''])('an op %j is passed over', (op) => {
    expect(mergedRecord(good, row(op, 5, { title: 'B' }))).toEqual({ id: 'r1', title: 'A', state: 'active' });
  });

  it.each([
    [null],
    ['text'],
    [[]],
    [{ title: 7 }],
    [{ title: null }],
    [{ title: { at: at(1) } }],
    [{ title: 'soon' }],
  ])('with a field_meta of %j the row time counts', (fieldMeta) => {
    const merged = mergeRecord('r1', [good, row('update', 5, { title: 'B' }, fieldMeta)]);
    expect(merged?.record['title']).toBe('B');
    expect(merged?.fieldTimesMicros.get('title')).toBe(micros(5));
  });

  it('a field time inherited from a prototype is none', () => {
    const merged = mergeRecord('r1', [row('update', 5, { toString: 'B' })]);
    expect(merged?.fieldTimesMicros.get('toString')).toBe(micros(5));
  });

  it('a row without a readable created_at loses against all others', () => {
    const timeless = { ...row('update', 0, { title: 'B' }), createdAt: 'never' };
    expect(mergedRecord(good, timeless)?.['title']).toBe('A');
    expect(mergedRecord(timeless)).toEqual({ id: 'r1', title: 'B' });
  });

  it('data.id never replaces the record id, nor does a dotted id', () => {
    expect(mergedRecord(row('insert', 0, { id: 'other', 'id.x': 1, title: 'A' }))).toEqual({
      id: 'r1',
      title: 'A',
    });
  });

  it('names that could reach a prototype are dropped', () => {
    const hostile = JSON.parse(
      '{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}},"__proto__.x":1,"a.__proto__.x":1,' +
        '"constructor.prototype.x":1,"a.constructor.prototype.x":1,"b":1}',
    ) as unknown;
    const record = mergedRecord(row('update', 1, hostile));
    expect(record).toEqual({ id: 'r1', b: 1 });
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
    expect('x' in {}).toBe(false);
  });

  it('a name nested beyond any real object is dropped', () => {
    expect(mergedRecord(row('update', 1, { ['a.'.repeat(100_000)]: 1, b: 1 }))).toEqual({ id: 'r1', b: 1 });
  });
});

describe('inserts', () => {
  it('a field_meta counts for the fields it names, the insert time for the others', () => {
    const insert = row('insert', 3, { createdAt: at(1), title: 'A', state: 'active' }, { title: at(8) });
    const merged = mergeRecord('r1', [insert, row('update', 5, { title: 'B', state: 'paused' })]);
    expect(merged?.record).toMatchObject({ title: 'A', state: 'paused' });
    expect(merged?.fieldTimesMicros.get('title')).toBe(micros(8));
  });
});

describe('removal', () => {
  const insert = row('insert', 1, { createdAt: at(1), title: 'A' });
  const removal = row('delete', 5, {});

  it('is not undone by the update of a device that did not know', () => {
    expect(mergedRecord(insert, removal, row('update', 8, { title: 'B' }))).toBeNull();
  });

  it('is undone by a later insert, together with updates after the removal', () => {
    const again = row('insert', 7, { createdAt: at(7), title: 'N' });
    const rows = [
      insert,
      removal,
      row('update', 4, { state: 'lost' }),
      row('update', 6, { agentId: 'kept' }),
      again,
    ];
    expect(mergedRecord(...rows)).toEqual({ id: 'r1', createdAt: at(7), title: 'N', agentId: 'kept' });
  });

  it('is not undone by an insert of before that arrives later', () => {
    expect(mergedRecord(removal, row('insert', 9, { createdAt: at(2), title: 'old' }))).toBeNull();
  });

  it('takes older tombstones with it', () => {
    const tombstone = row('delete', 4, { deletedAt: at(4) });
    expect(mergedRecord(insert, tombstone, removal, row('insert', 7, { title: 'N' }))).toEqual({
      id: 'r1',
      title: 'N',
    });
  });

  it.each([[null], [[]], ['text'], [{ deletedAt: null }], [{ deletedAt: 'unreadable' }]])(
    'is what a delete with data %j does',
    (data) => {
      expect(mergedRecord(insert, row('delete', 5, data))).toBeNull();
      expect(mergedRecord(insert, row('delete', 5, data), row('insert', 7, { title: 'N' }))).toEqual({
        id: 'r1',
        title: 'N',
      });
    },
  );
});

describe('dotted names', () => {
  it.each([[null], ['text'], [7], [undefined]])('into %j make an object', (value) => {
    const rows = value === undefined ? [] : [row('update', 1, { a: value })];
    expect(mergedRecord(...rows, row('update', 2, { 'a.b.c': 1 }))).toEqual({ id: 'r1', a: { b: { c: 1 } } });
  });

  it('into an array are passed over: arrays come whole', () => {
    const merged = mergeRecord('r1', [row('update', 1, { a: { b: [1] } }), row('update', 2, { 'a.b.0': 9 })]);
    expect(merged?.record).toEqual({ id: 'r1', a: { b: [1] } });
    expect([...(merged?.fieldTimesMicros.keys() ?? [])]).toEqual(['a']);
  });

  it('come after the whole object of the same row and time', () => {
    expect(mergedRecord(row('update', 1, { 'a.b': 2, a: { b: 1, c: 1 } }))).toEqual({
      id: 'r1',
      a: { b: 2, c: 1 },
    });
  });

  it('written after a revoke make an object that is no usable grant', () => {
    const rows = [row('update', 1, { grant: null }), row('update', 2, { 'grant.expiresAt': at(9) })];
    expect(mergedRecord(...rows)).toEqual({ id: 'r1', grant: { expiresAt: at(9) } });
  });
});

describe('fieldTimeMicros', () => {
  const merge = (...rows: ChangeRow[]): MergedRecord => mergeRecord('r1', rows) ?? expect.unreachable();

  it('is the latest time of the field and of the leaves below it', () => {
    const merged = merge(
      row('update', 3, { cadence: {}, cadenceX: 1 }),
      row('update', 5, { 'cadence.atHour': 8 }),
    );
    expect(fieldTimeMicros(merged, 'cadence')).toBe(micros(5));
    expect(fieldTimeMicros(merged, 'cadence.atHour')).toBe(micros(5));
    expect(fieldTimeMicros(merged, 'cadence.kind')).toBe(micros(3));
    expect(fieldTimeMicros(merged, 'cadenceX')).toBe(micros(3));
    expect(fieldTimeMicros(merged, 'nextRunAt')).toBeNull();
  });

  it('forgets leaves that a later object replaced', () => {
    const merged = merge(row('update', 3, { 'cadence.atHour': 8 }), row('update', 5, { cadence: null }));
    expect([...merged.fieldTimesMicros]).toEqual([['cadence', micros(5)]]);
  });
});

/** Few times, few fields: equal times, overwritten objects and revived records come up all the time. */
const minuteTimes = fc.integer({ min: 0, max: 5 }).map(at);
const values = fc.oneof(
  fc.constantFrom(null, 1, 'x', [], [1]),
  fc.constantFrom({}, { b: 1 }, { b: { c: 2 } }, { b: [1], d: null }),
);
const fieldNames = fc.constantFrom(
  'a',
  'a.b',
  'a.b.c',
  'a.d',
  'e',
  'deletedAt',
  'updatedAt',
  'createdAt',
  'id',
);
const fieldSets = fc.dictionary(fieldNames, fc.oneof(values, minuteTimes), {
  maxKeys: 4,
  noNullPrototype: true,
});
const times = fc.dictionary(fieldNames, fc.oneof(minuteTimes, fc.constant('unreadable')), {
  maxKeys: 4,
  noNullPrototype: true,
});
const wellFormedRows: fc.Arbitrary<ChangeRow[]> = fc
  .array(
    fc.record({
      op: fc.constantFrom('insert', 'update', 'update', 'delete'),
      data: fieldSets,
      fieldMeta: times,
      createdAt: minuteTimes,
      clientId: fc.constant(null),
    }),
    { maxLength: 8 },
  )
  .map((rows) => rows.map((fields, index) => ({ id: `row-${index}`, ...fields })));

function shuffledAndRepeated(
  source: fc.Arbitrary<ChangeRow[]>,
): fc.Arbitrary<{ rows: ChangeRow[]; arranged: ChangeRow[] }> {
  return source.chain((rows) =>
    fc
      .tuple(
        fc.shuffledSubarray(rows, { minLength: rows.length }),
        fc.shuffledSubarray(rows),
        fc.shuffledSubarray(rows),
      )
      .map(([all, some, more]) => ({ rows, arranged: [...some, ...all, ...more] })),
  );
}

/** The rule read as a story: all writes in the order of time, each applied to the record as it is then. */
function replay(rows: readonly ChangeRow[]): Record<string, unknown> | null {
  interface Event {
    readonly key: readonly [bigint, bigint, string, string];
    readonly apply: () => void;
  }
  const events: Event[] = [];
  let record: Record<string, unknown> = {};
  let exists = rows.some(({ op }) => op !== 'delete');
  const none = -1n;
  for (const { id, op, data, fieldMeta, createdAt } of rows) {
    const fields = data as Record<string, unknown>;
    const created = parseInstantMicros(createdAt) ?? none;
    const deleted = parseInstantMicros(fields['deletedAt']);
    if (op === 'delete') {
      if (deleted === null) {
        // `~` sorts after every field name; ties between rows are decided before it matters.
        const apply = (): void => {
          record = {};
          exists = false;
        };
        events.push({ key: [created, created, id, '~'], apply });
      } else {
        const deletedAt = fields['deletedAt'];
        events.push({
          key: [deleted, created, id, 'deletedAt'],
          apply: () => (record['deletedAt'] = deletedAt),
        });
        exists = true;
      }
      continue;
    }
    const own =
      op === 'insert'
        ? (parseInstantMicros(fields['updatedAt']) ?? parseInstantMicros(fields['createdAt']))
        : null;
    const rowTime = own ?? created;
    if (op === 'insert') events.push({ key: [rowTime, created, id, ''], apply: () => (exists = true) });
    for (const [field, value] of Object.entries(fields)) {
      if (field === 'id') continue;
      const time = parseInstantMicros((fieldMeta as Record<string, unknown>)[field]) ?? rowTime;
      const apply = (): void => {
        exists ||= op === 'insert';
        setDeep(record, field.split('.'), value);
      };
      events.push({ key: [time, created, id, field], apply });
    }
  }
  events.sort((left, right) => {
    for (const [index, part] of left.key.entries()) {
      const other = right.key[index] ?? '';
      if (part !== other) return part < other ? -1 : 1;
    }
    return 0;
  });
  for (const { apply } of events) apply();
  const isDeleted = (record['deletedAt'] ?? null) !== null;
  return exists && !isDeleted ? { ...record, id: 'r1' } : null;
}

function setDeep(target: Record<string, unknown>, [name = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    target[name] = structuredClone(value);
    return;
  }
  if (Array.isArray(target[name])) return;
  if (typeof target[name] !== 'object' || target[name] === null) target[name] = {};
  setDeep(target[name] as Record<string, unknown>, rest, value);
}
