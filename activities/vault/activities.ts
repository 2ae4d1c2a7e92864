import { sealInputs, type VaultDependencies } from './seal-inputs.ts';
import { runActivity } from '#activities/run-activity.ts';
import type { RunRef, SealResult } from '#domain/run/run.ts';

const HEARTBEAT_EVERY_MS = 5_000;

/** Activities of task queue `missions-vault`. Their names are stored in histories. */
export interface VaultActivities {
  sealInputs(run: RunRef): Promise<SealResult>;
}

export const createVaultActivities = (deps: VaultDependencies): VaultActivities => ({
  sealInputs: (run) => runActivity(() => sealInputs(deps, run), { heartbeatEveryMs: HEARTBEAT_EVERY_MS }),
});
