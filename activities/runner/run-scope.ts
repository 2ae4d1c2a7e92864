import type { RunnerDependencies } from './dependencies.ts';
import { missionDataKey, runKey } from './transcript.ts';
import type { UserTransaction } from '#db/client.ts';
import { lockMission } from '#db/mission-lock.ts';
import { readMissionEvenDeleted, type ReadMission } from '#db/missions.ts';
import { readRunGrant } from '#db/run-grants.ts';
import { holdsSlot } from '#db/run-slots.ts';
import { GrantUnusableError } from '#domain/base/errors.ts';
import type { RunRef } from '#domain/run/run.ts';

export interface OpenedMission {
  readonly read: ReadMission;
  /** Of the transcript, 32 bytes; whoever has it overwrites it. */
  readonly key: Buffer;
}

/** A run, and whether its mission's grant opened anything. */
export type OpeningRun = RunRef & { readonly grantUsable: boolean };

/**
 * The mission as a run has it: with the grant that it sealed with, whatever the record says by now. A grant that was renewed
 * or replaced meanwhile is the next run's. A run that began before grants were kept has the record's.
 */
export async function readMissionOfRun(
  tx: UserTransaction,
  run: Pick<OpeningRun, 'missionId' | 'runId' | 'iterationId' | 'grantUsable'>,
): Promise<ReadMission | null> {
  const read = await readMissionOfRunEvenDeleted(tx, run);
  return read?.isDeleted === true ? null : read;
}

/** The same, also of a mission that was deleted meanwhile. */
export async function readMissionOfRunEvenDeleted(
  tx: UserTransaction,
  run: Pick<OpeningRun, 'missionId' | 'runId' | 'iterationId' | 'grantUsable'>,
): Promise<ReadMission | null> {
  const read = await readMissionEvenDeleted(tx, run.missionId);
  if (read === null) return null;
  // Its own claim is no earlier run.
  const iterations = read.mission.iterations.filter(({ id }) => id !== run.iterationId);
  const grant = run.grantUsable ? await readRunGrant(tx, run.runId) : null;
  return { ...read, mission: { ...read.mission, iterations, grant: grant ?? read.mission.grant } };
}

/**
 * The mission and the key of its transcript; a mission that was deleted meanwhile has taken its grant with it.
 *
 * @throws GrantUnusableError
 */
export async function openMission(
  deps: RunnerDependencies,
  tx: UserTransaction,
  run: OpeningRun,
): Promise<OpenedMission> {
  const read = await readMissionOfRun(tx, run);
  if (read === null) throw new GrantUnusableError('revoked');
  const key = run.grantUsable ? await missionDataKey(deps, tx, read) : await runKey(deps, tx, run);
  return { read, key };
}

/**
 * Works with a run's mission in one transaction, in which its grant cannot be revoked. The key is overwritten afterwards.
 *
 * @returns null when the run has ended meanwhile: nobody waits for the work, and nobody would forget it
 * @throws GrantUnusableError
 */
export async function inOpenedMission<T>(
  deps: RunnerDependencies,
  run: OpeningRun,
  work: (tx: UserTransaction, opened: OpenedMission) => Promise<T>,
): Promise<T | null> {
  const userId = run.userId;
  return deps.database.asUser(userId, async (tx) => {
    if (run.grantUsable) await lockMission(tx, run.missionId);
    if (!(await holdsSlot(tx, run))) return null;
    const opened = await openMission(deps, tx, run);
    try {
      return await work(tx, opened);
    } finally {
      opened.key.fill(0);
    }
  });
}
