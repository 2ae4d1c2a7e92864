import { generateKeyPairSync, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { createTestDatabases, type TestDatabases } from './databases.ts';
import type { ProjectionDependencies } from '#activities/projection/dependencies.ts';
import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import type { VaultDependencies } from '#activities/vault/seal-inputs.ts';
import { mintGrant } from '#crypto/wrap-grant.ts';
import { openDatabase, type Database } from '#db/client.ts';
import { enterMintedGrant } from '#db/mission-grants.ts';
import { claimMissionSlot, setSlotIteration, takeOverMissionSlot } from '#db/run-slots.ts';
import { modelGateway } from '#dev/scripted-model.ts';
import { openWebApp, type WebApp, type WebAppUser } from '#dev/web-app.ts';
import type { Grant, GrantVersion } from '#domain/wire/grant.ts';
import { toIterationId, toMissionId, toWorkflowRunId } from '#domain/base/ids.ts';
import type { PlannerSettings } from '#domain/planner/plan/planner-settings.ts';
import { createTokenCalibration } from '#domain/planner/model/token-calibration.ts';
import type { PlannerReply } from '#domain/planner/model/planner-reply.ts';
import type { RunRef } from '#domain/run/run.ts';
import type { ListedSchedule } from '#schedules/mission-schedules.ts';

/** What the activities work with, against real databases with the production roles; without Temporal and gateway. */
export interface ActivityHarness {
  readonly databases: TestDatabases;
  readonly webApp: WebApp;
  readonly runner: RunnerDependencies & { readonly openRuns: Set<string>; readonly replies: PlannerReply[] };
  readonly vault: VaultDependencies;
  readonly projection: ProjectionDependencies & {
    readonly healings: string[];
    /** Run ids. */
    readonly cancelled: string[];
    readonly infos: Readonly<Record<string, unknown>>[];
    readonly warnings: Readonly<Record<string, unknown>>[];
  };
  /** One pool for each role, named as in `PlatformDatabases.urls`. */
  readonly api: Database;
  readonly publicKey: KeyObject;
  /** Mints a grant and, unless told otherwise, enters it into the mint log as the API does. */
  grantFor(
    user: WebAppUser,
    missionId: string,
    recordIds: readonly string[],
    options?: GrantOptions,
  ): Promise<Grant>;
  close(): Promise<void>;
}

export interface GrantOptions {
  readonly version?: GrantVersion;
  readonly issuedAtMs?: number;
  readonly ttlMs?: number;
  readonly logged?: boolean;
  readonly tables?: readonly string[];
}

const WEEK_MS = 7 * 86_400_000;

/**
 * @param applicationName tells the pools apart when one is left open
 * @param given databases that the test made itself; clones of the migrated ones by default
 */
export async function createActivityHarness(
  applicationName: string,
  given?: TestDatabases,
): Promise<ActivityHarness> {
  const databases = given ?? (await createTestDatabases());
  const open = (url: string): Database => openDatabase({ url, applicationName, maxConnections: 4 });
  const { urls } = databases;
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kek = randomBytes(32);
  const pools = {
    api: open(urls.api.sync),
    runner: open(urls.runner.sync),
    vault: open(urls.vault.sync),
    vaultAuth: open(urls.vault.auth),
    projection: open(urls.projection.sync),
  };
  const webApp = openWebApp({ ...databases.asWebApp, kek });
  return {
    databases,
    webApp,
    runner: runnerOf(pools.runner, privateKey),
    vault: {
      syncDatabase: pools.vault,
      authDatabase: pools.vaultAuth,
      keks: { default: kek, byId: new Map() },
      acceptV1: true,
    },
    projection: projectionOf(pools.projection),
    api: pools.api,
    publicKey,
    grantFor: (user, missionId, recordIds, options = {}) =>
      grantFor(pools.api, publicKey, user, missionId, recordIds, options),
    close: async () => {
      await Promise.all([webApp.close(), ...Object.values(pools).map((pool) => pool.close())]);
      await databases.drop();
    },
  };
}

/** What a runner without settings of its own plans with. */
export const PLANNER_SETTINGS: PlannerSettings = {
  model: 'mana/reasoning',
  compactModel: 'mana/fast-text',
  contextTokens: 128_000,
  maxReplyTokens: 8_192,
  maxRounds: 5,
  policyMode: 'flag',
  defaultTokensPerDay: 500_000,
};

/** The gateway answers with `replies`, first in, first out; runs are open whose run id is in `openRuns`. */
function runnerOf(database: Database, privateKey: KeyObject): ActivityHarness['runner'] {
  const openRuns = new Set<string>();
  const replies: PlannerReply[] = [];
  const gateway = modelGateway(() => {
    const reply = replies.shift();
    if (reply === undefined) throw new Error('no reply left');
    return reply;
  });
  return {
    database,
    privateKeys: [privateKey],
    codecKeys: { primaryKeyId: 'k1', keys: new Map([['k1', randomBytes(32)]]) },
    gateway,
    planner: PLANNER_SETTINGS,
    heartbeatTimeoutMs: 10_000,
    calibration: createTokenCalibration(),
    research: { shallow: null, deep: null },
    isRunOpen: (_workflowId, runId) => Promise.resolve(openRuns.has(runId)),
    random: () => 0.5,
    openRuns,
    replies,
  };
}

function projectionOf(database: Database): ActivityHarness['projection'] {
  const healings: string[] = [];
  const cancelled: string[] = [];
  const infos: Readonly<Record<string, unknown>>[] = [];
  const warnings: Readonly<Record<string, unknown>>[] = [];
  return {
    database,
    schedules: {
      ensure: () => Promise.reject(new Error('not part of this test')),
      remove: () => Promise.reject(new Error('not part of this test')),
      fingerprintOf: () => '',
      namespaces: ['default'],
      namespaceOf: () => 'default',
      removeById: () => Promise.reject(new Error('not part of this test')),
      pauseOf: () => Promise.resolve(null),
      followsZone: () => Promise.resolve(true),
      holdsBack: () => Promise.resolve(false),
      list: () => noSchedules(),
      startDue: () => Promise.reject(new Error('not part of this test')),
    },
    startHealing: (userId, missionId) => {
      healings.push(`${userId}/${missionId}`);
      return Promise.resolve(true);
    },
    mayStart: () => true,
    cancelRun: ({ runId = '' }) => {
      cancelled.push(runId);
      return Promise.resolve(true);
    },
    isRunOpen: () => Promise.resolve(false),
    log: {
      info: (_message, fields) => infos.push(fields),
      warn: (message, fields) => warnings.push({ message, ...fields }),
    },
    healings,
    cancelled,
    infos,
    warnings,
  };
}

async function* noSchedules(): AsyncGenerator<ListedSchedule, void, undefined> {
  yield* await Promise.resolve([]);
}

async function grantFor(
  api: Database,
  publicKey: KeyObject,
  user: WebAppUser,
  missionId: string,
  recordIds: readonly string[],
  options: GrantOptions,
): Promise<Grant> {
  const { version = 'v2', issuedAtMs = Date.now(), ttlMs = WEEK_MS, logged = true } = options;
  const tables = options.tables ?? [...new Set(recordIds.map((id) => id.split(':')[0] ?? ''))];
  const { userId, masterKey } = user;
  const minted = mintGrant({
    ...{ version, masterKey, userId, missionId: toMissionId(missionId), tables, recordIds },
    ...{ issuedAtMs, ttlMs, publicKey },
  });
  const { grant } = minted;
  if (logged) {
    await api.asUser(userId, (tx) =>
      enterMintedGrant(tx, {
        wrappedKeySha256: minted.wrappedKeySha256,
        missionId: toMissionId(missionId),
        version,
        tables: grant.derivation.tables,
        recordIds: grant.derivation.recordIds,
        keyId: minted.keyId,
        issuedAtIso: grant.issuedAt,
        expiresAtIso: grant.expiresAt,
      }),
    );
  }
  return grant;
}

/** Has a run hold its mission, as its load does; whoever held it before is over. */
export const holdSlot = (database: Database, run: RunRef): Promise<void> =>
  database.asUser(run.userId, async (tx) => {
    const claimant = { missionId: run.missionId, workflowId: `w-${run.runId}`, runId: run.runId };
    const claim = await claimMissionSlot(tx, claimant);
    if ('holder' in claim) await takeOverMissionSlot(tx, claim.holder.runId, claimant);
    setSlotIteration(tx, run);
  });

/** A run of a mission that nobody has started. */
export const newRun = (user: WebAppUser, missionId: string): RunRef => ({
  userId: user.userId,
  missionId: toMissionId(missionId),
  iterationId: toIterationId(randomUUID()),
  runId: toWorkflowRunId(randomUUID()),
});
