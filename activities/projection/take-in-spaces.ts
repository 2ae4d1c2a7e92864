import type { SystemSql } from '#db/client.ts';
import type { FollowedChange } from '#db/followed-changes.ts';
import { markToHeal, readStandings, saveStandings } from '#db/projection.ts';
import {
  readSpaceWrites,
  readWritesInSpace,
  saveSpaceWrites,
  type SharedRecord,
  type SpaceWrites,
} from '#db/space-members.ts';
import { mergeStateSchema } from '#domain/change-log/merge-state.ts';
import { snapshotAmong } from '#domain/projection/mission-snapshot.ts';
import {
  memberWritesJson,
  NO_MEMBER_WRITES,
  overwrittenBy,
  takeInMemberRows,
} from '#domain/iteration/space-members.ts';

/** What new rows changed of what a user says about a record in a space. */
export interface SpaceChange extends SpaceWrites {
  /** Whether another array of iterations stands now. */
  readonly hasNewIterations: boolean;
}

/** In bytes: our index takes 2704 for user, record and space together. */
const LONGEST_SPACE_ID = 200;
const LONGEST_KEY = 2_500;

/** Whether what the row says may count for other members of its space. */
const isShared = (row: FollowedChange): row is FollowedChange & { readonly spaceId: string } => {
  if (row.table !== 'aiMissions' || row.spaceId === null || row.spaceId === '') return false;
  const key = [row.spaceId, row.userId, row.recordId].map((text) => Buffer.byteLength(text));
  return (key[0] ?? 0) <= LONGEST_SPACE_ID && key.reduce((sum, bytes) => sum + bytes, 0) <= LONGEST_KEY;
};

/**
 * Takes rows of shared spaces in, for the missions of other members; rows without a space are passed over.
 *
 * @returns where something else stands now
 */
export async function takeInSpaces(tx: SystemSql, rows: readonly FollowedChange[]): Promise<SpaceChange[]> {
  const groups = Map.groupBy(rows.filter(isShared), ({ userId, recordId, spaceId }) =>
    JSON.stringify([userId, recordId, spaceId]),
  );
  if (groups.size === 0) return [];
  const keys = [...groups.values()].flatMap(([first]) =>
    first === undefined ? [] : [{ userId: first.userId, missionId: first.recordId, spaceId: first.spaceId }],
  );
  const before = new Map((await readSpaceWrites(tx, keys)).map(({ writes, ...key }) => [keyOf(key), writes]));
  const changes = keys.flatMap((key) => {
    const known = before.get(keyOf(key));
    const writes = takeInMemberRows(known ?? NO_MEMBER_WRITES, groups.get(keyOf(key)) ?? []);
    const isSame =
      JSON.stringify(memberWritesJson(writes)) === (known && JSON.stringify(memberWritesJson(known)));
    const positionOf = (some: typeof known) => some?.merge.writes.get('iterations')?.position.rowId;
    return isSame ? [] : [{ ...key, writes, hasNewIterations: positionOf(writes) !== positionOf(known) }];
  });
  if (changes.length > 0) await saveSpaceWrites(tx, changes);
  return changes;
}

const keyOf = ({ userId, missionId, spaceId }: Omit<SpaceWrites, 'writes'>): string =>
  JSON.stringify([userId, missionId, spaceId]);

/**
 * Brings the missions of others up to date with what a member wrote: one that was stopped loses its schedule, one whose
 * iterations were overwritten will have its healing started.
 */
export async function refreshOthers(tx: SystemSql, changes: readonly SpaceChange[]): Promise<void> {
  const records = Map.groupBy(changes, ({ missionId, spaceId }) => JSON.stringify([missionId, spaceId]));
  for (const some of records.values()) {
    const [change] = some;
    if (change !== undefined) await refreshRecord(tx, change, some);
  }
}

async function refreshRecord(
  tx: SystemSql,
  record: SharedRecord,
  changes: readonly SpaceChange[],
): Promise<void> {
  const { missionId } = record;
  const standings = await readStandings(tx, record);
  if (standings.length === 0) return;
  const all = await readWritesInSpace(tx, record);
  const saved = [];
  const toHeal = [];
  for (const { userId, merge: kept, weWrote } of standings) {
    // What an earlier version kept is made anew with the mission's next own row.
    const merge = mergeStateSchema.safeParse(kept);
    if (!merge.success || !changes.some((change) => change.userId !== userId)) continue;
    const members = all.filter((member) => member.userId !== userId).map(({ writes }) => writes);
    saved.push({ userId, missionId, ...snapshotAmong(missionId, merge.data, members) });
    const own = merge.data.writes.get('iterations')?.position ?? null;
    const overwriting = changes.filter((change) => change.userId !== userId && change.hasNewIterations);
    const isOverwritten =
      overwrittenBy(
        own,
        overwriting.map(({ writes }) => writes),
      ) !== null;
    if (weWrote && isOverwritten) toHeal.push({ userId, missionId });
  }
  if (saved.length > 0) await saveStandings(tx, saved);
  await markToHeal(tx, toHeal);
}
