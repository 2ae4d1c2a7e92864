import { parseAgent, type Agent } from '#domain/wire/agent.ts';
import { recordOf, type MergeState } from '#domain/change-log/field-merge.ts';
import { formatInstant, instantMs } from '#domain/base/instant.ts';
import type { KeptFields } from '#domain/change-log/merge-state.ts';
import { MISSION_STATES, parseMission, type Cadence, type MissionState } from '#domain/wire/mission.ts';
import { stoppedByMembers, type MemberWrites } from '#domain/iteration/space-members.ts';

/** What the projection keeps of a mission: scheduling fields only. */
export interface Snapshot {
  readonly exists: boolean;
  readonly state: MissionState | null;
  readonly cadence: Cadence | null;
  /** `nextRunAt` with milliseconds, or null. */
  readonly nextRunAtIso: string | null;
  readonly agentId: string | null;
}

const GONE: Snapshot = { exists: false, state: null, cadence: null, nextRunAtIso: null, agentId: null };

const LONGEST_CADENCE_TEXT = 200;
const LONGEST_AGENT_ID = 500;

const cadencePart = (value: unknown): unknown =>
  typeof value === 'number' || (typeof value === 'string' && value.length <= LONGEST_CADENCE_TEXT)
    ? value
    : null;
/** Whatever stands there, the record is a tombstone; what it was is of no use. */
const tombstone = (value: unknown): true | null => (value === null || value === undefined ? null : true);

/**
 * The fields that a schedule depends on, and the times of `iterations`; see `keepFields`. No title, no objective and no
 * text of an iteration: nobody who reads a snapshot needs them.
 */
export const MISSION_FIELDS: KeptFields = {
  state: (value) => MISSION_STATES.find((state) => state === value) ?? null,
  cadence: {
    kind: cadencePart,
    everyMinutes: cadencePart,
    atHour: cadencePart,
    atMinute: cadencePart,
    dayOfWeek: cadencePart,
    expression: cadencePart,
  },
  nextRunAt: canonicalInstant,
  agentId: (value) => (typeof value === 'string' && value.length <= LONGEST_AGENT_ID ? value : null),
  deletedAt: tombstone,
  iterations: () => null,
};

/** Likewise of an agent. */
export const AGENT_FIELDS: KeptFields = {
  state: (value) => (value === 'active' || value === 'paused' || value === 'archived' ? value : null),
  deletedAt: tombstone,
};

/** @param state of the mission's rows, whole or with `MISSION_FIELDS` kept of them: the answer is the same */
export function snapshotOf(missionId: string, state: MergeState): Snapshot {
  const merged = recordOf(missionId, state);
  if (merged === null) return GONE;
  const mission = parseMission(missionId, merged.record);
  const { agentId } = mission;
  return {
    exists: true,
    state: mission.state,
    cadence: mission.cadence,
    nextRunAtIso: canonicalInstant(mission.nextRunAt),
    agentId: agentId !== null && agentId.length > LONGEST_AGENT_ID ? null : agentId,
  };
}

/** The same as members of its space leave it: stopped, or not this user's at all. */
export function snapshotAmong(
  missionId: string,
  state: MergeState,
  members: readonly MemberWrites[],
): Snapshot {
  const snapshot = snapshotOf(missionId, state);
  if (members.length === 0 || !snapshot.exists) return snapshot;
  const stopped = stoppedByMembers(state, members);
  if (stopped.isAnothers || stopped.isDeleted) return GONE;
  return { ...snapshot, state: stopped.state ?? snapshot.state };
}

export interface AgentSnapshot {
  readonly exists: boolean;
  /** As a run reads it: an unreadable one counts as paused. Null for an agent that is gone. */
  readonly state: Agent['state'] | null;
}

export function agentSnapshotOf(agentId: string, state: MergeState): AgentSnapshot {
  const merged = recordOf(agentId, state);
  return { exists: merged !== null, state: merged && parseAgent(agentId, merged.record).state };
}

/** The database takes other years than we write; an instant outside them is none. */
function canonicalInstant(value: unknown): string | null {
  const ms = instantMs(value);
  return ms === null || ms < 0 || ms > Date.UTC(9999, 11, 31) ? null : formatInstant(ms);
}
