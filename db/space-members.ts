import type { SystemSql, UserTransaction } from './client.ts';
import { sql } from './sql.ts';
import { memberWritesJson, parseMemberWrites, type MemberWrites } from '#domain/iteration/space-members.ts';

/** A mission's record in a shared space. */
export interface SharedRecord {
  readonly missionId: string;
  readonly spaceId: string;
}

/** What one user's rows say there. */
export interface SpaceWrites extends SharedRecord {
  readonly userId: string;
  readonly writes: MemberWrites;
}

/** Of one record, those that came first: whoever knows a record and its space may add as many as they have accounts. */
const MAX_MEMBERS = 100;
/** Of the outlines that are read at once; without one the steps of a member are not known. */
const MAX_OUTLINES_BYTES = 2_000_000;

interface KeptRow extends SharedRecord {
  readonly userId: string;
  readonly merge: unknown;
  readonly outline: unknown;
}

const parsed = (rows: readonly KeptRow[]): SpaceWrites[] =>
  rows.flatMap(({ merge, outline, ...key }) => {
    const writes = parseMemberWrites({ merge, outline });
    return writes === null ? [] : [{ ...key, writes }];
  });

/**
 * What other users' rows say of a user's mission in its space.
 *
 * @param tx of the runner: row-level security shows those of the space alone that the projection found in the user's own rows
 * @param options.outlines false where the steps of iterations do not matter
 */
export async function readMembers(
  tx: UserTransaction | SystemSql,
  userId: string,
  { missionId, spaceId }: SharedRecord,
  options: { readonly outlines: boolean },
): Promise<MemberWrites[]> {
  const outline = options.outlines
    ? sql`case when sum(octet_length(outline::text)) over (order by first_seen_at, user_id) <= ${MAX_OUTLINES_BYTES}::int
        then outline end`
    : sql`null::jsonb`;
  const rows = await tx<KeptRow[]>`
    select user_id as "userId", ${missionId}::text as "missionId", ${spaceId}::text as "spaceId", merge_state as merge,
      ${outline} as outline
    from (
      select user_id, merge_state, outline, first_seen_at from mana_ai.space_writes
      where mission_id = ${missionId} and space_id = ${spaceId} and user_id <> ${userId}
      order by first_seen_at, user_id limit ${MAX_MEMBERS}
    ) members
    order by first_seen_at, user_id`;
  return parsed(rows).map(({ writes }) => writes);
}

/** What all users' rows say of a record, the first comers first, without outlines; for the projection. */
export async function readWritesInSpace(tx: SystemSql, record: SharedRecord): Promise<SpaceWrites[]> {
  const rows = await tx<KeptRow[]>`
    select user_id as "userId", mission_id as "missionId", space_id as "spaceId", merge_state as merge,
      null::jsonb as outline
    from mana_ai.space_writes where mission_id = ${record.missionId} and space_id = ${record.spaceId}
    order by first_seen_at, user_id limit ${MAX_MEMBERS + 1}`;
  return parsed(rows);
}

/** What was kept of these users' records; those that are not known, or were kept by another version, are left out. */
export async function readSpaceWrites(
  tx: SystemSql,
  keys: readonly Omit<SpaceWrites, 'writes'>[],
): Promise<SpaceWrites[]> {
  const rows = await tx<KeptRow[]>`
    select known.user_id as "userId", known.mission_id as "missionId", known.space_id as "spaceId",
      merge_state as merge, outline
    from unnest(${keys.map(({ userId }) => userId)}::text[], ${keys.map(({ missionId }) => missionId)}::text[],
      ${keys.map(({ spaceId }) => spaceId)}::text[]) as wanted (user_id, mission_id, space_id)
    join mana_ai.space_writes known on known.user_id = wanted.user_id and known.mission_id = wanted.mission_id
      and known.space_id = wanted.space_id`;
  return parsed(rows);
}

export async function saveSpaceWrites(tx: SystemSql, all: readonly SpaceWrites[]): Promise<void> {
  const rows = all.map(({ writes, ...key }) => ({ ...key, ...memberWritesJson(writes) }));
  await tx`
    insert into mana_ai.space_writes (user_id, mission_id, space_id, merge_state, outline)
    select "userId", "missionId", "spaceId", merge, nullif(outline, 'null')
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as saved
      ("userId" text, "missionId" text, "spaceId" text, merge jsonb, outline jsonb)
    order by "userId", "missionId", "spaceId"
    on conflict (user_id, mission_id, space_id) do update
      set merge_state = excluded.merge_state, outline = excluded.outline`;
}
