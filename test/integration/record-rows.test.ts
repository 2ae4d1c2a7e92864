import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { healIterations } from '#activities/runner/heal-iterations.ts';
import { openDatabase } from '#db/client.ts';
import { readMission, isOfDevice } from '#db/missions.ts';
import type { LargeValues } from '#db/record-rows.ts';
import { MISSIONS, readRecordRows, readRowsOfRecords, recordKey } from '#db/sync-changes.ts';
import { missionAt, type WebAppUser } from '#dev/web-app.ts';
import { mergeRecord, type MergedRecord } from '#domain/change-log/field-merge.ts';
import { toMissionId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let harness: ActivityHarness;
let user: WebAppUser;
beforeAll(async () => {
  harness = await createActivityHarness('record-rows-test');
  user = await harness.webApp.createUser();
});
afterAll(() => harness.close());

const asText = (merged: MergedRecord | null): string =>
  JSON.stringify(
    merged && [merged.record, [...merged.fieldTimesMicros].map(([name, time]) => [name, String(time)])],
  );
const read = (missionId: string) =>
  harness.runner.database.asUser(user.userId, (tx) =>
    readRecordRows(tx, { ...MISSIONS, recordId: missionId }),
  );

const at = (second: number): string => formatInstant(Date.UTC(2026, 4, 4) + second * 1_000);
const anyTime = fc.oneof(fc.nat({ max: 4 }).map(at), fc.constantFrom('', 'soon', 5, null));
const large = (text: string): string => text.repeat(300);
const anyValue = fc.oneof(
  fc.constantFrom<unknown>(null, 1, 'small', [], {}, { kind: 'daily' }, { a: { b: 1 } }),
  fc.constantFrom('x', 'y', 'z').map(large),
  fc.constantFrom('x', 'y', 'z').map((text): unknown => ({ a: large(text), b: 1 })),
  fc.constantFrom('x', 'y', 'z').map((text): unknown => [large(text)]),
);
const FIELDS = [
  'title',
  'grant',
  'grant.a',
  'grant.a.b',
  'iterations',
  'iterations.a',
  'deletedAt',
  'updatedAt',
  '__proto__',
  '',
];
const anyRow = fc.record({
  op: fc.constantFrom('insert', 'update', 'update', 'update', 'delete'),
  fields: fc.dictionary(fc.constantFrom(...FIELDS), anyValue, { maxKeys: 5, noNullPrototype: true }),
  times: fc.dictionary(fc.constantFrom(...FIELDS), anyTime, { maxKeys: 5, noNullPrototype: true }),
  byUs: fc.boolean(),
  second: fc.nat({ max: 3 }),
});

describe('rows with what stands of them', () => {
  it('merge to what all rows merge to, those of devices alone as well', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyRow, { minLength: 1, maxLength: 12 }), async (rows) => {
        const missionId = randomUUID();
        await query(
          harness.databases.superuser.syncUrl,
          `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at)
           select 'ai', 'aiMissions', $1, $2, op, fields, times, client, at::timestamptz
           from jsonb_to_recordset($3::text::jsonb) as planted (op text, fields jsonb, times jsonb, client text, at text)`,
          [
            missionId,
            user.userId,
            JSON.stringify(
              rows.map(({ byUs, second, ...row }) => ({
                ...row,
                client: byUs ? RUNNER_CLIENT_ID : 'device',
                at: at(second),
              })),
            ),
          ],
        );
        const whole = await harness.webApp.rows(user, missionAt(missionId));
        const found = await read(missionId);
        expect(asText(mergeRecord(missionId, found))).toBe(asText(mergeRecord(missionId, whole)));
        expect(asText(mergeRecord(missionId, found.filter(isOfDevice)))).toBe(
          asText(mergeRecord(missionId, whole.filter(isOfDevice))),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('of a thousand that send growing arrays leave the database as what stands', async () => {
    const missionId = randomUUID();
    await query(
      harness.databases.superuser.syncUrl,
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at)
       select 'ai', 'aiMissions', $1, $2, 'update', jsonb_build_object('state', 'active', 'iterations',
           jsonb_build_array(jsonb_build_object('id', 'i' || n, 'plan', '[]'::jsonb, 'summary', repeat('text ', 40 * n)))),
         jsonb_build_object('iterations', '2026-05-04T12:00:00.000Z'), 'd', now() + n * interval '1 millisecond'
       from generate_series(1, 1000) n`,
      [missionId, user.userId],
    );
    const rows = await read(missionId);
    expect(rows).toHaveLength(1_000);
    expect(JSON.stringify(rows).length).toBeLessThan(800_000);
    const merged = mergeRecord(missionId, rows);
    expect(merged?.record['iterations']).toMatchObject([{ id: 'i1000' }]);
  });
});

describe('a long history of whole arrays', () => {
  const ROWS = 120;
  /** Noise, so that compression does not make it small. */
  const noise = `(select jsonb_agg(jsonb_build_object('id', md5(n || '-' || i), 'plan', '[]'::jsonb)) from generate_series(1, 100) i)`;
  const plantHistory = async (more: string, times: string): Promise<string> => {
    const missionId = randomUUID();
    await harness.webApp.insert(user, missionAt(missionId), { title: 'Planted', state: 'active' });
    await query(
      harness.databases.superuser.syncUrl,
      `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at)
       select 'ai', 'aiMissions', $1, $2, 'update', jsonb_build_object('iterations', ${noise}) || ${more},
         jsonb_build_object('iterations', moment, ${times}),
         case when n % 2 = 0 then '${RUNNER_CLIENT_ID}' else 'device' end, moment::timestamptz
       from generate_series(1, ${ROWS}) n, lateral (select to_char(
         (now() + n * interval '1 second') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) as at (moment)`,
      [missionId, user.userId],
    );
    return missionId;
  };

  it.each([
    ['each field with its time', `'{"nextRunAt": "soon"}'`, `'nextRunAt', moment`],
    ['times without their fields', `'{}'`, `'title', moment`],
    [
      'some of them no text, or no object',
      `case when n % 3 = 0 then '"none"'::jsonb else '{}' end`,
      `'nextRunAt', n`,
    ],
  ])('merges to what all rows merge to: %s', async (_, more, times) => {
    const missionId = await plantHistory(more, times);
    const whole = await harness.webApp.rows(user, missionAt(missionId));
    const found = await read(missionId);
    expect(asText(mergeRecord(missionId, found))).toBe(asText(mergeRecord(missionId, whole)));
    expect(asText(mergeRecord(missionId, found.filter(isOfDevice)))).toBe(
      asText(mergeRecord(missionId, whole.filter(isOfDevice))),
    );
  });

  it('is not unpacked but for what stands', async () => {
    const missionId = await plantHistory(`'{}'`, `'iterations', moment`);
    const [stored] = await query(
      harness.databases.superuser.syncUrl,
      `select sum(pg_column_size(data))::int / 8192 as pages from public.sync_changes where record_id = $1`,
      [missionId],
    );
    const before = await toastPages();
    await readAlone(missionId);
    const pages = (await toastPages()) - before;
    // Those that stand: of all rows, and of the devices' alone.
    expect(pages).toBeGreaterThan(0);
    expect(pages).toBeLessThan(Number(stored?.['pages']) / 2);
  });

  /** On a connection of its own, which tells the server what it did when it ends. */
  async function readAlone(missionId: string): Promise<void> {
    const url = new URL(harness.databases.urls.runner.sync);
    const database = openDatabase({
      ...{ url: url.toString(), applicationName: 'long-history', maxConnections: 1 },
    });
    await database.asUser(user.userId, (tx) => readRecordRows(tx, { ...MISSIONS, recordId: missionId }));
    await database.close();
    await waitUntil('the connection has gone', async () => {
      const rows = await query(
        harness.databases.superuser.syncUrl,
        `select from pg_catalog.pg_stat_activity where application_name = 'long-history'`,
      );
      return rows.length === 0;
    });
  }

  /** Of values that are stored out of line, read so far. */
  async function toastPages(): Promise<number> {
    const [found] = await query(
      harness.databases.superuser.syncUrl,
      `select (toast_blks_read + toast_blks_hit)::int as pages from pg_catalog.pg_statio_user_tables
       where relid = 'public.sync_changes'::regclass`,
    );
    return Number(found?.['pages']);
  }
});

describe('large values', () => {
  const ciphertext = `enc:1:${'QUJD'.repeat(100)}`;
  const inClear = large('In clear. ');
  it.each<[LargeValues, unknown, unknown]>([
    ['ciphertext', ciphertext, true],
    ['clear', 'enc:1:', inClear],
    ['none', 'enc:1:', true],
  ])(
    'that are asked for are read, of others it is only told what they are: %s',
    async (asked, title, objective) => {
      const missionId = randomUUID();
      await harness.webApp.insert(user, missionAt(missionId), {
        ...{ title: ciphertext, objective: inClear, inputs: [inClear], state: 'active' },
      });
      const rows = await harness.runner.database.asUser(user.userId, (tx) =>
        readRowsOfRecords(tx, [{ ...MISSIONS, recordId: missionId }], asked),
      );
      expect(
        mergeRecord(missionId, rows.get(recordKey('aiMissions', missionId)) ?? [])?.record,
      ).toMatchObject({
        ...{ title, objective, state: 'active', inputs: asked === 'clear' ? [inClear] : true },
      });
    },
  );
});

/** Noise, so that compression does not make it small. */
const plantLarge = (missionId: string, field: string, bytes: number) =>
  query(
    harness.databases.superuser.syncUrl,
    `insert into public.sync_changes (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at)
     select 'ai', 'aiMissions', $1, $2, 'update', jsonb_build_object($3::text, (select jsonb_agg(jsonb_build_object('id', md5(i::text), 'plan', '[]'::jsonb)) from generate_series(1, $4::int / 60) i)),
       jsonb_build_object($3::text, $5::text), 'd', clock_timestamp()`,
    [missionId, user.userId, field, bytes, formatInstant(Date.now())],
  );
const readWhole = (missionId: string) =>
  harness.runner.database.asUser(user.userId, (tx) => readMission(tx, missionId));

describe('a field that is too large to be read', () => {
  it.each(['inputs', 'iterations'])('is named: %s', async (field) => {
    const missionId = randomUUID();
    await harness.webApp.insert(user, missionAt(missionId), { state: 'active', title: 'kept' });
    await plantLarge(missionId, field, 12_000_000);
    const found = await readWhole(missionId);
    expect(found?.tooLarge).toEqual([field]);
    expect(found?.mission).toMatchObject({ state: 'active', title: 'kept', inputs: [], iterations: [] });
  });

  it('costs nothing once it was replaced', async () => {
    const missionId = randomUUID();
    await plantLarge(missionId, 'inputs', 12_000_000);
    await harness.webApp.update(
      user,
      missionAt(missionId),
      { state: 'active', inputs: [] },
      { atMs: Date.now() + 1 },
    );
    expect((await readWhole(missionId))?.tooLarge).toEqual([]);
  });

  it('is not written over by a healing', async () => {
    const missionId = randomUUID();
    await harness.webApp.insertRow(user.userId, {
      ...{ ...missionAt(missionId), op: 'update', clientId: RUNNER_CLIENT_ID },
      data: { iterations: [{ id: 'ours', source: 'server', plan: [] }] },
      fieldMeta: { iterations: formatInstant(Date.now() - 1_000) },
    });
    await plantLarge(missionId, 'iterations', 12_000_000);
    expect(await healIterations(harness.runner, user.userId, toMissionId(missionId))).toBe(0);
  });
});
