import type { RunnerDependencies } from './dependencies.ts';
import { ensureRunKey, missionDataKey } from './run-keys.ts';
import type { UserTransaction } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import { readMissionEvenDeleted, type ReadMission } from '#db/missions.ts';
import { readRunGrant } from '#db/run-grants.ts';
import { holdsSlot } from '#db/run-slots.ts';
import { GrantUnusableError } from '#domain/base/errors.ts';
import type { RunRef } from '#domain/run/run.ts';

/** What the stages of a run share while they work: a transaction of its user, the run itself, and its key. */
export interface RunScope<Run extends RunRef = RunRef> {
  readonly tx: UserTransaction;
  readonly run: Run;
  /** Of what is kept of the run, 32 bytes: the grant's where that is usable. Whoever opens a scope overwrites it. */
  readonly key: Buffer;
}

/** A run that asks somebody, and whether its mission's grant opened anything. */
export type AskingRun = RunRef & { readonly agentId: string | null; readonly grantUsable: boolean };

/** With the mission as the run has it. */
export interface MissionScope<Run extends AskingRun = AskingRun> extends RunScope<Run> {
  readonly read: ReadMission;
}

/**
 * The mission as a run has it: with the grant that it sealed with, whatever the record says by now. A grant that was renewed
 * or replaced meanwhile is the next run's. A run that began before grants were kept has the record's.
 */
export async function readMissionOfRun(
  tx: UserTransaction,
  run: Pick<AskingRun, 'missionId' | 'runId' | 'iterationId' | 'grantUsable'>,
): Promise<ReadMission | null> {
  const read = await readMissionOfRunEvenDeleted(tx, run);
  return read?.isDeleted === true ? null : read;
}

/** The same, also of a mission that was deleted meanwhile. */
export async function readMissionOfRunEvenDeleted(
  tx: UserTransaction,
  run: Pick<AskingRun, 'missionId' | 'runId' | 'iterationId' | 'grantUsable'>,
): Promise<ReadMission | null> {
  const [read, grant] = await Promise.all([
    readMissionEvenDeleted(tx, run.missionId),
    run.grantUsable ? readRunGrant(tx, run.runId) : null,
  ]);
  if (read === null) return null;
  // Its own claim is no earlier run.
  const iterations = read.mission.iterations.filter(({ id }) => id !== run.iterationId);
  return { ...read, mission: { ...read.mission, iterations, grant: grant ?? read.mission.grant } };
}

/**
 * Opens a scope in a transaction; a mission that was deleted meanwhile has taken its grant with it.
 *
 * @throws GrantUnusableError, RunKeyLostError
 */
export async function openScope<Run extends AskingRun>(
  deps: RunnerDependencies,
  tx: UserTransaction,
  run: Run,
): Promise<MissionScope<Run>> {
  return scopeWith(deps, tx, run, await readMissionOfRun(tx, run));
}

/** See `openScope`, where the mission has been read. */
export async function scopeWith<Run extends AskingRun>(
  deps: RunnerDependencies,
  tx: UserTransaction,
  run: Run,
  read: ReadMission | null,
): Promise<MissionScope<Run>> {
  if (read === null) throw new GrantUnusableError('revoked');
  const key = run.grantUsable ? await missionDataKey(deps, tx, read) : await ensureRunKey(deps, tx, run);
  return { tx, run, key, read };
}

/**
 * Works in a scope of a run, in a transaction of its own in which the run's grant cannot be revoked. The key is overwritten
 * afterwards.
 *
 * @returns null when the run has ended meanwhile: nobody waits for the work, and nobody would forget it
 * @throws GrantUnusableError, RunKeyLostError
 */
export async function inScope<Run extends AskingRun, T>(
  deps: RunnerDependencies,
  run: Run,
  work: (scope: MissionScope<Run>) => Promise<T>,
): Promise<T | null> {
  return deps.database.asUser(run.userId, async (tx) => {
    if (run.grantUsable) lockMission(tx, run.missionId);
    if (!(await holdsSlot(tx, run))) return null;
    const scope = await openScope(deps, tx, run);
    try {
      return await work(scope);
    } finally {
      scope.key.fill(0);
    }
  });
}
