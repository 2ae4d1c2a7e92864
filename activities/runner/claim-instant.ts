import type { IterationId, MissionId } from '#domain/base/ids.ts';
import { claimEventIdOf, eventIdOf } from '#crypto/derived-ids.ts';
import type { UserTransaction } from '#db/client.ts';
import { readMissionEvenDeleted, type ReadMission } from '#db/missions.ts';
import { existingChanges, insertMissionUpdate, readClockMs, type MissionUpdate } from '#db/sync-changes.ts';
import type { readClockAndZone } from '#db/time-zones.ts';
import { aiActor } from '#domain/wire/actor.ts';
import type { Agent } from '#domain/wire/agent.ts';
import { EventIdConflictError } from '#domain/base/errors.ts';
import { fieldTimeMicros } from '#domain/change-log/field-merge.ts';
import { formatInstant } from '#domain/base/instant.ts';
import {
  failedIteration,
  runningIteration,
  startOfIteration,
  withIteration,
} from '#domain/iteration/iterations.ts';
import type { RunningIteration, ServerIteration } from '#domain/wire/iteration.ts';
import { languageOf } from '#domain/base/language.ts';
import { nextRunAtAfter } from '#domain/cadence/next-run.ts';
import { failureText } from '#domain/run/failure-texts.ts';
import { writerTime } from '#domain/wire/rows.ts';

/**
 * A run claims its instant in the log before it plans (docs/adr, "A run claims its instant"): devices show it as running
 * and can cancel it, and an open tab finds the mission no longer due. The claim is a row of its own; the row that ends the
 * iteration replaces it by the iteration's id.
 */
export type ClaimState = 'none' | 'open' | 'ended';

export async function claimState(tx: UserTransaction, iterationId: IterationId): Promise<ClaimState> {
  const [claimed, ended] = [claimEventIdOf(iterationId), eventIdOf(iterationId)];
  const found = await existingChanges(tx, [claimed, ended]);
  return found.has(ended) ? 'ended' : found.has(claimed) ? 'open' : 'none';
}

/** Arrays come whole: where the present one is too large to be read, another would take it away from the user. */
export const mayBeWritten = ({ tooLarge }: ReadMission): boolean =>
  !tooLarge.some((field) => field === '*' || field.startsWith('iterations'));

/**
 * Writes the claim; a mission whose iterations are too large to be read gets none. Call it under the mission's lock, as the
 * last statement of the transaction that passed the gates.
 *
 * @param run.dueAtMs the instant that it claims, or null for a run that the user asked for
 * @param clock of the database, read under the lock
 * @throws EventIdConflictError when another user's row holds its id
 */
export async function claimInstant(
  tx: UserTransaction,
  run: {
    readonly missionId: MissionId;
    readonly iterationId: IterationId;
    readonly startedAtMs: number;
    readonly dueAtMs: number | null;
  },
  { read, agent }: { readonly read: ReadMission; readonly agent: Agent | null },
  { nowMs, timeZone }: Awaited<ReturnType<typeof readClockAndZone>>,
): Promise<void> {
  if (!mayBeWritten(read)) return;
  // The database's clock may be behind the one that found the mission due.
  const nextRunAt = nextRunAtAfter(read.mission, Math.max(nowMs, run.dueAtMs ?? nowMs), timeZone);
  const iteration = runningIteration({
    iterationId: run.iterationId,
    startedAtIso: formatInstant(run.startedAtMs),
    phaseStartedAtIso: formatInstant(Math.max(nowMs, run.startedAtMs)),
  });
  const changeId = claimEventIdOf(run.iterationId);
  const row = iterationRow(read, iteration, { changeId, nextRunAt, agent, nowMs });
  if (!(await insertMissionUpdate(tx, row))) throw new EventIdConflictError();
}

/** The row that writes an iteration into the mission's array, and the next instant unless it is undefined. */
export function iterationRow(
  read: ReadMission,
  iteration: ServerIteration | RunningIteration,
  how: {
    readonly changeId: string;
    readonly nextRunAt: string | null | undefined;
    readonly agent: Agent | null;
    readonly nowMs: number;
  },
): MissionUpdate {
  const data = {
    iterations: withIteration(read.merged.record['iterations'], iteration),
    ...(how.nextRunAt === undefined ? {} : { nextRunAt: how.nextRunAt }),
  };
  return {
    changeId: how.changeId,
    missionId: read.mission.id,
    spaceId: read.spaceId,
    data,
    fieldMeta: Object.fromEntries(
      Object.keys(data).map((field) => [field, writerTime(how.nowMs, fieldTimeMicros(read.merged, field))]),
    ),
    actor: { ...aiActor(how.agent, read.mission.id, iteration.id) },
    origin: 'agent',
  };
}

/**
 * Ends a claim that its run left open: it was terminated, or could not write. Whoever lets go of a run's slot calls it, as
 * the last statement of the transaction and under the mission's lock, so that no device shows a run for ever.
 */
export async function endOpenClaim(
  tx: UserTransaction,
  missionId: MissionId,
  iterationId: IterationId,
): Promise<void> {
  if ((await claimState(tx, iterationId)) !== 'open') return;
  const read = await readMissionEvenDeleted(tx, missionId);
  if (read === null || !mayBeWritten(read)) return;
  const nowMs = await readClockMs(tx);
  const { title, objective, conceptMarkdown } = read.mission;
  const failure = { code: 'run-interrupted', phase: 'finalizing' } as const;
  const startedAtIso =
    startOfIteration(read.merged.record['iterations'], iterationId) ?? formatInstant(nowMs);
  const iteration = failedIteration(
    { iterationId, startedAtIso, finishedAtIso: formatInstant(nowMs) },
    failure,
    failureText(languageOf([title, objective, conceptMarkdown]), failure.code),
  );
  const changeId = eventIdOf(iterationId);
  await insertMissionUpdate(
    tx,
    iterationRow(read, iteration, { changeId, nextRunAt: undefined, agent: null, nowMs }),
  );
}
