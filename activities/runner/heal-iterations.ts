import { randomUUID } from 'node:crypto';
import type { RunnerDependencies } from './dependencies.ts';
import { healEventIdOf } from '#crypto/derived-ids.ts';
import { lockMission } from '#db/mission-lock.ts';
import { readMission } from '#db/missions.ts';
import { withIterations } from '#db/record-rows.ts';
import { changeExists, insertMissionUpdate, readClockMs } from '#db/sync-changes.ts';
import { SYSTEM_ACTOR } from '#domain/wire/actor.ts';
import { fieldTimeMicros } from '#domain/change-log/field-merge.ts';
import type { MissionId, UserId } from '#domain/base/ids.ts';
import { healingAmong } from '#domain/iteration/iteration-healing.ts';
import { writerTime } from '#domain/wire/rows.ts';

/**
 * Puts back what a device overwrote before it had pulled ours, and what our own write took from a device
 * (docs/platform.md section 1; docs/architecture.md section 4, "Healing"). One write for each overwriting row: its id is derived
 * from that row's.
 *
 * @returns how many iterations were put back or got back what they had lost
 */
export async function healIterations(
  deps: RunnerDependencies,
  userId: UserId,
  missionId: MissionId,
): Promise<number> {
  return deps.database.asUser(userId, async (tx) => {
    lockMission(tx, missionId);
    const read = await readMission(tx, missionId);
    // What stands and was not read must not be written over.
    if (read === null || read.tooLarge.length > 0) return 0;
    const healing = healingAmong(await withIterations(tx, read.rows), read.members);
    if (healing === null) return 0;
    const time = writerTime(await readClockMs(tx), fieldTimeMicros(read.merged, 'iterations'));
    const changeId = healEventIdOf(healing.overwritingRowId);
    const update = {
      missionId,
      spaceId: read.spaceId,
      data: { iterations: healing.iterations },
      fieldMeta: { iterations: time },
      actor: { ...SYSTEM_ACTOR },
      origin: 'system',
    } as const;
    const isNew = await insertMissionUpdate(tx, { ...update, changeId });
    if (isNew) return healing.restored;
    if (await changeExists(tx, changeId)) return 0;
    // Another user foresaw the id and took it; this is the only healing of the mission, and it has looked at what stands.
    await insertMissionUpdate(tx, { ...update, changeId: randomUUID() });
    return healing.restored;
  });
}
