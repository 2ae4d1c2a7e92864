import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { buildApp } from '#api/app.ts';
import { publicKeyId } from '#crypto/key-id.ts';
import type { KekRing } from '#crypto/unwrap-master-key.ts';
import { wrapMasterKey } from '#dev/wrap-master-key.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { gate, replyWithText, replyWithToolCalls, type Gate } from '#dev/scripted-gateway.ts';
import { missionAt } from '#dev/web-app.ts';
import { FAILURE_TEXTS } from '#domain/run/failure-texts.ts';
import { createLogger } from '#logging/logger.ts';
import { createDataConverter } from '#temporal/data-converter.ts';
import { connectWorker } from '#temporal/worker-connection.ts';
import type { WorkerPart } from '#worker/part.ts';
import { createRunnerPart } from '#worker/runner.ts';
import { createVaultPart } from '#worker/vault.ts';
import { PLANNER_SETTINGS } from '#test/support/activity-dependencies.ts';
import { mint } from '#test/support/granting-api.ts';
import {
  startRun,
  writeGrantedMission,
  type MissionWriter,
  type RunHandle,
  type WrittenMission,
} from '#test/support/granted-mission.ts';
import { query } from '#test/support/inspect.ts';
import { SERVICE_KEY, startMissionSystem, type MissionSystem } from '#test/support/mission-system.ts';
import { workflowBundlePath } from '#test/support/workflow-bundle.ts';
import { waitUntil } from '#test/support/wait-until.ts';

/** Objectives of missions whose first round is held back until their gate opens. */
const gated = new Map<string, Gate>();
const asked = new Set<string>();

const POOL = { maxConnections: 4, preparedStatements: true };

/** Another step each time: one that is still open would not be planned again. */
let plans = 0;
const plan = () =>
  replyWithToolCalls([{ name: 'create_task', arguments: { title: `Zug buchen ${(plans += 1)}` } }]);

let system: MissionSystem;
/** Ended in reverse order. */
let stops: (() => Promise<unknown>)[];
beforeEach(async () => {
  stops = [];
  system = await startMissionSystem({
    // Runner and vault worker are this test's own: their keys change.
    parts: ['projection'],
    script: ({ body: { messages } }) => {
      const objective = /objective-[a-z-]+/.exec(JSON.stringify(messages))?.[0] ?? 'none';
      asked.add(objective);
      if (messages.some(({ role }) => role === 'tool')) return replyWithText('Fertig.');
      return gated.get(objective)?.hold(plan()) ?? plan();
    },
  });
});
afterEach(async () => {
  for (const held of gated.values()) held.open();
  for (const stop of stops.reverse()) await stop();
  await system.close();
});

interface Running {
  /** Takes no new work, and ends what it has. */
  stop(): Promise<void>;
}
async function startPart(
  create: (context: Parameters<typeof createRunnerPart>[0]) => Promise<WorkerPart>,
): Promise<Running> {
  const connection = await connectWorker({
    address: inject('temporalAddress'),
    namespace: system.namespace,
  });
  const part = await create({
    connection,
    client: system.client,
    clients: system.clients,
    namespace: system.namespace,
    codecKeys: system.keys.codecKeys,
    dataConverter: createDataConverter(system.keys.codecKeys, { refusePlaintext: true }),
    workflowBundlePath: await workflowBundlePath(),
    buildId: null,
    logger: createLogger('test', 'silent'),
  });
  const running = part.worker.run();
  await part.onceRunning();
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      part.worker.shutdown();
      await running;
      await part.close();
      await connection.close();
    })());
  stops.push(stop);
  return { stop };
}

const startRunner = (grantPrivateKeys: KeyObject[]): Promise<Running> =>
  startPart((context) =>
    createRunnerPart(context, {
      syncDatabase: { url: system.databases.urls.runner.sync, ...POOL },
      grantPrivateKeys,
      gateway: { url: system.gateway.url, serviceKey: SERVICE_KEY, timeoutMs: 300_000, mostInFlight: 100 },
      planner: PLANNER_SETTINGS,
      heartbeatTimeoutMs: 10_000,
      roundsPerSecond: null,
      research: { shallowUrl: null, deep: null },
    }),
  );
const startVault = (keks: KekRing): Promise<Running> =>
  startPart((context) =>
    createVaultPart(context, {
      syncDatabase: { url: system.databases.urls.vault.sync, ...POOL },
      authDatabase: { url: system.databases.urls.vault.auth, ...POOL },
      keks,
      acceptV1Grants: true,
    }),
  );

async function startApi(
  keys: { readonly publicKey?: KeyObject; readonly keks?: KekRing } = {},
): Promise<FastifyInstance> {
  const open = (url: string): Database =>
    openDatabase({ url, applicationName: 'rotation-api', maxConnections: 2 });
  const syncDatabase = open(system.databases.urls.api.sync);
  const authDatabase = open(system.databases.urls.api.auth);
  const app = await buildApp({
    ...{ syncDatabase, authDatabase },
    identity: {
      jwksUrl: `${system.issuer.url}/api/v1/auth/jwks`,
      issuer: system.issuer.url,
      audience: 'mana',
    },
    keks: keys.keks ?? { default: system.keys.kek, byId: new Map() },
    grantPublicKey: keys.publicKey ?? system.keys.publicKey,
    grantMintVersion: 'v2',
    corsOrigins: [],
    trustedProxies: [],
    logger: createLogger('api', 'silent'),
  });
  stops.push(async () => {
    await app.close();
    await Promise.all([syncDatabase.close(), authDatabase.close()]);
  });
  return app;
}
/** A browser that gets its grants from that API. */
const browserOf = (app: FastifyInstance): MissionWriter => ({
  webApp: system.webApp,
  requestGrant: async (userId, body) => mint(app, await system.issuer.issueToken({ sub: userId }), body),
});

let runs = 0;
const start = (mission: WrittenMission): Promise<RunHandle> => {
  runs += 1;
  return startRun(system.client, mission, { workflowId: `run-${runs}:${mission.missionId}` });
};
const outcomeOf = async (handle: RunHandle): Promise<string> => {
  const { outcome, failureCode } = await handle.result();
  return failureCode ?? outcome;
};
const keyIdOf = async ({ missionId }: WrittenMission): Promise<unknown> =>
  (
    await query(
      system.databases.superuser.syncUrl,
      'select key_id from mana_ai.mission_grants where mission_id = $1',
      [missionId],
    )
  )[0]?.['key_id'];

const hold = (objective: string): Gate => {
  const held = gate();
  gated.set(objective, held);
  return held;
};
const isAsked = (objective: string): Promise<true> => waitUntil(objective, () => asked.has(objective));

describe('the runner’s RSA key', () => {
  it('can be changed while missions run: grants of both keys open, until the old key is taken away', async () => {
    const old = { publicKey: system.keys.publicKey, privateKey: system.keys.privateKey };
    const renewed = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await startVault({ default: system.keys.kek, byId: new Map() });

    // 1. Before: a mission under the old key is in the middle of a round.
    const before = await startRunner([old.privateKey]);
    const oldMission = await writeGrantedMission(browserOf(await startApi()), 'objective-old-key');
    expect(await keyIdOf(oldMission)).toBe(publicKeyId(old.publicKey));
    const held = hold('objective-old-key');
    const running = await start(oldMission);
    await isAsked('objective-old-key');

    // 2. The runner learns the new key first; the old process drains while its mission runs on.
    const during = await startRunner([old.privateKey, renewed.privateKey]);
    const draining = before.stop();

    // 3. Then the API mints under it.
    const newMission = await writeGrantedMission(
      browserOf(await startApi({ publicKey: renewed.publicKey })),
      'objective-new-key',
    );
    expect(await keyIdOf(newMission)).toBe(publicKeyId(renewed.publicKey));
    expect(await outcomeOf(await start(newMission))).toBe('planned');
    held.open();
    await draining;
    expect(await outcomeOf(running)).toBe('planned');
    gated.delete('objective-old-key');
    expect(await outcomeOf(await start(oldMission))).toBe('planned');

    // 4. Once the old grants have ended, the old key goes. One that has not ended is told so in plain words.
    await during.stop();
    await startRunner([renewed.privateKey]);
    expect(await outcomeOf(await start(newMission))).toBe('planned');
    expect(await outcomeOf(await start(oldMission))).toBe('grant-wrap-rejected');
    const iterations = (await system.webApp.read(oldMission.user, missionAt(oldMission.missionId)))?.record[
      'iterations'
    ] as { summary: string }[];
    expect(iterations.at(-1)?.summary).toBe(FAILURE_TEXTS['grant-wrap-rejected']);
  });
});

describe('the KEK of the vaults', () => {
  const rewrap = ({ user }: WrittenMission, kek: Buffer, kekId: string | null) => {
    const { wrappedMkBase64, wrapIvBase64 } = wrapMasterKey(kek, user.masterKey);
    return query(
      system.databases.superuser.authUrl,
      `update auth.encryption_vaults set wrapped_mk = $2, wrap_iv = $3, kek_id = coalesce($4, kek_id), rotated_at = now()
        where user_id = $1`,
      [user.userId, wrappedMkBase64, wrapIvBase64, kekId],
    );
  };

  it('can be changed while missions run: vaults under both open, also those of the default key', async () => {
    const first = system.keys.kek;
    const second = randomBytes(32);
    // Rows of the first KEK carry an id that nobody configured: the default key opens them.
    const both: KekRing = { default: first, byId: new Map([['env-v2', second]]) };
    const onlyFirst: KekRing = { default: first, byId: new Map() };
    await startRunner([system.keys.privateKey]);
    const vaultBefore = await startVault(onlyFirst);
    const browserBefore = browserOf(await startApi({ keks: onlyFirst }));

    const mission = await writeGrantedMission(browserBefore, 'objective-kek');
    const other = await writeGrantedMission(browserBefore, 'objective-kek-other');
    const held = hold('objective-kek');
    const running = await start(mission);
    await isAsked('objective-kek');

    // mana-auth wraps the vault anew while the mission runs; what was sealed for this run does not depend on it.
    await rewrap(mission, second, 'env-v2');
    const vaultBoth = await startVault(both);
    await vaultBefore.stop();
    held.open();
    expect(await outcomeOf(running)).toBe('planned');
    gated.delete('objective-kek');
    expect(await outcomeOf(await start(mission))).toBe('planned');
    expect(await outcomeOf(await start(other))).toBe('planned');

    // The API, too, opens both.
    const appBoth = await startApi({ keks: both });
    for (const { user, missionId } of [mission, other]) {
      const token = await system.issuer.issueToken({ sub: user.userId });
      await mint(appBoth, token, { missionId, tables: ['notes'], recordIds: ['notes:n1'] });
    }

    // At the end the second is the default, and the first is gone: grants outlive the change.
    await rewrap(other, second, 'env-v2');
    await vaultBoth.stop();
    await startVault({ default: second, byId: new Map() });
    expect(await outcomeOf(await start(mission))).toBe('planned');
    expect(await outcomeOf(await start(other))).toBe('planned');
  });

  it('that is missing fails the run in plain words, and the vault’s audit has the attempt', async () => {
    await startRunner([system.keys.privateKey]);
    const mission = await writeGrantedMission(browserOf(await startApi()), 'objective-kek-missing');
    await startVault({ default: randomBytes(32), byId: new Map([['env-v2', randomBytes(32)]]) });
    expect(await outcomeOf(await start(mission))).toBe('grant-vault-unreadable');
    const audit = await query(
      system.databases.superuser.authUrl,
      'select action, status from auth.encryption_vault_audit where user_id = $1 order by created_at',
      [mission.user.userId],
    );
    expect(audit).toEqual([
      { action: 'ai-mission-grant', status: 200 },
      { action: 'ai-mission-run', status: 500 },
    ]);
  });
});
