import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mintGrant } from '#crypto/wrap-grant.ts';
import { httpError, type RecordedRequest, type ScriptedResponse } from '#dev/scripted-gateway.ts';
import { missionAt, type WebAppUser } from '#dev/web-app.ts';
import { toMissionId } from '#domain/base/ids.ts';
import { formatInstant } from '#domain/base/instant.ts';
import { FAILURE_TEXTS, FAILURE_TEXTS_EN } from '#domain/run/failure-texts.ts';
import { objectionsTo, openDevice, type Device } from '#test/support/device.ts';
import { writePlaintextMission, type WrittenMission } from '#test/support/granted-mission.ts';
import { countRows, rawHistories, tablesWith, textsIn } from '#test/support/inspect.ts';
import { startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { replyOfTwoRounds } from '#test/support/planner-scripts.ts';
import { readAudit, readPaidRounds } from '#test/support/stored-rows.ts';
import { waitUntil } from '#test/support/wait-until.ts';

let system: MissionSystem;
let device: Device;
/** What the gateway does with requests that hold a text, the first of them first; then it plans. */
const answers = new Map<string, ScriptedResponse[]>();
const script = (request: RecordedRequest): ScriptedResponse => {
  const mine = [...answers].find(([text]) => request.bodyText.includes(text));
  return mine?.[1].shift() ?? replyOfTwoRounds(request);
};
beforeAll(async () => {
  system = await startMissionSystem({ script });
  device = openDevice(system.webApp, system.databases);
});
afterAll(() => system.close());

const DAY_MS = 86_400_000;
const past = (): string => formatInstant(Date.now() - 1_000);
const vaultAccesses = ({ userId }: WebAppUser): Promise<number> =>
  countRows(system.databases.superuser.authUrl, 'auth.encryption_vault_audit', 'user_id = $1', [userId]);
const requestsWith = (text: string): number =>
  system.gateway.requests.filter(({ bodyText }) => bodyText.includes(text)).length;
/** One look at the row that was written last. */
async function expectDevicesAccept(told: WrittenMission): Promise<void> {
  const rows = await system.webApp.rows(told.user, missionAt(told.missionId));
  const ours = await device.endRows(told);
  const last = ours.at(-1);
  if (last === undefined) throw new Error('nothing was written back');
  const earlier = rows.filter((row) => row.createdAt < last.createdAt);
  expect(objectionsTo(last, earlier, told.missionId)).toEqual([]);
}

describe.concurrent('a mission without a grant and without ciphertext', () => {
  it('runs, and nobody opens a vault or writes an audit row', async () => {
    const objective = `objective-${randomUUID()}`;
    const told = await writePlaintextMission(system.webApp, objective, { nextRunAt: past() });
    const iterations = await device.waitForIterations(told);
    expect(iterations).toMatchObject([
      { source: 'server', overallStatus: 'awaiting-review', plan: [{ status: 'planned' }] },
    ]);
    await expectDevicesAccept(told);
    expect(requestsWith(objective)).toBe(2);
    expect(await vaultAccesses(told.user)).toBe(0);
    expect(await readAudit(system.databases, told.missionId)).toEqual([]);
    const grants = await countRows(
      system.databases.superuser.syncUrl,
      'mana_ai.mission_grants',
      'mission_id = $1',
      [told.missionId],
    );
    expect(grants).toBe(0);
  });
});

/** A mission with ciphertext in its own fields, and a concept in clear by which a request could be recognised. */
async function encryptedMission(
  grantOf: (user: WebAppUser, missionId: string) => unknown,
  vault: 'ordinary' | 'zero-knowledge' = 'ordinary',
): Promise<WrittenMission & { readonly concept: string }> {
  const user = await system.webApp.createUser({ vault });
  const [missionId, concept] = [randomUUID(), `concept-${randomUUID()}`];
  const grant = await grantOf(user, missionId);
  await system.webApp.insert(user, missionAt(missionId), {
    ...{ title: user.encrypt('Titel'), objective: user.encrypt('Ziel'), conceptMarkdown: concept },
    ...{ state: 'active', cadence: { kind: 'interval', everyMinutes: 30 }, inputs: [], iterations: [] },
    ...{ nextRunAt: past(), grant },
  });
  return { user, missionId, concept };
}

const foreignGrant = (issuedAtMs: number) => (user: WebAppUser, missionId: string) =>
  mintGrant({
    ...{ version: 'v1', masterKey: user.masterKey, userId: user.userId, missionId: toMissionId(missionId) },
    ...{ tables: ['notes'], recordIds: ['notes:n1'], issuedAtMs, ttlMs: 7 * DAY_MS },
    publicKey: system.keys.publicKey,
  }).grant;

describe.concurrent('a mission with ciphertext in its own fields', () => {
  it.each([
    ['without a grant', 'grant-absent', 'ordinary', () => null, 0],
    ['with an expired grant', 'grant-expired', 'ordinary', foreignGrant(Date.now() - 8 * DAY_MS), 0],
    [
      'with a malformed grant',
      'grant-malformed',
      'ordinary',
      () => ({ expiresAt: '2999-01-01T00:00:00.000Z' }),
      0,
    ],
    ['in zero-knowledge mode', 'grant-zero-knowledge', 'zero-knowledge', foreignGrant(Date.now()), 1],
  ] as const)(
    '%s fails with %s, says what to do, and asks no model',
    async (_, code, vault, grantOf, accesses) => {
      const told = await encryptedMission(grantOf, vault);
      const oldMs = Date.parse(String((await device.mission(told))['nextRunAt']));
      const iterations = await device.waitForIterations(told);
      expect(iterations).toMatchObject([
        {
          ...{ source: 'server', overallStatus: 'failed', plan: [], summary: FAILURE_TEXTS[code] },
          errorDetails: { name: code, message: FAILURE_TEXTS[code], phase: 'resolving-inputs' },
        },
      ]);
      await expectDevicesAccept(told);
      expect(requestsWith(told.concept)).toBe(0);
      expect(await readPaidRounds(system.databases, told.missionId)).toEqual([]);
      expect(await vaultAccesses(told.user)).toBe(accesses);
      expect(await readAudit(system.databases, told.missionId)).toEqual([]);
      expect(Date.parse(String((await device.mission(told))['nextRunAt']))).toBe(oldMs + 30 * 60_000);
    },
  );

  it('replaces the failed iteration when the same failure comes again', async () => {
    const told = await encryptedMission(() => null);
    const [first] = await device.waitForIterations(told);
    await system.webApp.update(told.user, missionAt(told.missionId), { nextRunAt: past() });
    await waitUntil('the second run has written', async () => (await device.endRows(told)).length === 2);
    const [second, ...more] = await device.iterations(told);
    expect(more).toEqual([]);
    expect(second?.['id']).not.toBe(first?.['id']);
  });
});

describe.concurrent('a gateway', () => {
  const unwell = (): ScriptedResponse => httpError(503, { kind: 'no_healthy_provider', message: 'breaker' });

  it('that fails twice and then answers costs time, and gives one iteration', async () => {
    const objective = `objective-${randomUUID()}`;
    answers.set(objective, [unwell(), unwell()]);
    const told = await writePlaintextMission(system.webApp, objective, { nextRunAt: past() });
    expect(await device.waitForIterations(told)).toMatchObject([{ overallStatus: 'awaiting-review' }]);
    expect(await device.endRows(told)).toHaveLength(1);
    expect(await readPaidRounds(system.databases, told.missionId)).toEqual([1, 2]);
    const keys = system.gateway.requests
      .filter(({ bodyText }) => bodyText.includes(objective))
      .map(({ idempotencyKey }) => idempotencyKey);
    expect(keys).toHaveLength(4);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
  });

  it('that refuses for good gives one failed iteration, which repeats nothing of what the provider said', async () => {
    const [objective, message] = [`objective-${randomUUID()}`, `provider-text-${randomUUID()}`];
    answers.set(objective, [httpError(422, { kind: 'blocked', message })]);
    const told = await writePlaintextMission(system.webApp, objective, { nextRunAt: past() });
    expect(await device.waitForIterations(told)).toMatchObject([
      {
        ...{ overallStatus: 'failed', plan: [] },
        errorDetails: {
          name: 'gateway-rejected',
          // In the language of the mission, which is English in clear.
          message: FAILURE_TEXTS_EN['gateway-rejected'],
          phase: 'calling-llm',
        },
      },
    ]);
    await expectDevicesAccept(told);
    expect(requestsWith(objective)).toBe(1);
    expect(await tablesWith(system.databases.superuser.syncUrl, [message])).toEqual([]);
    expect(textsIn([...(await rawHistories(system.client)), system.logLines], [message])).toEqual([]);
  });

  const tooLong = (): ScriptedResponse =>
    httpError(400, {
      kind: 'invalid_request',
      message: 'the prompt exceeds the context window of this model',
    });

  it('that finds a request too long is asked once more, and the run goes on', async () => {
    const objective = `objective-${randomUUID()}`;
    answers.set(objective, [tooLong()]);
    const told = await writePlaintextMission(system.webApp, objective, { nextRunAt: past() });
    expect(await device.waitForIterations(told)).toMatchObject([{ overallStatus: 'awaiting-review' }]);
    expect(requestsWith(objective)).toBe(3);
    expect(await readPaidRounds(system.databases, told.missionId)).toEqual([1, 2]);
  });

  it('that finds a smaller one too long as well is the operators’ to mend: nobody is told to change the mission', async () => {
    const objective = `objective-${randomUUID()}`;
    answers.set(objective, [tooLong(), tooLong()]);
    const told = await writePlaintextMission(system.webApp, objective, { nextRunAt: past() });
    const [iteration] = await device.waitForIterations(told);
    expect(iteration).toMatchObject({
      ...{ overallStatus: 'failed', plan: [] },
      errorDetails: { name: 'window-too-small', message: FAILURE_TEXTS_EN['window-too-small'] },
    });
    for (const text of [FAILURE_TEXTS_EN['window-too-small'], FAILURE_TEXTS['window-too-small']])
      expect(text).not.toMatch(/change|ändere/i);
    await expectDevicesAccept(told);
    expect(requestsWith(objective)).toBe(2);
    expect(system.logLines.join('')).toContain('set MANA_LLM_CONTEXT_TOKENS to the window of MANA_LLM_MODEL');
  });
});
