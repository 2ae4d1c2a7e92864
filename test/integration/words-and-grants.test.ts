import { type MissionId, toMissionId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadRun } from '#activities/runner/load-run.ts';
import { planOneRound } from '#activities/runner/round/one-round.ts';
import { writeIteration } from '#activities/runner/write-iteration.ts';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import { encryptFieldValue } from '#crypto/field-value.ts';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import { revokeMissionGrants } from '#db/mission-grants.ts';
import { withClient } from '#dev/platform-schema.ts';
import { modelGateway } from '#dev/scripted-model.ts';
import { missionAt, noteAt, renewedGrantFields, type WebAppUser } from '#dev/web-app.ts';
import { formatInstant } from '#domain/base/instant.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { LoadRunInput, PlanRoundResult, RunRef, SealResult } from '#domain/run/run.ts';
import { limitGateway } from '#llm/gateway-limit.ts';
import { createActivityHarness, type ActivityHarness } from '#test/support/activity-dependencies.ts';
import { query } from '#test/support/inspect.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let harness: ActivityHarness;
beforeAll(async () => {
  harness = await createActivityHarness('words-and-grants-test');
});
afterAll(() => harness.close());

type Fields = Readonly<Record<string, unknown>>;

interface Story {
  readonly user: WebAppUser;
  readonly missionId: MissionId;
  readonly noteId: string;
  readonly run: RunRef;
  readonly sealed: SealResult | null;
}

const reply = (title: string | null): PlannerReply => ({
  content: title === null ? 'Fertig.' : null,
  toolCalls: title === null ? [] : [{ id: 'c', name: 'create_task', arguments: { title } }],
  finishReason: title === null ? 'stop' : 'tool_calls',
  ...{ totalTokens: 12, promptTokens: 10, completionTokens: 2, resolvedModel: 'scripted/planner' },
});

/** A mission with an encrypted note, loaded and, with a grant, sealed. */
async function begin(
  mission: (user: WebAppUser) => Fields,
  options: { readonly granted?: boolean; readonly beforeSealing?: (user: WebAppUser) => Promise<void> } = {},
): Promise<Story> {
  const { granted = true, beforeSealing } = options;
  const user = await harness.webApp.createUser();
  const [missionId, noteId] = [toMissionId(randomUUID()), randomUUID()];
  await harness.webApp.insert(user, noteAt(noteId), { title: user.encrypt('Packliste') });
  const grant = granted ? await harness.grantFor(user, missionId, [`notes:${noteId}`]) : null;
  await harness.webApp.insert(user, missionAt(missionId), {
    ...{ state: 'active', cadence: { kind: 'interval', everyMinutes: 30 }, iterations: [], grant },
    nextRunAt: formatInstant(Date.now() - 60_000),
    inputs: [{ module: 'notes', table: 'notes', id: noteId }],
    ...mission(user),
  });
  const input: LoadRunInput = {
    ...{ userId: user.userId, missionId, trigger: 'projection', workflowId: `w-${missionId}` },
    ...{ runId: toWorkflowRunId(randomUUID()), startedAtMs: Date.now(), scheduledAtMs: null },
  };
  const loaded = await loadRun(harness.runner, input);
  if (loaded.outcome !== 'ready') throw new Error(loaded.outcome);
  const run = { userId: user.userId, missionId, iterationId: loaded.iterationId, runId: input.runId };
  await beforeSealing?.(user);
  return { user, missionId, noteId, run, sealed: granted ? await sealInputs(harness.vault, run) : null };
}

const words = (user: WebAppUser): Fields => ({
  title: user.encrypt('Urlaub'),
  objective: user.encrypt('Packen'),
});

/** One round; a reply that nobody asked for stays for the next. */
async function round(told: Story, number: number, title: string | null = null): Promise<PlanRoundResult> {
  harness.runner.replies.splice(0, Infinity, reply(title));
  const grantUsable = told.sealed !== null;
  const input = { ...told.run, round: number, agentId: null, grantUsable };
  return planOneRound(harness.runner, input, new AbortController().signal);
}
const wasAsked = (): boolean => harness.runner.replies.length === 0;

const write = (told: Story) =>
  writeIteration(harness.runner, {
    ...{ ...told.run, startedAtMs: Date.now(), grantUsable: told.sealed !== null },
    result: { kind: 'planned' },
  });

const audit = ({ run }: Story): Promise<string[]> =>
  withClient(harness.databases.superuser.syncUrl, async (client) => {
    const { rows } = await client.query<{ entry: string }>(
      `select concat_ws(' ', table_name, status, reason) as entry from mana_ai.decrypt_audit
       where iteration_id = $1 order by 1`,
      [run.iterationId],
    );
    return rows.map(({ entry }) => entry);
  });

const setGrant = ({ user, missionId }: Story, fields: Fields) =>
  harness.webApp.update(user, missionAt(missionId), fields, { atMs: Date.now() + 10 });

const anotherGrant = (told: Story, ttlMs?: number) =>
  harness.grantFor(told.user, told.missionId, [`notes:${told.noteId}`], {
    issuedAtMs: Date.now() + 1_000,
    ...(ttlMs === undefined ? {} : { ttlMs }),
  });

describe('a run keeps to the grant that it sealed with', () => {
  it('when it is renewed leaf by leaf, or replaced whole: before the first round, between rounds, before writing', async () => {
    const told = await begin(words);
    await setGrant(told, { grant: await anotherGrant(told) });
    expect(await round(told, 1, 'eins')).toMatchObject({ status: 'continue', steps: 1 });
    expect(wasAsked()).toBe(true);
    await setGrant(told, renewedGrantFields(await anotherGrant(told)));
    expect(await round(told, 2, 'zwei')).toMatchObject({ status: 'continue', steps: 2 });
    expect(await round(told, 3)).toMatchObject({ status: 'finished', steps: 2 });
    await setGrant(told, { grant: await anotherGrant(told) });
    expect(await write(told)).toMatchObject({ outcome: 'planned', steps: 2 });
  });

  it('when sealing is repeated after the record has another one', async () => {
    const told = await begin(words);
    await setGrant(told, { grant: await anotherGrant(told) });
    expect(await sealInputs(harness.vault, told.run)).toMatchObject({ problem: null, sealed: 2 });
    expect(await audit(told)).toEqual(['aiMissions ok', 'notes ok']);
    expect(await round(told, 1)).toMatchObject({ status: 'finished' });
  });

  it('until that one is revoked, though the record has another one by then', async () => {
    const told = await begin(words);
    expect(await round(told, 1, 'eins')).toMatchObject({ status: 'continue' });
    await harness.api.asUser(told.user.userId, (tx) => revokeMissionGrants(tx, toMissionId(told.missionId)));
    await setGrant(told, { grant: await anotherGrant(told) });
    await expect(round(told, 2)).rejects.toMatchObject({ problem: 'revoked' });
    expect(wasAsked()).toBe(false);
    expect(await write(told)).toMatchObject({ outcome: 'failed', failureCode: 'grant-revoked' });
  });

  it('until `grant: null` is written after its issue, though another one follows and no projection has seen it', async () => {
    const told = await begin(words);
    await setGrant(told, { grant: null });
    await setGrant(told, { grant: await anotherGrant(told) });
    await expect(round(told, 1)).rejects.toMatchObject({ problem: 'revoked' });
    expect(wasAsked()).toBe(false);
  });

  it('until it expires, by the mint log', async () => {
    const told = await begin(words);
    await withClient(harness.databases.superuser.syncUrl, (client) =>
      client.query('update mana_ai.mission_grants set expires_at = now() where mission_id = $1', [
        told.missionId,
      ]),
    );
    await setGrant(told, { grant: await anotherGrant(told) });
    await expect(round(told, 1)).rejects.toMatchObject({ problem: 'expired' });
  });

  it('until it ends, though its round was prepared before and waits for its place at the gateway', async () => {
    const [busy, told] = [await begin(words), await begin(words)];
    const answered = Promise.withResolvers<undefined>();
    const sent: string[] = [];
    const model = modelGateway(async ({ bodyText }) => {
      sent.push(bodyText);
      await answered.promise;
      return reply(null);
    });
    const gateway = limitGateway(model, { mostInFlight: 1 });
    const deps = { ...harness.runner, gateway, looksAgainAfterMs: 0 };
    const ask = ({ run }: Story): Promise<PlanRoundResult> =>
      planOneRound(
        deps,
        { ...run, round: 1, agentId: null, grantUsable: true },
        new AbortController().signal,
      );
    const first = ask(busy);
    await waitUntil('the place is taken', () => sent.length === 1);
    const waiting = ask(told);
    const reserved = async () => {
      const rows = await query(
        harness.databases.superuser.syncUrl,
        'select from mana_ai.budget_reservations where iteration_id = $1',
        [told.run.iterationId],
      );
      return rows.length === 1;
    };
    await waitUntil('it is prepared', reserved);
    await harness.api.asUser(told.user.userId, (tx) => revokeMissionGrants(tx, told.missionId));
    answered.resolve(undefined);
    await expect(waiting).rejects.toMatchObject({ problem: 'revoked' });
    expect(await first).toMatchObject({ status: 'finished' });
    expect(sent).toHaveLength(1);
    expect(await reserved()).toBe(false);
    expect(
      await query(
        harness.databases.superuser.syncUrl,
        'select from mana_ai.token_usage where iteration_id = $1',
        [told.run.iterationId],
      ),
    ).toEqual([]);
  });

  it('and no two runs share one', async () => {
    const [first, second] = [await begin(words), await begin(words)];
    const kept = await withClient(harness.databases.superuser.syncUrl, (client) =>
      client.query('select run_id from mana_ai.run_grants where run_id = any($1)', [
        [first.run.runId, second.run.runId],
      ]),
    );
    expect(kept.rowCount).toBe(2);
  });
});

describe('without the user’s words the model is not asked', () => {
  it('a new master key with an old grant: nothing that was sealed opens, and the audit says so once', async () => {
    const newKey = randomBytes(32);
    const told = await begin(words, {
      beforeSealing: async (user) => {
        const wrapped = wrapMasterKey(harness.vault.keks.default ?? Buffer.alloc(0), newKey);
        await withClient(harness.databases.superuser.authUrl, (client) =>
          client.query(
            'update auth.encryption_vaults set wrapped_mk = $1, wrap_iv = $2, rotated_at = now() where user_id = $3',
            [wrapped.wrappedMkBase64, wrapped.wrapIvBase64, user.userId],
          ),
        );
        // The devices have encrypted everything anew; the grant is still of before.
        const { rows } = await withClient(harness.databases.superuser.syncUrl, (client) =>
          client.query<{ table: string; id: string }>(
            'select table_name as table, record_id as id from public.sync_changes where user_id = $1',
            [user.userId],
          ),
        );
        for (const { table, id } of rows) {
          const at = table === 'notes' ? noteAt(id) : missionAt(id);
          await harness.webApp.update(user, at, {
            title: encryptFieldValue(newKey, 'Neu'),
            ...(table === 'notes' ? {} : { objective: encryptFieldValue(newKey, 'Neu') }),
          });
        }
      },
    });
    expect(told.sealed).toMatchObject({ problem: null, sealed: 2, ownFieldsReadable: true });
    for (const attempt of [1, 2]) {
      expect(await round(told, 1), `attempt ${attempt}`).toEqual({
        status: 'key-changed',
        steps: 0,
        totalTokens: 0,
      });
      expect(wasAsked()).toBe(false);
    }
    const failed = "failed sealed under another key than the grant's";
    expect(await audit(told)).toEqual([
      `aiMissions ${failed}`,
      'aiMissions ok',
      `notes ${failed}`,
      'notes ok',
    ]);
  });

  it.each([
    ['a number', (user: WebAppUser) => user.encrypt(7)],
    ['an object', (user: WebAppUser) => user.encrypt({ text: 'Packen' })],
    ['ciphertext', (user: WebAppUser) => user.encrypt(user.encrypt('Packen'))],
  ])('words that decrypt to %s are not readable, and the audit says so', async (_what, encrypt) => {
    const told = await begin((user) => ({ title: 'Urlaub', objective: encrypt(user) }));
    expect(told.sealed).toMatchObject({ problem: null, ownFieldsReadable: false });
    expect(await audit(told)).toEqual(['aiMissions failed undecryptable: objective', 'notes ok']);
    // Also where a run goes on all the same.
    expect(await round(told, 1)).toMatchObject({ status: 'mission-undecryptable' });
    expect(wasAsked()).toBe(false);
  });

  it.each([true, false])('words that turn into ciphertext under way (with a grant: %s)', async (granted) => {
    const told = await begin(() => ({ title: 'Urlaub', objective: 'Packen' }), { granted });
    await setGrant(told, { objective: told.user.encrypt('Etwas anderes') });
    expect(await round(told, 1)).toMatchObject({ status: 'mission-undecryptable' });
    expect(wasAsked()).toBe(false);
  });

  it.each([
    [{}],
    [{ title: '', objective: null, conceptMarkdown: 7 }],
    [{ title: ' \u200b\n', objective: '\u00ad', conceptMarkdown: '' }],
  ])('a mission with neither title nor objective nor concept: %j', async (fields) => {
    const told = await begin(() => fields, { granted: false });
    expect(await round(told, 1)).toMatchObject({ status: 'mission-empty' });
    expect(wasAsked()).toBe(false);
  });

  it('any of the three is enough', async () => {
    for (const field of ['title', 'objective', 'conceptMarkdown']) {
      const told = await begin((user) => ({ [field]: user.encrypt('Packen') }));
      expect(await round(told, 1), field).toMatchObject({ status: 'finished' });
    }
  });
});

describe('what a user reads of a run that was ended', () => {
  const end = async (told: Story): Promise<string> => {
    await writeIteration(harness.runner, {
      ...{ ...told.run, startedAtMs: Date.now(), grantUsable: true },
      result: { kind: 'advance-only', cause: 'cancelled' },
    });
    const read = await harness.webApp.read(told.user, missionAt(told.missionId));
    const [iteration] = read?.record['iterations'] as { readonly summary: string }[];
    return iteration?.summary ?? '';
  };
  const english = (user: WebAppUser): Fields => ({
    title: user.encrypt('Plan the holiday'),
    objective: user.encrypt('Plan what to pack for the holiday with the children'),
  });

  it('is in the language of the sealed words', async () => {
    expect(await end(await begin(english))).toMatch(/^This run was cancelled; nothing was planned\./);
    expect(await end(await begin(words))).toMatch(/^Dieser Lauf wurde abgebrochen;/);
  });

  it('opens nothing where the grant was revoked meanwhile', async () => {
    const told = await begin(english);
    await setGrant(told, { grant: null });
    expect(await end(told)).toMatch(/^Dieser Lauf wurde abgebrochen;/);
  });
});

describe('the runner’s word in the audit', () => {
  const say = (userId: string, ...values: readonly unknown[]) =>
    withClient(harness.databases.urls.runner.sync, async (client) => {
      await client.query('begin');
      await client.query(`select set_config('app.current_user_id', $1, true)`, [userId]);
      const { rows } = await client.query<{ written: string }>(
        'select mana_ai.audit_unopened($1, $2, $3, $4) as written',
        [...values],
      );
      await client.query('rollback');
      return Number(rows[0]?.written);
    });

  it('is of sealed rows of its own user and run only, and of nothing else', async () => {
    const told = await begin(words);
    const { runId, iterationId } = told.run;
    const [tables, records] = [
      ['notes', 'aiMissions'],
      [told.noteId, told.missionId],
    ];
    expect(await say(told.user.userId, runId, iterationId, tables, records)).toBe(2);
    expect(await say(told.user.userId, randomUUID(), iterationId, tables, records)).toBe(0);
    expect(await say(told.user.userId, runId, iterationId, ['notes'], [randomUUID()])).toBe(0);
    expect(await say('somebody-else', runId, iterationId, tables, records)).toBe(0);
    expect(await say('', runId, iterationId, tables, records)).toBe(0);
  });
});
