import { instantMs, formatInstant } from './instant.ts';
import { parseGrant } from './grant.ts';
import { parseMission } from './mission.ts';
import type { Cadence } from './mission.ts';
import type { MergedRecord } from './field-merge.ts';

/** What the projection keeps of a mission: scheduling fields only. */
export interface Snapshot {
  readonly exists: boolean;
  readonly state: string | null;
  readonly cadence: Cadence | null;
  /** `nextRunAt` with milliseconds, or null. */
  readonly nextRunAtIso: string | null;
  readonly agentId: string | null;
  readonly grantExpiresAtIso: string | null;
}

const GONE: Snapshot = {
  exists: false,
  state: null,
  cadence: null,
  nextRunAtIso: null,
  agentId: null,
  grantExpiresAtIso: null,
};

/** @param merged the mission as its rows make it; null when it is deleted */
export function snapshotOf(missionId: string, merged: MergedRecord | null): Snapshot {
  if (merged === null) return GONE;
  const mission = parseMission(missionId, merged.record);
  return {
    exists: true,
    state: mission.state,
    cadence: mission.cadence,
    nextRunAtIso: canonicalInstant(mission.nextRunAt),
    agentId: mission.agentId,
    grantExpiresAtIso: canonicalInstant(parseGrant(mission.grant)?.expiresAt ?? null),
  };
}

/** The database takes other years than we write; an instant outside them is none. */
function canonicalInstant(value: string | null): string | null {
  const ms = instantMs(value);
  return ms === null || ms < 0 || ms > Date.UTC(9999, 11, 31) ? null : formatInstant(ms);
}
