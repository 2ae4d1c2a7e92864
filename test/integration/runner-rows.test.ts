import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase, type Database } from '#db/client.ts';
import { insertMissionUpdate, type JsonObject } from '#db/sync-changes.ts';
import { withClient } from '#dev/platform-schema.ts';
import { toUserId } from '#domain/base/ids.ts';
import { asUser } from '#test/support/audit-rows.ts';
import { createTestDatabases, type TestDatabases } from '#test/support/databases.ts';

/** What may stand in a row of the runner: asked of the database, with the user that the runner logs in as. */
let databases: TestDatabases;
let runner: Database;
beforeAll(async () => {
  databases = await createTestDatabases();
  runner = openDatabase({
    url: databases.urls.runner.sync,
    applicationName: 'runner-rows',
    maxConnections: 1,
  });
});
afterAll(async () => {
  await runner.close();
  await databases.drop();
});

const USER = 'ada';
const REFUSED = { code: '42501' };
const TIME = '2026-05-04T12:00:00.000Z';
const CIPHERTEXT = 'enc:1:AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';

/** Columns as JSON text, so that what JavaScript cannot hold can be written too. */
interface RunnerRow {
  readonly data?: string | null;
  readonly fieldMeta?: string | null;
  readonly actor?: string | null;
  readonly createdAt?: string;
  readonly schemaVersion?: number;
}

const insertInto = (client: Client, row: RunnerRow) =>
  client.query(
    `insert into public.sync_changes
       (app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, schema_version, actor, origin)
     values ('ai', 'aiMissions', 'm', $1, 'update', $2, $3, 'mana-ai-runner', ${row.createdAt ?? 'clock_timestamp()'}, $4,
       $5, 'agent')`,
    [
      USER,
      row.data === undefined ? `{"iterations": []}` : row.data,
      row.fieldMeta === undefined ? `{"iterations": "${TIME}"}` : row.fieldMeta,
      row.schemaVersion ?? 1,
      row.actor === undefined ? '{}' : row.actor,
    ],
  );
const insert = (row: RunnerRow) =>
  withClient(databases.urls.runner.sync, (client) => asUser(client, USER, () => insertInto(client, row)));

/** Each field of `data` with a time of its own, as the runner writes it. */
const timed = (data: string): RunnerRow => ({
  data,
  fieldMeta: JSON.stringify(
    Object.fromEntries(Object.keys(JSON.parse(data) as JsonObject).map((field) => [field, TIME])),
  ),
});
const write = (data: JsonObject): Promise<boolean> =>
  runner.asUser(toUserId(USER), (tx) =>
    insertMissionUpdate(tx, {
      ...{ changeId: randomUUID(), missionId: 'm', spaceId: null, data, origin: 'agent' },
      fieldMeta: Object.fromEntries(Object.keys(data).map((field) => [field, TIME])),
      actor: { kind: 'system' },
    }),
  );

describe('the runner writes', () => {
  it.each<[string, JsonObject]>([
    ['iterations', { iterations: [{ id: 'i', plan: [], overallStatus: 'running' }] }],
    ['an instant', { nextRunAt: TIME }],
    ['no instant', { nextRunAt: null }],
    ['both', { iterations: [], nextRunAt: '9999-12-31T23:59:59.999Z' }],
    ['a long history', { iterations: [{ id: 'i', summary: 'x'.repeat(5_000_000) }] }],
  ])('%s', async (_, data) => {
    expect(await write(data)).toBe(true);
  });
});

describe('the database refuses the runner', () => {
  it.each<[string, string]>([
    ['the ciphertext of another record as an own field', `{"objective": "${CIPHERTEXT}"}`],
    ['an own field beside the iterations', `{"iterations": [], "title": "x"}`],
    ['a grant', `{"grant": {"wrappedKey": "x"}}`],
    ['a leaf of a grant', `{"grant.issuedAt": "${TIME}"}`],
    ['the end of a grant', `{"grant": null}`],
    ['inputs', `{"inputs": [{"module": "notes", "table": "notes", "id": "n"}]}`],
    ['a state', `{"state": "active"}`],
    ['a tombstone', `{"deletedAt": "${TIME}"}`],
    ['an agent', `{"agentId": "a"}`],
    ['a cadence', `{"cadence.atHour": 3}`],
    ['a leaf of the iterations', `{"iterations.0": []}`],
    ['a leaf of a leaf', `{"iterations.0.plan": []}`],
    ['a leaf of the instant', `{"nextRunAt.x": "${TIME}"}`],
    ['a name that is none', `{"": []}`],
    ['the name in other letters', `{"Iterations": []}`],
    ['a prototype', `{"__proto__": {"objective": "x"}, "iterations": []}`],
    ['the record’s id', `{"id": "other", "iterations": []}`],
    ['nothing', '{}'],
    ['iterations that are null', `{"iterations": null}`],
    ['iterations that are an object', `{"iterations": {"0": {}}}`],
    ['iterations that are a text', `{"iterations": "[]"}`],
    ['a second value that is none', `{"iterations": [], "iterations": null}`],
    ['an instant for ever', `{"nextRunAt": "infinity"}`],
    ['an instant as a number', `{"nextRunAt": 1777896000000}`],
    ['an instant as digits', `{"nextRunAt": "1777896000000"}`],
    ['an instant in a list', `{"nextRunAt": ["${TIME}"]}`],
    ['an instant in an object', `{"nextRunAt": {"at": "${TIME}"}}`],
    ['a truth for an instant', `{"nextRunAt": true}`],
    ['an empty instant', `{"nextRunAt": ""}`],
    ['a thirteenth month', `{"nextRunAt": "2026-13-04T12:00:00.000Z"}`],
    ['a thirty-second day', `{"nextRunAt": "2026-05-32T12:00:00.000Z"}`],
    ['a twenty-fifth hour', `{"nextRunAt": "2026-05-04T24:00:00.000Z"}`],
    ['an instant with an offset', `{"nextRunAt": "2026-05-04T12:00:00.000+02:00"}`],
    ['an instant without milliseconds', `{"nextRunAt": "2026-05-04T12:00:00Z"}`],
    ['a longer year', `{"nextRunAt": "+012026-05-04T12:00:00.000Z"}`],
    ['text behind an instant', `{"nextRunAt": "${TIME}\\n${CIPHERTEXT}"}`],
    ['text before an instant', `{"nextRunAt": "${CIPHERTEXT}\\n${TIME}"}`],
    ['an instant in other digits', `{"nextRunAt": "２０２６-05-04T12:00:00.000Z"}`],
  ])('%s', async (_, data) => {
    await expect(insert(timed(data))).rejects.toMatchObject(REFUSED);
  });

  it.each<[string, RunnerRow]>([
    ['data that is a list', { data: '[1]' }],
    ['data that names the fields in a list', { data: '["iterations"]' }],
    ['data that is a text', { data: '"iterations"' }],
    ['data that is JSON’s null', { data: 'null' }],
    ['data that is none', { data: null }],
    ['a field without its time', { fieldMeta: '{}' }],
    ['one field of two without its time', { data: `{"iterations": [], "nextRunAt": null}` }],
    ['a time without its field', { fieldMeta: `{"iterations": "${TIME}", "nextRunAt": "${TIME}"}` }],
    ['a time of another field', { fieldMeta: `{"iterations": "${TIME}", "objective": "${TIME}"}` }],
    ['a time that is a number', { fieldMeta: '{"iterations": 1777896000000}' }],
    ['a time that is null', { fieldMeta: '{"iterations": null}' }],
    ['a null without its field', { fieldMeta: `{"iterations": "${TIME}", "nextRunAt": null}` }],
    ['a time that is an object', { fieldMeta: `{"iterations": {"at": "${TIME}"}}` }],
    ['a time that is none', { fieldMeta: '{"iterations": "zzzz"}' }],
    ['times that are a list', { fieldMeta: '["iterations"]' }],
    ['times that are none', { fieldMeta: null }],
    ['an actor that is a text', { actor: '"Mana"' }],
    ['an actor that is JSON’s null', { actor: 'null' }],
    ['an actor that is none', { actor: null }],
    ['an actor without end', { actor: JSON.stringify({ displayName: 'x'.repeat(70_000) }) }],
    ['data without end', { data: JSON.stringify({ iterations: ['x'.repeat(17_000_000)] }) }],
    ['another schema version', { schemaVersion: 2 }],
    ['a row from the future', { createdAt: `clock_timestamp() + interval '2 seconds'` }],
    ['a row from the end of time', { createdAt: `'infinity'` }],
    ['a row from the past', { createdAt: `clock_timestamp() - interval '2 minutes'` }],
  ])('%s', async (_, row) => {
    await expect(insert(row)).rejects.toMatchObject(REFUSED);
  });

  it('a good row of many is refused with a bad one', async () => {
    const both = withClient(databases.urls.runner.sync, (client) =>
      asUser(client, USER, async () => {
        await insertInto(client, timed('{"iterations": ["kept?"]}'));
        await insertInto(client, timed('{"objective": "x"}'));
      }),
    );
    await expect(both).rejects.toMatchObject(REFUSED);
    const { rowCount } = await withClient(databases.superuser.syncUrl, (client) =>
      client.query(`select from public.sync_changes where data::text like '%kept?%'`),
    );
    expect(rowCount).toBe(0);
  });
});
