import type { MissionSchedules } from '#schedules/mission-schedules.ts';
import type { MissionScheduleTarget } from '#schedules/schedule-request.ts';
import { missionScheduleId } from '#schedules/schedule-ids.ts';

const NAMESPACE = 'default';

/** Schedules without Temporal, for what is not about Temporal: they remember what was asked of them. */
export interface RecordingSchedules extends MissionSchedules {
  /** `ensure <mission>`, `remove <mission>`, `start <mission>`, in the order of the calls. */
  readonly asked: string[];
  /** By schedule id. */
  readonly present: Map<string, MissionScheduleTarget>;
  /** The codec key that each was written under, by schedule id. */
  readonly writtenUnder: Map<string, string>;
  /** The one that encrypts now. */
  codecKeyId: string;
  /** Missions that an operator paused or whose schedule has a run open. */
  readonly heldBack: Set<string>;
  /** Zones that the server refuses, or follows by other rules. */
  readonly unfollowedZones: Set<string>;
  /** Awaited by each change of a schedule. */
  beforeEach: (missionId: string) => Promise<void>;
}

export function recordingSchedules(): RecordingSchedules {
  const present = new Map<string, MissionScheduleTarget>();
  const writtenUnder = new Map<string, string>();
  const schedules: RecordingSchedules = {
    asked: [],
    present,
    writtenUnder,
    codecKeyId: 'first',
    heldBack: new Set(),
    unfollowedZones: new Set(),
    beforeEach: () => Promise.resolve(),
    ensure: async (schedule, options) => {
      schedules.asked.push(`ensure ${schedule.missionId}`);
      await schedules.beforeEach(schedule.missionId);
      const id = missionScheduleId(schedule.userId, schedule.missionId);
      const before = present.get(id);
      if (before === undefined && (await options?.mayCreate?.()) === false) return null;
      const keyBefore = writtenUnder.get(id);
      present.set(id, schedule);
      writtenUnder.set(id, schedules.codecKeyId);
      if (before === undefined) return 'created';
      if (JSON.stringify(before) !== JSON.stringify(schedule)) return 'updated';
      return keyBefore === schedules.codecKeyId ? 'unchanged' : 'reencrypted';
    },
    remove: async (userId, missionId) => {
      schedules.asked.push(`remove ${missionId}`);
      await schedules.beforeEach(missionId);
      return present.delete(missionScheduleId(userId, missionId));
    },
    removeById: ({ scheduleId }) => Promise.resolve(present.delete(scheduleId)),
    namespaces: [NAMESPACE],
    namespaceOf: () => NAMESPACE,
    fingerprintOf: ({ spec, agentId }) => JSON.stringify([schedules.codecKeyId, spec, agentId]),
    pauseOf: () => Promise.resolve(null),
    followsZone: (timeZone) => Promise.resolve(!schedules.unfollowedZones.has(timeZone)),
    holdsBack: (_userId, missionId) => Promise.resolve(schedules.heldBack.has(missionId)),
    async *list() {
      for (const [scheduleId, schedule] of await Promise.resolve([...present])) {
        const { userId, missionId, spec, agentId } = schedule;
        const keyId = writtenUnder.get(scheduleId);
        const fingerprint = JSON.stringify([keyId, spec, agentId]);
        const isUnderFirstKey = keyId === schedules.codecKeyId;
        yield {
          namespace: NAMESPACE,
          scheduleId,
          userId,
          missionId,
          fingerprint,
          isUnderFirstKey,
          paused: false,
        };
      }
    },
    startDue: ({ missionId }) => {
      schedules.asked.push(`start ${missionId}`);
      return Promise.resolve('started');
    },
  };
  return schedules;
}
