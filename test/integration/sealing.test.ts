import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import { unwrapGrant } from '#crypto/unwrap-grant.ts';
import { unsealRecord } from '#crypto/sealed-record.ts';
import { revokeMissionGrants } from '#db/mission-grants.ts';
import { insertMissionUpdate } from '#db/sync-changes.ts';
import { withClient } from '#dev/platform-schema.ts';
import { agentAt, missionAt, noteAt, taskAt, type WebAppUser } from '#dev/web-app.ts';
import { RunEndedError } from '#domain/base/errors.ts';
import type { Grant } from '#domain/wire/grant.ts';
import { toMissionId, toWorkflowRunId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { RunRef, SealResult } from '#domain/run/run.ts';
import { registry } from '#metrics/registry.ts';
import {
  createActivityHarness,
  holdSlot,
  newRun,
  type ActivityHarness,
  type GrantOptions,
} from '#test/support/activity-dependencies.ts';
import { asUser } from '#test/support/audit-rows.ts';
import { countRows, query } from '#test/support/inspect.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('sealing-test');
});
afterAll(() => harness.close());

const HOUR_MS = 3_600_000;
const NOTHING: SealResult = {
  problem: null,
  sealed: 0,
  failed: 0,
  scopeViolations: 0,
  ownFieldsReadable: false,
};
const refused = (problem: SealResult['problem']): SealResult => ({ ...NOTHING, problem });

interface Story {
  readonly user: WebAppUser;
  readonly missionId: string;
  readonly run: RunRef;
  readonly grant: Grant;
}

/** A user with an encrypted mission, the notes that it names, and a grant for `granted` of them. */
async function story(
  options: {
    readonly notes?: readonly string[];
    readonly granted?: readonly string[];
    readonly mission?: Readonly<Record<string, unknown>>;
    readonly grant?: GrantOptions;
    readonly user?: WebAppUser;
  } = {},
): Promise<Story> {
  const { webApp } = harness;
  const user = options.user ?? (await webApp.createUser());
  const missionId = randomUUID();
  const notes = options.notes ?? ['n1'];
  for (const id of notes) await webApp.insert(user, noteAt(id), { title: user.encrypt(`title ${id}`) });
  const recordIds = (options.granted ?? notes).map((id) => `notes:${id}`);
  const grant = await harness.grantFor(user, missionId, recordIds, options.grant);
  await webApp.insert(user, missionAt(missionId), {
    title: user.encrypt('mission title'),
    objective: user.encrypt('mission objective'),
    state: 'active',
    inputs: notes.map((id) => ({ module: 'notes', table: 'notes', id })),
    iterations: [],
    grant,
    ...options.mission,
  });
  return { user, missionId, run: newRun(user, missionId), grant };
}

async function seal(run: RunRef): Promise<SealResult> {
  await holdSlot(harness.runner.database, run);
  return sealInputs(harness.vault, run);
}

const sync = (text: string, values: readonly unknown[]) =>
  query(harness.databases.superuser.syncUrl, text, values);

const auditOf = async ({ missionId }: Story): Promise<string[]> => {
  const rows = await sync(
    `select format('%s %s:%s%s', status, table_name, record_id, ' ' || reason) as line
       from mana_ai.decrypt_audit where mission_id = $1 order by id`,
    [missionId],
  );
  return rows.map((row) => String(row['line']));
};

const sealedOf = ({ run }: Story) =>
  sync(
    `select sealed.table_name, sealed.record_id, sealed, audit.status, audit.record_id as audited
       from mana_ai.sealed_inputs sealed join mana_ai.decrypt_audit audit on audit.id = audit_id
      where run_id = $1 order by sealed.table_name, sealed.record_id`,
    [run.runId],
  );

/** Opens what was sealed, as the runner does: with the grant's key and nothing else. */
async function openedOf(told: Story): Promise<Record<string, unknown>> {
  const { user, run, grant } = told;
  const { privateKeys } = harness.runner;
  const unwrapped = unwrapGrant({ privateKeys, userId: user.userId, grant, nowMs: Date.now() });
  if (!unwrapped.ok) throw new Error(unwrapped.reason);
  const rows = await sealedOf(told);
  return Object.fromEntries(
    rows.map((row) => {
      const [table, recordId] = [String(row['table_name']), String(row['record_id'])];
      const context = {
        ...{ userId: user.userId, missionId: toMissionId(run.missionId), runId: toWorkflowRunId(run.runId) },
        ...{ table, recordId },
      };
      return [`${table}:${recordId}`, unsealRecord(unwrapped.mdk, context, row['sealed'] as Buffer)];
    }),
  );
}

describe('sealing', () => {
  it('seals the granted records and the mission itself, each with its audit row, for the grant’s key alone', async () => {
    const told = await story({ notes: ['n1', 'n2'] });
    expect(await seal(told.run)).toEqual({ ...NOTHING, sealed: 3, ownFieldsReadable: true });
    expect(await openedOf(told)).toEqual({
      [`aiMissions:${told.missionId}`]: { title: 'mission title', objective: 'mission objective' },
      'notes:n1': { title: 'title n1' },
      'notes:n2': { title: 'title n2' },
    });
    for (const row of await sealedOf(told))
      expect(row).toMatchObject({ status: 'ok', audited: row['record_id'] });
    expect(await auditOf(told)).toEqual([`ok aiMissions:${told.missionId}`, 'ok notes:n1', 'ok notes:n2']);
  });

  it('repeated, adds no row and says the same', async () => {
    const told = await story({ notes: ['n1', 'bad', 'outside'], granted: ['n1', 'bad'] });
    await harness.webApp.update(told.user, noteAt('bad'), { content: 'enc:1:AAAA.AAAA' });
    const first = await seal(told.run);
    const audit = await auditOf(told);
    const sealed = await sealedOf(told);
    expect(first).toEqual({ ...NOTHING, sealed: 3, failed: 1, scopeViolations: 1, ownFieldsReadable: true });
    expect(await seal(told.run)).toEqual(first);
    expect(await auditOf(told)).toEqual(audit);
    expect(await sealedOf(told)).toEqual(sealed);
  });

  it('for a run that is over, or another’s by now, opens nothing: nobody would forget what it left', async () => {
    const told = await story();
    await seal(told.run);
    const audit = await auditOf(told);
    await forgetRun(harness.runner.database, told.user.userId, told.run);
    await expect(sealInputs(harness.vault, told.run)).rejects.toBeInstanceOf(RunEndedError);
    await holdSlot(harness.runner.database, newRun(told.user, told.missionId));
    await expect(sealInputs(harness.vault, told.run)).rejects.toBeInstanceOf(RunEndedError);
    expect(await sealedOf(told)).toEqual([]);
    expect(await auditOf(told)).toEqual(audit);
    expect(
      await countRows(harness.databases.superuser.syncUrl, 'mana_ai.run_grants', 'mission_id = $1', [
        told.missionId,
      ]),
    ).toBe(0);
  });

  it('two attempts at once write each row once', async () => {
    const told = await story({ notes: ['n1', 'n2'] });
    const [first, second] = await Promise.all([seal(told.run), seal(told.run)]);
    expect(first).toEqual(second);
    expect(await auditOf(told)).toHaveLength(3);
    expect(await sealedOf(told)).toHaveLength(3);
  });

  it('more records than a batch are all sealed, and audited once each', async () => {
    const user = await harness.webApp.createUser();
    const ids = Array.from({ length: 60 }, (_, index) => `n${String(index).padStart(2, '0')}`);
    const told = await story({ user, notes: ids });
    expect(await seal(told.run)).toMatchObject({ problem: null, sealed: 61 });
    const opened = await openedOf(told);
    for (const id of ids) expect(opened[`notes:${id}`]).toEqual({ title: `title ${id}` });
    expect(new Set(await auditOf(told)).size).toBe(61);
    expect(await auditOf(told)).toHaveLength(61);
  });

  it('what stands in clear is neither sealed nor audited', async () => {
    const told = await story({
      notes: [],
      granted: ['clear'],
      mission: { title: 'clear', objective: 'clear' },
    });
    await harness.webApp.insert(told.user, noteAt('clear'), { title: 'clear', content: null });
    expect(await seal(told.run)).toEqual({ ...NOTHING, ownFieldsReadable: true });
    expect(await auditOf(told)).toEqual([]);
  });

  it('an input outside the grant is audited once and not opened', async () => {
    const told = await story({ notes: ['n1', 'n2'], granted: ['n1'] });
    expect(await seal(told.run)).toEqual({
      ...NOTHING,
      sealed: 2,
      scopeViolations: 1,
      ownFieldsReadable: true,
    });
    expect(Object.keys(await openedOf(told))).toEqual([`aiMissions:${told.missionId}`, 'notes:n1']);
    expect(await auditOf(told)).toContain('scope-violation notes:n2 not in the scope of the grant');
  });

  it('a field that does not open is audited as failed, by its name; the others of the record are sealed', async () => {
    const told = await story();
    const stranger = await harness.webApp.createUser();
    await harness.webApp.update(told.user, noteAt('n1'), { content: stranger.encrypt('of another key') });
    expect(await seal(told.run)).toEqual({ ...NOTHING, sealed: 2, failed: 1, ownFieldsReadable: true });
    expect(await openedOf(told)).toMatchObject({ 'notes:n1': { title: 'title n1' } });
    expect(await auditOf(told)).toContain('failed notes:n1 undecryptable: content');
  });

  it('a field of the mission itself that does not open is reported', async () => {
    const told = await story({ mission: { conceptMarkdown: 'enc:1:AAAA.AAAA' } });
    expect(await seal(told.run)).toMatchObject({ problem: null, failed: 1, ownFieldsReadable: false });
  });

  it('another user’s record of the same id is simply not found', async () => {
    const owner = await harness.webApp.createUser();
    await harness.webApp.insert(owner, noteAt('theirs'), { title: owner.encrypt('their title') });
    const told = await story({ notes: [], granted: ['theirs'] });
    expect(await seal(told.run)).toEqual({ ...NOTHING, sealed: 1, ownFieldsReadable: true });
    expect(await auditOf(told)).toEqual([`ok aiMissions:${told.missionId}`]);
  });

  it('a deleted record is not opened', async () => {
    const told = await story();
    await harness.webApp.insertRow(told.user.userId, { ...noteAt('n1'), op: 'delete', data: {} });
    expect(await seal(told.run)).toMatchObject({ sealed: 1 });
    expect(await auditOf(told)).toEqual([`ok aiMissions:${told.missionId}`]);
  });

  it('the agent is the one that the mission named at the grant’s first use', async () => {
    const { webApp } = harness;
    const told = await story({ notes: [], granted: ['none'], mission: { agentId: 'first' } });
    for (const id of ['first', 'second']) {
      await webApp.insert(told.user, agentAt(id), {
        name: id,
        systemPrompt: told.user.encrypt(`prompt ${id}`),
      });
    }
    await seal(told.run);
    await webApp.update(told.user, missionAt(told.missionId), { agentId: 'second' });
    const later = { ...told, run: newRun(told.user, told.missionId) };
    await seal(later.run);
    for (const each of [told, later]) expect(await openedOf(each)).toHaveProperty('agents:first');
    expect(await openedOf(later)).not.toHaveProperty('agents:second');
  });

  it('a task’s subtasks are sealed as the list they are', async () => {
    const told = await story({ notes: [], granted: ['none'] });
    const grant = await harness.grantFor(told.user, told.missionId, ['tasks:t1']);
    const subtasks = [{ title: 'eins', done: true }];
    await harness.webApp.insert(told.user, taskAt('t1'), {
      subtasks: told.user.encrypt(subtasks),
      priority: 'high',
    });
    await harness.webApp.update(told.user, missionAt(told.missionId), { grant });
    await seal(told.run);
    expect(await openedOf({ ...told, grant })).toMatchObject({ 'tasks:t1': { subtasks } });
  });
});

const countOf = async (name: string): Promise<number> =>
  (await registry.getSingleMetric(name)?.get())?.values[0]?.value ?? Number.NaN;

describe('the ciphertext of another record', () => {
  /** A note that no grant names, and its ciphertext in a field of the mission: what a stolen session can write. */
  const copyInto = async (told: Story, field: string): Promise<void> => {
    const id = randomUUID();
    const content = told.user.encrypt('not granted');
    await harness.webApp.insert(told.user, noteAt(id), { title: 'x', content });
    await harness.webApp.update(told.user, missionAt(told.missionId), { [field]: content });
  };

  it.each(['title', 'objective', 'conceptMarkdown'])(
    'in the mission’s %s is refused as a breach of the scope, in each run again',
    async (field) => {
      const told = await story();
      await copyInto(told, field);
      const expected = { problem: null, sealed: 2, scopeViolations: 1, ownFieldsReadable: false };
      const before = await countOf('mana_grant_scope_violations_total');
      expect(await seal(told.run)).toMatchObject(expected);
      expect(await countOf('mana_grant_scope_violations_total')).toBe(before + 1);
      const violation = `scope-violation aiMissions:${told.missionId} holds the ciphertext of another record: ${field}`;
      expect(await auditOf(told)).toContain(violation);
      const opened = await openedOf(told);
      expect(JSON.stringify(opened)).not.toContain('not granted');
      expect(opened[`aiMissions:${told.missionId}`]).not.toHaveProperty(field);
      expect(await seal(told.run)).toMatchObject(expected);
      expect(await seal(newRun(told.user, told.missionId))).toMatchObject(expected);
      expect((await auditOf(told)).filter((line) => line === violation)).toHaveLength(2);
    },
  );

  it.each<[string, (told: Story, content: string) => Promise<unknown>]>([
    [
      'a note that was removed',
      async (told, content) => {
        await harness.webApp.insert(told.user, noteAt('gone'), { content });
        await harness.webApp.insertRow(told.user.userId, { ...noteAt('gone'), op: 'delete', data: {} });
      },
    ],
    [
      'a record that held it before',
      async (told, content) => {
        await harness.webApp.insert(told.user, taskAt('t'), { description: content });
        await harness.webApp.update(told.user, taskAt('t'), { description: told.user.encrypt('newer') });
      },
    ],
    [
      'another mission',
      (told, content) => harness.webApp.insert(told.user, missionAt('m2'), { conceptMarkdown: content }),
    ],
    ['an agent', (told, content) => harness.webApp.insert(told.user, agentAt('other'), { memory: content })],
    ['a granted note', (told, content) => harness.webApp.update(told.user, noteAt('n1'), { content })],
  ])('of %s is refused', async (_, write) => {
    const told = await story();
    const content = told.user.encrypt('not granted');
    await write(told, content);
    await harness.webApp.update(told.user, missionAt(told.missionId), { conceptMarkdown: content });
    expect(await seal(told.run)).toMatchObject({ scopeViolations: 1, ownFieldsReadable: false });
  });

  it('in a field of the mission’s agent is refused', async () => {
    const told = await story({ notes: [], granted: ['none'], mission: { agentId: 'a' } });
    const content = told.user.encrypt('not granted');
    await harness.webApp.insert(told.user, noteAt('n9'), { content });
    await harness.webApp.insert(told.user, agentAt('a'), {
      systemPrompt: content,
      memory: told.user.encrypt('memory'),
    });
    expect(await seal(told.run)).toMatchObject({ scopeViolations: 1, ownFieldsReadable: true });
    expect(await openedOf(told)).toMatchObject({ 'agents:a': { memory: 'memory' } });
    expect(await auditOf(told)).toContain(
      'scope-violation agents:a holds the ciphertext of another record: systemPrompt',
    );
  });

  it('is no other field of the mission, no earlier row of it, and none of another user', async () => {
    const told = await story();
    const title = told.user.encrypt('one text');
    await harness.webApp.update(told.user, missionAt(told.missionId), { title, objective: title });
    const stranger = await harness.webApp.createUser();
    await harness.webApp.insert(stranger, noteAt('theirs'), { title });
    expect(await seal(told.run)).toMatchObject({ sealed: 2, scopeViolations: 0, ownFieldsReadable: true });
  });

  it('is looked for once for each ciphertext, and what is looked for is forgotten with it', async () => {
    const told = await story();
    const kept = () =>
      sync('select elsewhere from mana_ai.own_ciphertexts where record_id = $1', [told.missionId]);
    await seal(told.run);
    expect(await kept()).toEqual([{ elsewhere: false }, { elsewhere: false }]);
    // A copy that is made later is one of the mission's own words.
    const mission = await harness.webApp.read(told.user, missionAt(told.missionId));
    await harness.webApp.insert(told.user, noteAt('copy'), { title: mission?.record['title'] });
    expect(await seal(newRun(told.user, told.missionId))).toMatchObject({ scopeViolations: 0 });
    await copyInto(told, 'objective');
    await seal(newRun(told.user, told.missionId));
    expect((await kept()).map((row) => row['elsewhere']).toSorted()).toEqual([false, true]);
  });
});

describe('what stands under the runner’s own client id', () => {
  const clientId = 'mana-ai-runner';
  const asRunner = (told: Story, data: Readonly<Record<string, unknown>>) =>
    harness.webApp.insertRow(told.user.userId, {
      ...{ ...missionAt(told.missionId), op: 'update', clientId, data },
      fieldMeta: Object.fromEntries(
        Object.keys(data).map((field) => [field, formatInstant(Date.now() + HOUR_MS)]),
      ),
    });

  it('changes nothing of the mission that is sealed', async () => {
    const told = await story({ notes: ['n1', 'n2'], granted: ['n1'] });
    await asRunner(told, {
      objective: told.user.encrypt('not the user’s'),
      inputs: [],
      agentId: 'other',
      grant: null,
      deletedAt: formatInstant(Date.now()),
    });
    await harness.webApp.insert(told.user, agentAt('other'), { memory: told.user.encrypt('not asked for') });
    expect(await seal(told.run)).toMatchObject({ sealed: 2, scopeViolations: 1, ownFieldsReadable: true });
    expect(await openedOf(told)).toMatchObject({
      [`aiMissions:${told.missionId}`]: { title: 'mission title', objective: 'mission objective' },
    });
    expect(await openedOf(told)).not.toHaveProperty('agents:other');
  });

  it('makes no mission', async () => {
    const user = await harness.webApp.createUser();
    const missionId = randomUUID();
    const grant = await harness.grantFor(user, missionId, ['notes:n1']);
    const told = { user, missionId, run: newRun(user, missionId), grant };
    await asRunner(told, { title: user.encrypt('x'), grant });
    expect(await seal(told.run)).toEqual(refused('absent'));
  });
});

describe('a v1 grant that was revoked', () => {
  const issuedAtMs = Date.now() - HOUR_MS;
  const foreign = (): Promise<Story> => story({ grant: { version: 'v1', logged: false, issuedAtMs } });
  const asRunner = (told: Story, statement: string, values: readonly string[]) =>
    withClient(harness.databases.urls.runner.sync, (client) =>
      asUser(client, told.user.userId, () => client.query(statement, [...values])),
    );

  it.each<[string, (told: Story) => Promise<unknown>]>([
    [
      'before its first use, through the API',
      (told) =>
        harness.api.asUser(told.user.userId, (tx) => revokeMissionGrants(tx, toMissionId(told.missionId))),
    ],
    [
      'after its first use, through the API',
      async (told) => {
        await seal(told.run);
        await harness.api.asUser(told.user.userId, (tx) =>
          revokeMissionGrants(tx, toMissionId(told.missionId)),
        );
      },
    ],
    [
      'by the web app',
      async (told) => {
        await seal(told.run);
        await harness.webApp.update(told.user, missionAt(told.missionId), { grant: null });
      },
    ],
  ])('%s is not entered again by a stolen runner', async (_, revoke) => {
    const told = await foreign();
    await revoke(told);
    const later = formatInstant(Date.now() + HOUR_MS);
    for (const data of [
      { grant: { ...told.grant, issuedAt: later } },
      { 'grant.issuedAt': later },
      { iterations: [], grant: { ...told.grant, issuedAt: later } },
    ]) {
      const writing = harness.runner.database.asUser(told.user.userId, (tx) =>
        insertMissionUpdate(tx, {
          ...{ changeId: randomUUID(), missionId: told.missionId, spaceId: null, data, origin: 'agent' },
          fieldMeta: Object.fromEntries(Object.keys(data).map((field) => [field, later])),
          actor: { kind: 'system' },
        }),
      );
      await expect(writing).rejects.toMatchObject({ code: '42501' });
    }
    for (const statement of [
      'update mana_ai.mission_grants set revoked_at = null where mission_id = $1',
      'delete from mana_ai.mission_grants where mission_id = $1',
      'delete from mana_ai.mission_revocations where mission_id = $1',
      `insert into mana_ai.mission_grants
         (user_id, wrapped_key_sha256, mission_id, version, tables, record_ids, origin, issued_at, expires_at)
       values (current_setting('app.current_user_id'), sha256('x'), $1, 'v1', '{}', '{}', 'foreign', now(), now())`,
    ]) {
      await expect(asRunner(told, statement, [told.missionId])).rejects.toMatchObject({ code: '42501' });
    }
    const run = newRun(told.user, told.missionId);
    expect(['revoked', 'absent']).toContain((await seal(run)).problem);
    expect(await sealedOf({ ...told, run })).toEqual([]);
  });
});

describe('a revoked grant', () => {
  const MINUTE_MS = 60_000;
  const revoke = ({ user, missionId }: Story, atMs: number) =>
    harness.webApp.update(user, missionAt(missionId), { grant: null }, { atMs });

  it('opens nothing once null was written after its issue, even if a device puts it back', async () => {
    const told = await story({ grant: { issuedAtMs: Date.now() - HOUR_MS } });
    await revoke(told, Date.now() - MINUTE_MS);
    await harness.webApp.update(told.user, missionAt(told.missionId), { grant: told.grant });
    expect(await seal(told.run)).toEqual(refused('revoked'));
    expect(await auditOf(told)).toEqual([]);
    const revoked = await countRows(
      harness.databases.superuser.syncUrl,
      'mana_ai.mission_grants',
      'mission_id = $1 and revoked_at is not null',
      [told.missionId],
    );
    expect(revoked).toBe(1);
  });

  it('is one that was issued before the null, not one issued after it', async () => {
    const told = await story();
    await revoke(told, Date.now() - HOUR_MS);
    expect(await seal(told.run)).toMatchObject({ problem: null, sealed: 2 });
  });

  it('is none that an insert with null stands beside', async () => {
    const told = await story({ mission: { grant: null } });
    await harness.webApp.update(told.user, missionAt(told.missionId), { grant: told.grant });
    expect(await seal(told.run)).toMatchObject({ problem: null, sealed: 2 });
  });

  it('is absent while nothing else was written', async () => {
    const told = await story();
    await revoke(told, Date.now() + MINUTE_MS);
    expect(await seal(told.run)).toEqual(refused('absent'));
  });
});

describe('a grant that opens nothing', () => {
  it('is one that the mint log does not hold', async () => {
    const told = await story({ grant: { logged: false } });
    expect(await seal(told.run)).toEqual(refused('unknown'));
    expect(await auditOf(told)).toEqual([]);
  });

  it('is one of another user’s mint log', async () => {
    const other = await story();
    const user = await harness.webApp.createUser();
    const missionId = other.missionId;
    await harness.webApp.insert(user, missionAt(missionId), { title: user.encrypt('x'), grant: other.grant });
    expect(await seal(newRun(user, missionId))).toEqual(refused('unknown'));
  });

  it.each<[string, (grant: Grant) => Readonly<Record<string, unknown>>]>([
    [
      'a wider scope',
      (grant) => ({ 'grant.derivation.recordIds': [...grant.derivation.recordIds, 'notes:n2'] }),
    ],
    ['another table', () => ({ 'grant.derivation.tables': ['notes', 'tasks'] })],
    ['another mission', () => ({ 'grant.derivation.missionId': 'elsewhere' })],
    ['another version', () => ({ 'grant.derivation.version': 'v1' })],
    ['a later expiry', () => ({ 'grant.expiresAt': formatInstant(Date.now() + 300 * 24 * HOUR_MS) })],
    ['an earlier expiry', () => ({ 'grant.expiresAt': formatInstant(Date.now() + HOUR_MS) })],
    ['another issue', () => ({ 'grant.issuedAt': formatInstant(Date.now() - HOUR_MS) })],
  ])('is one whose record was changed to %s', async (_, changed) => {
    const told = await story();
    await harness.webApp.insert(told.user, noteAt('n2'), { title: told.user.encrypt('not granted') });
    await harness.webApp.update(told.user, missionAt(told.missionId), changed(told.grant));
    expect(await seal(told.run)).toEqual(refused('unknown'));
    expect(await auditOf(told)).toEqual([]);
  });

  it('is one that has expired, or whose record says that it ends later', async () => {
    const told = await story({ grant: { issuedAtMs: Date.now() - 2 * HOUR_MS, ttlMs: HOUR_MS } });
    expect(await seal(told.run)).toEqual(refused('expired'));
    const stretched = { 'grant.expiresAt': formatInstant(Date.now() + HOUR_MS) };
    await harness.webApp.update(told.user, missionAt(told.missionId), stretched);
    expect(await seal(told.run)).toEqual(refused('unknown'));
  });

  it.each([
    ['has no vault', 'none', 'vault-missing', 404],
    ['is in zero-knowledge mode', 'zero-knowledge', 'zero-knowledge', 409],
  ] as const)('is one whose user %s; the access is audited', async (_, vault, problem, status) => {
    const user = await harness.webApp.createUser({ vault });
    const told = await story({ user });
    expect(await seal(told.run)).toEqual(refused(problem));
    const accesses = await query(
      harness.databases.superuser.authUrl,
      'select action, status, context from auth.encryption_vault_audit where user_id = $1',
      [user.userId],
    );
    expect(accesses).toEqual([{ action: 'ai-mission-run', status, context: `mission ${told.missionId}` }]);
    expect(await auditOf(told)).toEqual([]);
  });

  it('is one whose vault does not open', async () => {
    const told = await story();
    await query(
      harness.databases.superuser.authUrl,
      'update auth.encryption_vaults set wrap_iv = $2 where user_id = $1',
      [told.user.userId, Buffer.alloc(12).toString('base64')],
    );
    expect(await seal(told.run)).toEqual(refused('vault-unreadable'));
  });

  it.each([
    ['no object', 'text'],
    ['a list', []],
    ['an empty object', {}],
    ['a number', 5],
  ])('is %s', async (_, grant) => {
    const told = await story({ mission: { grant } });
    expect(await seal(told.run)).toEqual(refused('malformed'));
  });

  it('is that of a mission that is gone', async () => {
    const told = await story();
    await harness.webApp.insertRow(told.user.userId, {
      ...missionAt(told.missionId),
      op: 'delete',
      data: {},
    });
    expect(await seal(told.run)).toEqual(refused('absent'));
  });
});

describe('a v1 grant that another service minted', () => {
  it('is entered in the mint log at its first use, for at most 30 days after its issue', async () => {
    const issuedAtMs = Date.now() - HOUR_MS;
    const told = await story({
      grant: { version: 'v1', logged: false, issuedAtMs, ttlMs: 400 * 86_400_000 },
    });
    expect(await seal(told.run)).toMatchObject({ problem: null, sealed: 2 });
    expect(await seal(newRun(told.user, told.missionId))).toMatchObject({ problem: null, sealed: 2 });
    const entries = await sync(
      `select origin, version, expires_at from mana_ai.mission_grants where mission_id = $1`,
      [told.missionId],
    );
    const expires_at = new Date(issuedAtMs + 30 * 86_400_000);
    expect(entries).toEqual([{ origin: 'foreign', version: 'v1', expires_at }]);
  });

  it('does not outlive 30 days by an issue in the future', async () => {
    const issuedAtMs = Date.now() + 1_000 * 86_400_000;
    const told = await story({ grant: { version: 'v1', logged: false, issuedAtMs, ttlMs: HOUR_MS } });
    expect(await seal(told.run)).toMatchObject({ problem: null, sealed: 2 });
    const inTime = await countRows(
      harness.databases.superuser.syncUrl,
      'mana_ai.mission_grants',
      `mission_id = $1 and expires_at < clock_timestamp() + interval '30 days'`,
      [told.missionId],
    );
    expect(inTime).toBe(1);
  });

  it('cannot be stretched by a later expiry in the record', async () => {
    const issuedAtMs = Date.now() - 31 * 86_400_000;
    const told = await story({ grant: { version: 'v1', logged: false, issuedAtMs, ttlMs: 60 * 86_400_000 } });
    expect(await seal(told.run)).toEqual(refused('expired'));
  });

  it('opens nothing where v1 grants are switched off', async () => {
    const told = await story({ grant: { version: 'v1', logged: false } });
    await holdSlot(harness.runner.database, told.run);
    expect(await sealInputs({ ...harness.vault, acceptV1: false }, told.run)).toEqual(refused('unknown'));
  });
});

describe('the decrypt audit', () => {
  it.each([
    ['update', `update mana_ai.decrypt_audit set status = 'ok'`],
    ['delete', 'delete from mana_ai.decrypt_audit'],
    ['truncate', 'truncate mana_ai.decrypt_audit cascade'],
  ])('refuses %s to its owner and to every role of ours', async (_, statement) => {
    const told = await story();
    await seal(told.run);
    const { syncOwnerUrl, urls, superuser } = harness.databases;
    await expect(query(syncOwnerUrl, statement)).rejects.toThrow(/append-only/);
    await expect(query(superuser.syncUrl, statement)).rejects.toThrow(/append-only/);
    for (const { sync: url } of Object.values(urls))
      await expect(query(url, statement)).rejects.toThrow(/permission/);
    expect(await auditOf(told)).toHaveLength(2);
  });

  it('takes plain inserts of other services', async () => {
    const missionId = randomUUID();
    await sync(
      `insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
       values ('u', $1, 'i', 'notes', 'n', 'ok', null)`,
      [missionId],
    );
    expect(
      await countRows(harness.databases.superuser.syncUrl, 'mana_ai.decrypt_audit', 'mission_id = $1', [
        missionId,
      ]),
    ).toBe(1);
  });
});
