import { AGENTS, MISSIONS, readRecordRows } from './sync-changes.ts';
import type { StoredRow } from './record-rows.ts';
import type { UserTransaction } from './client.ts';
import { parseAgent, type Agent } from '#domain/wire/agent.ts';
import { readMembers } from './space-members.ts';
import {
  EMPTY_MERGE_STATE,
  mergeRecord,
  standingRecordOf,
  takeInRows,
  type MergedRecord,
} from '#domain/change-log/field-merge.ts';
import { type ChangeRow, RUNNER_CLIENT_ID } from '#domain/wire/rows.ts';
import { acceptableIterations } from '#domain/iteration/iterations.ts';
import { parseMission, type Mission } from '#domain/wire/mission.ts';
import {
  memberTimeMicros,
  stoppedByMembers,
  withStepsOfMembers,
  type MemberWrites,
} from '#domain/iteration/space-members.ts';
import type { StoredObject } from '#domain/wire/iteration.ts';

/** A mission as its rows make it, and the rows themselves for what the merge does not keep. */
export interface ReadMission {
  readonly mission: Mission;
  readonly merged: MergedRecord;
  readonly rows: readonly StoredRow[];
  /** What other members of its space wrote, as far as that counts. */
  readonly members: readonly MemberWrites[];
  /** Fields that are too large to be read; `*` where it is not known which. */
  readonly tooLarge: readonly string[];
  /** The shared space that the newest row with one names; ours have to stand in it as well. */
  readonly spaceId: string | null;
  /** See `readMissionEvenDeleted`. */
  readonly isDeleted: boolean;
}

/** Replays a mission from the change log; null when it is unknown or deleted. */
export async function readMission(tx: UserTransaction, missionId: string): Promise<ReadMission | null> {
  return unlessDeleted(await readMissionEvenDeleted(tx, missionId));
}

/**
 * The same, also under a tombstone: a run that was under way then still has its claim to end. One that was removed without a
 * tombstone is null; devices would make a new record of whatever is written to it.
 */
export async function readMissionEvenDeleted(
  tx: UserTransaction,
  missionId: string,
): Promise<ReadMission | null> {
  const rows = await readRecordRows(tx, { ...MISSIONS, recordId: missionId });
  const spaceId = spaceOf(rows);
  const members =
    spaceId === null ? [] : await readMembers(tx, tx.userId, { missionId, spaceId }, { outlines: true });
  return missionOf(missionId, rows, members);
}

/**
 * The same without what stands under our own client id: that is iterations and instants, and what says more was written by
 * somebody who is not the user.
 */
export async function readMissionOfDevices(
  tx: UserTransaction,
  missionId: string,
): Promise<ReadMission | null> {
  const rows = await readRecordRows(tx, { ...MISSIONS, recordId: missionId });
  return unlessDeleted(missionOf(missionId, rows.filter(isOfDevice), []));
}

const unlessDeleted = (read: ReadMission | null): ReadMission | null =>
  read?.isDeleted === true ? null : read;

/** Whether a device wrote the row, and not we. */
export const isOfDevice = (row: ChangeRow): boolean => row.clientId !== RUNNER_CLIENT_ID;

const spaceOf = (rows: readonly StoredRow[]): string | null =>
  rows.findLast((row) => row.spaceId !== null)?.spaceId ?? null;

/** @param members of its space: they may have stopped it, and their devices have taken steps further; they change nothing else */
function missionOf(
  missionId: string,
  rows: readonly StoredRow[],
  members: readonly MemberWrites[],
): ReadMission | null {
  const own = takeInRows(EMPTY_MERGE_STATE, rows);
  const standing = standingRecordOf(missionId, own);
  const stopped = stoppedByMembers(own, members);
  if (standing === null) return null;
  const record = {
    ...standing.record,
    ...(stopped.state !== null && { state: stopped.state }),
    ...stepsOfMembers(standing.record['iterations'], members),
  };
  return {
    mission: parseMission(missionId, record),
    merged: { record, fieldTimesMicros: withTimesOfMembers(standing.fieldTimesMicros, members) },
    rows,
    members,
    tooLarge: rows.flatMap((row) => row.tooLarge),
    spaceId: spaceOf(rows),
    isDeleted: standing.isDeleted || stopped.isDeleted || stopped.isAnothers,
  };
}

function stepsOfMembers(
  stored: unknown,
  members: readonly MemberWrites[],
): { readonly iterations?: readonly StoredObject[] } {
  if (members.length === 0) return {};
  const iterations = acceptableIterations(stored);
  const taken = withStepsOfMembers(iterations, members);
  return taken === iterations ? {} : { iterations: taken };
}

/** What we write has to be later than what members wrote, too, or devices drop it. */
function withTimesOfMembers(
  fieldTimesMicros: ReadonlyMap<string, bigint>,
  members: readonly MemberWrites[],
): ReadonlyMap<string, bigint> {
  const times = new Map(fieldTimesMicros);
  for (const field of ['iterations', 'nextRunAt']) {
    const timeMicros = memberTimeMicros(members, field);
    if (timeMicros !== null && timeMicros > (times.get(field) ?? timeMicros - 1n))
      times.set(field, timeMicros);
  }
  return times;
}

export interface ReadAgent {
  readonly agent: Agent;
  readonly record: Readonly<Record<string, unknown>>;
}

/** Replays an agent; null when it is unknown or deleted. */
export async function readAgent(tx: UserTransaction, agentId: string): Promise<ReadAgent | null> {
  const merged = mergeRecord(agentId, await readRecordRows(tx, { ...AGENTS, recordId: agentId }));
  return merged === null ? null : { agent: parseAgent(agentId, merged.record), record: merged.record };
}
