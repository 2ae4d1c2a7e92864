import type { RunnerDependencies } from './dependencies.ts';
import { healEventIdOf } from '../../crypto/derived-ids.ts';
import { lockMission } from '../../db/mission-lock.ts';
import { readMission } from '../../db/missions.ts';
import { insertMissionUpdate, readClockMs } from '../../db/sync-changes.ts';
import { SYSTEM_ACTOR } from '../../domain/actor.ts';
import { fieldTimeMicros } from '../../domain/field-merge.ts';
import { toMissionId } from '../../domain/ids.ts';
import type { UserId } from '../../domain/ids.ts';
import { findOverwrite, withRestored } from '../../domain/iterations.ts';
import { writerTime } from '../../domain/writer-time.ts';

/**
 * Puts back iterations of ours that a device overwrote before it had pulled them (contract section 1; architecture
 * section 4, "Healing"). One write for each overwriting row: its id is derived from that row's.
 *
 * @returns how many iterations were put back
 */
export async function healIterations(
  deps: RunnerDependencies,
  userId: UserId,
  missionId: string,
): Promise<number> {
  return deps.database.asUser(userId, async (tx) => {
    await lockMission(tx, userId, toMissionId(missionId));
    const read = await readMission(tx, userId, missionId);
    if (read === null) return 0;
    const overwrite = findOverwrite(read.rows, read.merged.record['iterations']);
    if (overwrite === null) return 0;
    const iterations = withRestored(read.merged.record['iterations'], overwrite.lost);
    const time = writerTime(await readClockMs(tx), fieldTimeMicros(read.merged, 'iterations'));
    const isNew = await insertMissionUpdate(tx, userId, {
      changeId: healEventIdOf(overwrite.overwritingRowId),
      missionId,
      spaceId: read.spaceId,
      data: { iterations },
      fieldMeta: { iterations: time },
      actor: { ...SYSTEM_ACTOR },
      origin: 'system',
    });
    return isNew ? overwrite.lost.length : 0;
  });
}
