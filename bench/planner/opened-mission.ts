import { toMissionId, toUserId, toWorkflowRunId } from '#domain/base/ids.ts';
import { randomUUID, type KeyObject } from 'node:crypto';
import { writeBenchMission, type BenchMission, type BenchSystem } from '#bench/system.ts';
import type { RunnerDependencies } from '#activities/runner/dependencies.ts';
import { forgetRun } from '#activities/runner/forget-run.ts';
import { loadRun } from '#activities/runner/load-run.ts';
import { sealInputs } from '#activities/vault/seal-inputs.ts';
import type { PlanRoundInput } from '#domain/run/run.ts';
import type { Gateway } from '#llm/gateway.ts';
import { createTokenCalibration } from '#domain/planner/model/token-calibration.ts';
import { createResearchServices } from '#research/services.ts';

export const NOTES = 3;
export const NOTE_BYTES = 2_048;

/** An encrypted mission on encrypted notes. */
export const writeMission = (system: BenchSystem): Promise<BenchMission> =>
  writeBenchMission(system, { records: NOTES, recordBytes: NOTE_BYTES });

/** The runner's own, on its own pool. */
export const runnerDeps = (
  system: { readonly databases: Pick<BenchSystem['databases'], 'runner'>; readonly privateKey: KeyObject },
  gateway: Gateway,
): RunnerDependencies => ({
  database: system.databases.runner,
  privateKeys: [system.privateKey],
  codecKeys: { primaryKeyId: 'bench-1', keys: new Map([['bench-1', Buffer.alloc(32, 1)]]) },
  gateway,
  heartbeatTimeoutMs: 30_000,
  planner: {
    ...{ model: 'mana/reasoning', compactModel: 'mana/fast-text', contextTokens: 128_000 },
    maxReplyTokens: 8_192,
    ...{ maxRounds: 5, policyMode: 'flag', defaultTokensPerDay: 1_000_000_000 },
  },
  calibration: createTokenCalibration(),
  research: createResearchServices({ shallowUrl: null, deep: null }),
  isRunOpen: () => Promise.resolve(false),
  random: Math.random,
});

/** Starts a run by hand, seals its inputs, and leaves it before its first round. */
export async function beginRun(
  deps: RunnerDependencies,
  system: Pick<BenchSystem, 'kek'> & {
    readonly databases: Pick<BenchSystem['databases'], 'vaultSync' | 'vaultAuth'>;
  },
  mission: BenchMission,
): Promise<PlanRoundInput> {
  const { userId } = mission.user;
  const missionId = toMissionId(mission.missionId);
  const [runId, workflowId] = [toWorkflowRunId(randomUUID()), randomUUID()];
  const startedAtMs = Date.now();
  const loaded = await loadRun(deps, {
    ...{ userId, missionId, trigger: 'run-now', workflowId, runId, startedAtMs, scheduledAtMs: null },
  });
  if (loaded.outcome !== 'ready') throw new Error(`run: found ${loaded.outcome}, expected ready`);
  const run = { userId, missionId, iterationId: loaded.iterationId, runId };
  const { databases, kek } = system;
  const sealed = await sealInputs(
    {
      syncDatabase: databases.vaultSync,
      authDatabase: databases.vaultAuth,
      keks: { default: kek, byId: new Map() },
      acceptV1: true,
    },
    run,
  );
  // The mission's own fields are one record more.
  if (sealed.sealed !== NOTES + 1) throw new Error(`seal: found ${sealed.sealed} records`);
  return { ...run, round: 1, agentId: loaded.agentId, grantUsable: true };
}

/** As a run does at its end. */
export async function closeRun(deps: RunnerDependencies, run: PlanRoundInput): Promise<void> {
  await forgetRun(deps.database, toUserId(run.userId), run);
}
