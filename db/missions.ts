import { AGENTS, MISSIONS, readRecordRows } from './sync-changes.ts';
import type { StoredRow } from './record-rows.ts';
import type { UserTransaction } from './client.ts';
import { parseAgent } from '../domain/agent.ts';
import type { Agent } from '../domain/agent.ts';
import { EMPTY_MERGE_STATE, mergeRecord, standingRecordOf, takeInRows } from '../domain/field-merge.ts';
import type { ChangeRow, MergedRecord } from '../domain/field-merge.ts';
import type { UserId } from '../domain/ids.ts';
import { RUNNER_CLIENT_ID } from '../domain/iterations.ts';
import { parseMission } from '../domain/mission.ts';
import type { Mission } from '../domain/mission.ts';

/** A mission as its rows make it, and the rows themselves for what the merge does not keep. */
export interface ReadMission {
  readonly mission: Mission;
  readonly merged: MergedRecord;
  readonly rows: readonly StoredRow[];
  /** Fields that are too large to be read; `*` where it is not known which. */
  readonly tooLarge: readonly string[];
  /** The shared space that the newest row with one names; ours have to stand in it as well. */
  readonly spaceId: string | null;
  /** See `readMissionEvenDeleted`. */
  readonly isDeleted: boolean;
}

/** Replays a mission from the change log; null when it is unknown or deleted. */
export async function readMission(
  tx: UserTransaction,
  userId: UserId,
  missionId: string,
): Promise<ReadMission | null> {
  return unlessDeleted(await readMissionEvenDeleted(tx, userId, missionId));
}

/**
 * The same, also under a tombstone: a run that was under way then still has its claim to end. One that was removed without a
 * tombstone is null; devices would make a new record of whatever is written to it.
 */
export async function readMissionEvenDeleted(
  tx: UserTransaction,
  userId: UserId,
  missionId: string,
): Promise<ReadMission | null> {
  return missionOf(missionId, await readRecordRows(tx, userId, { ...MISSIONS, recordId: missionId }));
}

/**
 * The same without what stands under our own client id: that is iterations and instants, and what says more was written by
 * somebody who is not the user.
 */
export async function readMissionOfDevices(
  tx: UserTransaction,
  userId: UserId,
  missionId: string,
): Promise<ReadMission | null> {
  const rows = await readRecordRows(tx, userId, { ...MISSIONS, recordId: missionId });
  return unlessDeleted(missionOf(missionId, rows.filter(isOfDevice)));
}

const unlessDeleted = (read: ReadMission | null): ReadMission | null =>
  read?.isDeleted === true ? null : read;

/** Whether a device wrote the row, and not we. */
export const isOfDevice = (row: ChangeRow): boolean => row.clientId !== RUNNER_CLIENT_ID;

function missionOf(missionId: string, rows: readonly StoredRow[]): ReadMission | null {
  const standing = standingRecordOf(missionId, takeInRows(EMPTY_MERGE_STATE, rows));
  if (standing === null) return null;
  const { isDeleted, ...merged } = standing;
  const spaceId = rows.findLast((row) => row.spaceId !== null)?.spaceId ?? null;
  const tooLarge = rows.flatMap((row) => row.tooLarge);
  return { mission: parseMission(missionId, merged.record), merged, rows, tooLarge, spaceId, isDeleted };
}

export interface ReadAgent {
  readonly agent: Agent;
  readonly record: Readonly<Record<string, unknown>>;
}

/** Replays an agent; null when it is unknown or deleted. */
export async function readAgent(
  tx: UserTransaction,
  userId: UserId,
  agentId: string,
): Promise<ReadAgent | null> {
  const merged = mergeRecord(agentId, await readRecordRows(tx, userId, { ...AGENTS, recordId: agentId }));
  return merged === null ? null : { agent: parseAgent(agentId, merged.record), record: merged.record };
}
